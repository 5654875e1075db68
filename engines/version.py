"""The version of Groundwork; CHANGELOG.md says what is in it."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
