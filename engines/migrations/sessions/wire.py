"""Whole texts sent as one simple-query message, and what the server answered for each statement of it.

One message a file saves the round trips that dominate on a real line. psycopg's cursors give the last error
only; which statement failed is told by the number of results before it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence  # a type alias needs it at run time
from dataclasses import dataclass, replace
from typing import Final

import psycopg
from psycopg import generators, pq
from psycopg.conninfo import make_conninfo

from engines import postgres

Session = psycopg.Connection[tuple[object, ...]]

APPLICATION_NAME: Final = "groundwork migrations"
LOCK_NOT_AVAILABLE: Final = "55P03"
# A row with this one column is the clock at a mark.
MARK_COLUMN: Final = "groundwork_mark"
_FAILED: Final = {pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE, pq.ExecStatus.NONFATAL_ERROR}


@dataclass(frozen=True)
class ServerError:
    """Why a message stopped.

    Attributes:
        done: how many statements of the message ended well before it.
        text: the server's message, with detail, hint and context.
        sqlstate: its code; None: the connection broke.
        position: offset in the message, in characters; None: the server gave none.
    """

    done: int
    text: str
    sqlstate: str | None
    position: int | None = None


@dataclass(frozen=True)
class Answers:
    """What the server said to transactions.

    Attributes:
        commits: for each that is committed, the clock at its marks, in seconds.
        error: what stopped the message, its `done` counted from the begin of the transaction that failed;
            None: all went well.
    """

    commits: tuple[tuple[float, ...], ...]
    error: ServerError | None


Exchanged = tuple[Sequence[pq.abc.PGresult], ServerError | None]


def open_session(dsn: str) -> Session:
    """Open an autocommit session that speaks UTF-8, also after RESET ALL.

    Raises:
        DatabaseUnreachableError: nothing answers, or the login is refused.
    """
    postgres.describe(dsn)  # raises, without the password, when it cannot be parsed
    return postgres.connect(make_conninfo(dsn, client_encoding="utf-8"), application_name=APPLICATION_NAME)


def send(session: Session, message: str) -> ServerError | None:
    """Send a text of one or more statements and wait for all answers; None: all went well."""
    return exchange(session, message)[1]


def send_marked(session: Session, message: str, meanwhile: Callable[[], None] | None = None) -> Answers:
    """Send one or more transactions with marks in them (engines/migrations/execution/marks.py).

    Args:
        session: autocommit.
        message: the transactions.
        meanwhile: what to do while the server is busy.
    """
    results, error = exchange(session, message, meanwhile)
    commits: list[tuple[float, ...]] = []
    clock: list[float] = []
    begin = 0
    for index, result in enumerate(results):
        if result.command_status == b"COMMIT":
            commits.append(tuple(clock))
            clock, begin = [], index + 1
        elif result.nfields == 1 and result.fname(0) == MARK_COLUMN.encode() and result.ntuples:
            clock.append(_number(result.get_value(0, 0)))
    return Answers(tuple(commits), error and replace(error, done=error.done - begin))


def strings_conform(session: Session) -> bool:
    """Say whether the login's strings are those of the SQL standard, as our parser reads them."""
    return session.pgconn.parameter_status(b"standard_conforming_strings") == b"on"


def _number(value: bytes | None) -> float:
    """Read a number; a file's own column of that name may hold anything, and so may its float format."""
    try:
        return float(value or 0)
    except ValueError:
        return 0.0


def undo(session: Session) -> None:
    """Leave a transaction, if one is open and the connection is not lost."""
    if not session.broken and not session.closed:
        with contextlib.suppress(psycopg.OperationalError):  # the server ends it with the connection
            session.rollback()


def ask(session: Session, message: str) -> tuple[list[list[tuple[str, ...]]], ServerError | None]:
    """Send a text and give the rows of each statement that returned any, as text."""
    results, error = exchange(session, message)
    return [_rows(result) for result in results if result.status == pq.ExecStatus.TUPLES_OK], error


def exchange(session: Session, message: str, meanwhile: Callable[[], None] | None = None) -> Exchanged:
    """Send a text and give the results of its statements up to the first error, and that error."""
    try:
        with session.lock:
            session.pgconn.send_query(message.encode())
            if meanwhile:
                session.pgconn.flush()
                meanwhile()
            results = session.wait(generators.execute(session.pgconn))
    except psycopg.Error as error:
        return [], ServerError(0, f"the connection was lost: {str(error).strip()}", None)
    for index, result in enumerate(results):
        if result.status in _FAILED:
            return results[:index], _error(index, result)
    return results, None


def _rows(result: pq.abc.PGresult) -> list[tuple[str, ...]]:
    fields = range(result.nfields)
    return [
        tuple((result.get_value(row, column) or b"").decode() for column in fields)
        for row in range(result.ntuples)
    ]


def _error(done: int, result: pq.abc.PGresult) -> ServerError:
    def field(code: pq.DiagnosticField) -> str:
        return (result.error_field(code) or b"").decode(errors="replace")

    sqlstate = field(pq.DiagnosticField.SQLSTATE)
    if not sqlstate:
        return ServerError(
            done, f"the connection was lost: {result.error_message.decode(errors='replace').strip()}", None
        )
    extras = [
        f"\n    {label}: {text}"
        for label, code in (
            ("detail", pq.DiagnosticField.MESSAGE_DETAIL),
            ("hint", pq.DiagnosticField.MESSAGE_HINT),
            ("context", pq.DiagnosticField.CONTEXT),
        )
        if (text := field(code))
    ]
    position = field(pq.DiagnosticField.STATEMENT_POSITION)
    text = field(pq.DiagnosticField.MESSAGE_PRIMARY) + "".join(extras)
    return ServerError(done, text, sqlstate, int(position) - 1 if position else None)
