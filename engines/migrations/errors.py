"""What can go wrong with migrations, by what the caller does next.

GroundworkError
└── MigrationError
    ├── FolderError     the files cannot be used: fix them; no database was asked
    ├── RefusedError    nothing was run: each refusal says why and what to do
    │   └── LockedError another runner held the lock until the deadline
    ├── FailedError     the server refused a statement: fix the file, run again
    └── UnverifiedError the files are applied, but a check does not hold: correct the database, run again
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.errors import GroundworkError

if TYPE_CHECKING:
    from collections.abc import Sequence


class MigrationError(GroundworkError):
    """Root of the tree above."""


def _list(headline: str, reasons: Sequence[str]) -> str:
    """Set several reasons below one headline, or one reason on its own line."""
    return "\n".join([headline, *(f"  - {reason}" for reason in reasons)])


class FolderError(MigrationError):
    """The folder holds files that cannot be used; `problems` has every one of them."""

    def __init__(self, path: str, problems: Sequence[str]) -> None:
        """Keep the problems, each of which starts with a file name."""
        self.path = path
        self.problems = tuple(problems)
        super().__init__(_list(f"the migrations in {path} cannot be used:", self.problems))


class RefusedError(MigrationError):
    """Nothing was run; `refusals` says why, one sentence each."""

    def __init__(self, refusals: Sequence[str]) -> None:
        """Keep the reasons."""
        self.refusals = tuple(refusals)
        super().__init__(_list("refused, nothing was run:", self.refusals))


class LockedError(RefusedError):
    """Another runner held the migration lock for longer than we wait."""


class FailedError(MigrationError):
    """A statement failed.

    Attributes:
        file: base name of the file.
        statement: which statement of the file failed, from 1; None: not a statement of the file.
        position: the line of the file, from 1; None: unknown.
        sqlstate: PostgreSQL's error code; None: the connection was lost.
    """

    def __init__(
        self, message: str, *, file: str, statement: int | None, position: int | None, sqlstate: str | None
    ) -> None:
        """Keep where it happened."""
        self.file = file
        self.statement = statement
        self.position = position
        self.sqlstate = sqlstate
        super().__init__(message)


class UnverifiedError(MigrationError):
    """The files are applied, but the database is not as it has to be; `failed` has each check's text."""

    def __init__(self, failed: Sequence[str], checks: str) -> None:
        """Keep the texts; `checks` is the folder of the rules."""
        self.failed = tuple(failed)
        reasons = [text.replace("\n", "\n    ") for text in self.failed]
        headline = "the migrations are applied, but the database does not pass its checks:"
        ending = f"Correct the database with a further migration, or the rule in {checks}, and run again."
        super().__init__(f"{_list(headline, reasons)}\n{ending}")
