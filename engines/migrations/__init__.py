"""Migrations, exactly once: read a folder, inspect what is pending, apply it, verify the result.

What needs a database driver or the SQL parser is imported when it is first used; reading a folder needs
neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from engines.migrations.errors import (
    FailedError,
    FolderError,
    LockedError,
    MigrationError,
    RefusedError,
    UnverifiedError,
)
from engines.migrations.files.file import MigrationFile
from engines.migrations.files.folder import Folder, read_folder

if TYPE_CHECKING:
    from engines.migrations.adopt import baseline
    from engines.migrations.amend import mark_disposable, repair, reset
    from engines.migrations.history.details import Detail
    from engines.migrations.history.origin import signed
    from engines.migrations.plan import Options, Plan
    from engines.migrations.run import Outcome, apply, inspect, survey
    from engines.migrations.verification.checks import Check
    from engines.migrations.verification.rules import read_rules
    from engines.migrations.verification.verify import require, verify

__all__ = [
    "Check",
    "Detail",
    "FailedError",
    "Folder",
    "FolderError",
    "LockedError",
    "MigrationError",
    "MigrationFile",
    "Options",
    "Outcome",
    "Plan",
    "RefusedError",
    "UnverifiedError",
    "apply",
    "baseline",
    "inspect",
    "mark_disposable",
    "read_folder",
    "read_rules",
    "repair",
    "require",
    "reset",
    "signed",
    "survey",
    "verify",
]

_LATER: Final = {
    "Options": "plan",
    "Plan": "plan",
    "Outcome": "run",
    "apply": "run",
    "inspect": "run",
    "survey": "run",
    "mark_disposable": "amend",
    "repair": "amend",
    "reset": "amend",
    "signed": "history.origin",
    "Detail": "history.details",
    "Check": "verification.checks",
    "baseline": "adopt",
    "read_rules": "verification.rules",
    "require": "verification.verify",
    "verify": "verification.verify",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
