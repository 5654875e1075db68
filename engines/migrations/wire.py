"""Whole texts sent as one simple-query message, and what the server answered for each statement of it.

One message a file saves the round trips that dominate on a real line. psycopg's cursors give the last error
only; which statement failed is told by the number of results before it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import generators, pq
from psycopg.conninfo import make_conninfo

from engines import postgres

if TYPE_CHECKING:
    from collections.abc import Sequence

Session = psycopg.Connection[tuple[object, ...]]

APPLICATION_NAME: Final = "groundwork migrations"
LOCK_NOT_AVAILABLE: Final = "55P03"
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


def open_session(dsn: str) -> Session:
    """Open an autocommit session that speaks UTF-8, also after RESET ALL.

    Raises:
        DatabaseUnreachableError: nothing answers, or the login is refused.
    """
    postgres.describe(dsn)  # raises, without the password, when it cannot be parsed
    return postgres.connect(make_conninfo(dsn, client_encoding="utf-8"), application_name=APPLICATION_NAME)


def send(session: Session, message: str) -> ServerError | None:
    """Send a text of one or more statements and wait for all answers; None: all went well."""
    return _exchange(session, message)[1]


def send_transactions(session: Session, message: str) -> tuple[list[float], ServerError | None]:
    """Send several transactions, each of which writes our record before its COMMIT.

    Returns:
        The duration in each record that is committed, in ms, and the error that stopped the message; its
        `done` counts from the begin of the transaction that failed.
    """
    results, error = _exchange(session, message)
    took: list[float] = []
    duration, begin = 0.0, 0
    for index, result in enumerate(results):
        if result.command_status == b"COMMIT":
            took.append(duration)
            begin = index + 1
        elif result.nfields == 1 and result.fname(0) == b"duration_ms" and result.ntuples:
            duration = _number(result.get_value(0, 0))
    return took, error and replace(error, done=error.done - begin)


def strings_conform(session: Session) -> bool:
    """Say whether the login's strings are those of the SQL standard, as our parser reads them."""
    return session.pgconn.parameter_status(b"standard_conforming_strings") == b"on"


def _number(value: bytes | None) -> float:
    """Read a number; a file's own column of that name may hold anything."""
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
    results, error = _exchange(session, message)
    return [_rows(result) for result in results if result.status == pq.ExecStatus.TUPLES_OK], error


def _exchange(session: Session, message: str) -> tuple[Sequence[pq.abc.PGresult], ServerError | None]:
    try:
        with session.lock:
            session.pgconn.send_query(message.encode())
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
