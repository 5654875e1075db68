"""Why a project is not adopted."""

from __future__ import annotations

from engines.errors import GroundworkError


class AdoptionError(GroundworkError):
    """A project cannot be adopted, or its stack file not be written; the text says why and what to do."""
