"""Adoption of a live project: what is there is read and written down as a stack file; nothing is changed."""

from __future__ import annotations

from engines.adoption.description import Choices, Description, describe, stack_name, without_problems
from engines.adoption.errors import AdoptionError
from engines.adoption.reading import Live, read_live
from engines.adoption.sources import write_source
from engines.adoption.stackfile import must_be_new, path_of, write
from engines.adoption.text import shown

__all__ = [
    "AdoptionError",
    "Choices",
    "Description",
    "Live",
    "describe",
    "must_be_new",
    "path_of",
    "read_live",
    "shown",
    "stack_name",
    "without_problems",
    "write",
    "write_source",
]
