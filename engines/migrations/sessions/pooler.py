"""Finds out whether a pooler gives our session away between transactions, by what it does.

The migration lock belongs to one server process. A pooler in transaction or statement mode hands that process
to other clients whenever we are idle, lock and settings included. A direct connection tells the id of its
process when it opens, and keeps it; poolers make that id up. So only where the two differ, a second session
opens transactions while ours is idle: behind a pooler in session mode, each stays on a process of its own.
"""

from __future__ import annotations

import selectors
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from engines import postgres
from engines.migrations.errors import RefusedError
from engines.migrations.sessions.lock import KEY
from engines.migrations.sessions.wire import APPLICATION_NAME, send

if TYPE_CHECKING:
    from engines.migrations.sessions.wire import ServerError, Session

WHO: Final = "select pg_catalog.pg_backend_pid()"
# What the server's error has in it when the session that holds the lock is not the one that runs the file.
_LOST: Final = "groundwork: the migration lock is not held by process "
_LOST_TEXT: Final = (
    "this session does not hold the migration lock any more: a pooler exchanged it for another one, or a "
    "file released the lock (pg_advisory_unlock_all); use a direct connection, or a pooler in session mode"
)
_SUPABASE_TRANSACTION_PORT: Final = "6543"
# A pool with several idle processes may give the same one by chance, or each in its turn.
_ROUNDS: Final = 4
# A pool in session mode that is used up lets the second session wait: then nothing is shared.
_WAIT_S: Final = 1.0
_LOGIN_S: Final = 2


def refuse_known_port(dsn: str) -> None:
    """Refuse the port of Supabase's transaction pooler, without asking it.

    Source: https://supabase.com/docs/guides/database/connecting-to-postgres

    Raises:
        RefusedError: it is that port.
    """
    if str(conninfo_to_dict(dsn).get("port")) == _SUPABASE_TRANSACTION_PORT:
        raise RefusedError(
            ["port 6543 is a transaction pooler, which cannot hold the migration lock; use the port 5432"]
        )


def refuse_shared(dsn: str, session: Session, backend: int) -> None:
    """Refuse a pooler that does not keep one server process for one session.

    Args:
        dsn: where `session` was opened.
        session: ours, idle.
        backend: the server process that answered it.

    Raises:
        RefusedError: the session is shared; the text says how that was seen.
    """
    if backend == session.pgconn.backend_pid:
        return
    seen = _sharing(dsn, session, backend)
    if seen:
        text = (
            f"{postgres.describe(dsn)} is a pooler in transaction or statement mode ({seen}), which cannot "
            "hold the migration lock; use a direct connection, or a pooler in session mode (Supabase: "
            "port 5432; PgBouncer: pool_mode = session)"
        )
        raise RefusedError([text])


def _sharing(dsn: str, session: Session, backend: int) -> str | None:
    """Say what shows that sessions are shared; None: each keeps its own server process."""
    try:
        other = postgres.connect(
            make_conninfo(dsn, client_encoding="utf-8"),
            application_name=APPLICATION_NAME,
            connect_timeout=_LOGIN_S,
        )
    except postgres.DatabaseUnreachableError:
        return None  # no room for a second session: who shares has room
    with closing(other):
        try:
            return _watch(session, backend, other)
        except psycopg.OperationalError:
            # The second session was thrown out: for waiting too long, or for its transaction.
            held = send(session, "begin") is None and send(session, "rollback") is None
            return None if held else "a transaction may not span two messages"


def _watch(session: Session, backend: int, other: Session) -> str | None:
    """Let another session open transactions while ours is idle, and see which processes they get."""
    theirs = 0
    for _ in range(_ROUNDS):
        found = _pid_in_time(other, f"begin;{WHO}")
        if found is None:
            return None
        theirs = theirs or found
        if found == backend:
            return f"two sessions at once had the server process {backend}"
        if found != theirs:
            return _moved(theirs, found)
        mine = _pid_beside(session, other)
        if mine != backend:
            return _moved(backend, mine)
        _pid_in_time(other, "rollback")
    return None


def _moved(before: int, after: int) -> str:
    return f"a session moved from server process {before} to {after}"


def _pid_beside(session: Session, other: Session) -> int:
    """Ask our own process id; where we wait for the other session's process, that one is given up."""
    found = _pid_in_time(session, WHO)
    if found is None:
        other.close()
        _is_answered(session, None)
        found = _read_pid(session)
    return found


def _pid_in_time(session: Session, message: str) -> int | None:
    """Send a message that asks for the process id (0: it does not); None: no answer in time."""
    session.pgconn.send_query(message.encode())
    session.pgconn.flush()
    return _read_pid(session) if _is_answered(session, _WAIT_S) else None


def _is_answered(session: Session, limit_s: float | None) -> bool:
    """Wait for the end of an answer, at most so many seconds."""
    deadline = None if limit_s is None else time.monotonic() + limit_s
    with selectors.DefaultSelector() as selector:
        selector.register(session.pgconn.socket, selectors.EVENT_READ)
        while session.pgconn.is_busy():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            if selector.select(left):
                session.pgconn.consume_input()
    return True


def _read_pid(session: Session) -> int:
    """Read an answer that is there.

    Raises:
        psycopg.OperationalError: it is an error.
    """
    pid = 0
    while result := session.pgconn.get_result():
        if result.status == pq.ExecStatus.TUPLES_OK:
            pid = int(result.get_value(0, 0) or 0)
        elif result.status != pq.ExecStatus.COMMAND_OK:
            raise psycopg.OperationalError(result.error_message.decode(errors="replace").strip())
    return pid


def explain(error: ServerError) -> ServerError:
    """Say what happened where `still_ours` was the error; any other is as it was."""
    return replace(error, text=_LOST_TEXT) if _LOST in error.text else error


def is_answered(session: Session) -> bool:
    """Say whether a new session gets a server process soon; a pool that is used up lets it wait."""
    try:
        return _pid_in_time(session, WHO) is not None
    except psycopg.OperationalError:
        return False


def still_ours(holder: int | None) -> str:
    """Give an SQL condition that is true in the session that holds the lock, and an error in any other.

    To lock again for one transaction costs nothing where the session has the lock, and fails while another
    session has it.

    Args:
        holder: the server process that took the lock; None: there is none to be compared.
    """
    if holder is None:
        return "true"
    return (
        f"case when pg_catalog.pg_backend_pid() operator(pg_catalog.=) {holder} "
        f"and pg_catalog.pg_try_advisory_xact_lock({KEY}) then true "
        f"else ('{_LOST}' operator(pg_catalog.||) pg_catalog.pg_backend_pid())::pg_catalog.bool end"
    )
