"""What the schema `groundwork` has on record beside what a plan needs: read when somebody wants to see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, LiteralString

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from engines.migrations.sessions.wire import Session

_TABLES: Final = {"groundwork.migrations", "groundwork.migration_statements"}
_FILES: Final[LiteralString] = """
select version, login, stack, tool_version, git_commit, retries, lock_wait_ms from groundwork.migrations
"""
_STATEMENTS: Final[LiteralString] = """
select version, statement, line, duration_ms, retries, lock_wait_ms
from groundwork.migration_statements order by version, statement
"""


@dataclass(frozen=True)
class Timing:
    """What is known of one statement.

    Attributes:
        statement: its number, from 1; in files of more than 1,000, the first of a group.
        line: where it begins in the file.
        duration_ms: how long it took; None: not known.
        retries: how often it did not get its locks.
        lock_wait_ms: how long these tries and the pauses between them took.
    """

    statement: int
    line: int
    duration_ms: float | None
    retries: int
    lock_wait_ms: float


@dataclass(frozen=True)
class Detail:
    """What a run said of itself when it applied a file.

    Attributes:
        login: the database role.
        stack: the stack, where one ran it.
        tool_version: of Groundwork.
        git_commit: of the files, with `-dirty` where some were changed since.
        retries: how often locks were not granted.
        lock_wait_ms: how long it waited for locks in all.
        statements: in order.
    """

    login: str
    stack: str
    tool_version: str
    git_commit: str
    retries: int
    lock_wait_ms: float
    statements: tuple[Timing, ...]


def read_details(session: Session, found: Mapping[str, AbstractSet[str]]) -> dict[str, Detail]:
    """Read what is known of every version; nothing where tables or columns are not made yet.

    Args:
        session: autocommit.
        found: which tables exist, with their columns.
    """
    if not found.keys() >= _TABLES or "git_commit" not in found["groundwork.migrations"]:
        return {}
    statements: dict[str, list[Timing]] = {}
    for version, *cells in session.execute(_STATEMENTS).fetchall():
        statements.setdefault(str(version), []).append(Timing(*cells))  # type: ignore[arg-type]  # untyped rows
    return {
        str(version): Detail(*cells, tuple(statements.get(str(version), ())))  # type: ignore[call-arg, arg-type]  # as above
        for version, *cells in session.execute(_FILES).fetchall()
    }
