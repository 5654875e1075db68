"""Turns the server's answer into an error that says which file, line and statement, and what happens next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from engines.migrations.errors import FailedError
from engines.migrations.sessions.pooler import explain
from engines.migrations.sessions.wire import LOCK_NOT_AVAILABLE, ServerError

if TYPE_CHECKING:
    from engines.migrations.files.file import MigrationFile
    from engines.migrations.sessions.retry import Tried
    from engines.migrations.sql.statements import Script

_WIDEST: Final = 100
_ADVICE: Final = {
    "57014": "if it needs more time, say so at the head of the file: -- groundwork: statement-timeout=10min",
    "2D000": "a procedure that commits needs at the head of the file: -- groundwork: no-transaction",
    "25001": "it needs at the head of the file: -- groundwork: no-transaction",
    "55P04": "a new enum value can be used once it is committed: move what uses it into the next file",
}


@dataclass(frozen=True)
class Place:
    """Where in a file an error is.

    Attributes:
        statement: index of the statement; None: at the end, while it was recorded or committed.
        offset: of the error in the file, in characters; None: unknown.
    """

    statement: int | None
    offset: int | None


def failed(file: MigrationFile, script: Script, place: Place, tried: Tried, consequence: str) -> FailedError:
    """Build the error of a file that was stopped by the server.

    Args:
        file: which file.
        script: its statements.
        place: where it stopped.
        tried: how it ended.
        consequence: what has become of the file, and what to do.
    """
    error = explain(tried.error or ServerError(0, "unknown", None))
    offset = place.offset
    if offset is None and place.statement is not None:
        offset = script.statements[place.statement].start
    line = None if offset is None else script.line(offset)
    lines = [f"{_where(file, script, place, line)}: {error.text}{_code(error)}"]
    lines += _excerpt(script.sql, offset) if offset is not None else []
    text = "\n".join([*lines, *_advice(error, tried), consequence])
    number = None if place.statement is None else place.statement + 1
    return FailedError(text, file=file.file, statement=number, position=line, sqlstate=error.sqlstate)


def _code(error: ServerError) -> str:
    return f" (SQLSTATE {error.sqlstate})" if error.sqlstate else ""


def _where(file: MigrationFile, script: Script, place: Place, line: int | None) -> str:
    if place.statement is None and line is None:
        return f"{file.file}, after its last statement, while it was recorded and committed"
    number = (
        f" (statement {place.statement + 1} of {len(script.statements)})"
        if place.statement is not None
        else ""
    )
    return f"{file.file}, line {line}{number}"


def _excerpt(sql: str, offset: int) -> list[str]:
    """Give the line of an offset and a caret below it."""
    start = sql.rfind("\n", 0, offset) + 1
    line = sql[start:].partition("\n")[0].rstrip()
    column = offset - start
    cut = max(0, column - _WIDEST // 2)
    return [f"    {line[cut : cut + _WIDEST]}", f"    {' ' * (column - cut)}^"]


def _advice(error: ServerError, tried: Tried) -> list[str]:
    """Say what helps against well-known errors."""
    if error.sqlstate != LOCK_NOT_AVAILABLE:
        text = _ADVICE.get(error.sqlstate or "")
        return [text] if text else []
    names = [f"the lock was held by {blocker}" for blocker in tried.blockers] or [
        "nobody was seen holding the lock"
    ]
    return [f"gave up after {tried.retries + 1} tries", *names]
