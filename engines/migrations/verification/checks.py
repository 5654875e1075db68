"""What a check is, and the product's own: files of which each returned row is a violation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pglast import ast, parse_sql
from pglast.parser import ParseError

from engines.migrations.files.file import decode
from engines.migrations.sessions.wire import ServerError, Session, ask, undo
from engines.migrations.sql.statements import syntax_error

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engines.migrations.files.folder import Folder

_SHOWN: Final = 20
_BEGIN: Final = "begin read only;set local statement_timeout = '60s';set local lock_timeout = '2s';\n"


@dataclass(frozen=True)
class Check:
    """A check and what it found.

    Attributes:
        name: base name of its file, or what it is about.
        ok: nothing is wrong.
        message: the violations, or why the check could not run; when ok, what it had to leave out.
    """

    name: str
    ok: bool
    message: str = ""


def check_files(session: Session, folder: Folder) -> tuple[Check, ...]:
    """Run every `checks/*.sql` below a folder that is not hidden, each read-only and rolled back."""
    paths = sorted(path for path in folder.checks.glob("*.sql") if not path.name.startswith("."))
    return tuple(_check(session, path) for path in paths)


def _check(session: Session, path: Path) -> Check:
    """Run one file."""
    try:
        text = decode(path.read_bytes())
        problem = _not_a_question(text)
    except (OSError, ValueError) as error:
        return Check(path.name, ok=False, message=str(error))
    if problem:
        return Check(path.name, ok=False, message=problem)
    answers, failure = ask(session, f"{_BEGIN}{text}\n;rollback")
    undo(session)
    if failure:
        return Check(path.name, ok=False, message=_failure(text, failure))
    violations = [" | ".join(row) for rows in answers for row in rows]
    return Check(path.name, ok=not violations, message=shorten(violations))


def _not_a_question(text: str) -> str | None:
    """Say why a file is no check: it must hold SELECTs, at least one, and nothing else."""
    try:
        statements = parse_sql(text)
    except ParseError as error:
        problem, offset = syntax_error(error, text)
        return f"line {_line(text, offset)}: {problem}"
    if not statements:
        return "holds no statement, so it checks nothing"
    for statement in statements:
        if not isinstance(statement.stmt, ast.SelectStmt) or statement.stmt.intoClause:
            return (
                f"line {_line(text, statement.stmt_location or 0)}: a check may hold SELECT statements only"
            )
    return None


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, max(offset, 0)) + 1


def _failure(text: str, failure: ServerError) -> str:
    """Say why a check could not run, with its line where the server gave one."""
    if failure.position is None:
        return failure.text
    return f"line {_line(text, failure.position - len(_BEGIN))}: {failure.text}"


def shorten(violations: Sequence[str]) -> str:
    """List violations, the first of them if there are many."""
    more = len(violations) - _SHOWN
    return "\n".join([*violations[:_SHOWN]] + ([f"… and {more} more"] if more > 0 else []))
