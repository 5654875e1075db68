"""One runner at a time: a session-level advisory lock, polled.

A runner that waits inside of pg_advisory_lock() holds a snapshot, for which CREATE INDEX CONCURRENTLY of the
holder would wait: a deadlock in slow motion. A try-lock that is polled between transactions holds nothing.
"""

from __future__ import annotations

import contextlib
import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psycopg

from engines.migrations.errors import LockedError
from engines.migrations.sessions.wire import undo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engines.migrations.sessions.wire import Session

# An arbitrary constant ("groundwo" as eight bytes); advisory locks are per database.
KEY: Final = 0x67726F756E64776F
_FIRST_S: Final = 0.025
_LONGEST_S: Final = 2.0
_TRY: Final = "select case when pg_catalog.pg_try_advisory_lock(%s) then pg_catalog.pg_backend_pid() end"
_HOLDER: Final = """
select a.pid, a.application_name, a.usename, to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS TZ')
from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a using (pid)
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
  and l.classid = (%(key)s::bigint >> 32)::oid and l.objid = (%(key)s::bigint & 4294967295)::oid
"""


def backoff(attempt: int, *, first_s: float = _FIRST_S, longest_s: float = _LONGEST_S) -> float:
    """Give the pause before the next try, in seconds: doubled each time, with full jitter."""
    longest = min(longest_s, first_s * 2.0 ** min(attempt, 16))
    return random.uniform(first_s / 2, longest)  # noqa: S311  # not a secret


@contextmanager
def hold(session: Session, wait_s: float, report: Callable[[str], None]) -> Iterator[int]:
    """Hold the lock for the block, on an autocommit session; gives the id of the server process that has it.

    Args:
        session: the session that will run the files, so that the lock ends with it.
        wait_s: how long to wait for another runner, in seconds.
        report: told once that there is one.

    Raises:
        LockedError: another runner held it all the time; the text names it.
    """
    backend = _acquire(session, wait_s, report)
    try:
        yield backend
    finally:
        undo(session)
        with contextlib.suppress(psycopg.Error):  # a lost session holds no lock
            session.execute("select pg_catalog.pg_advisory_unlock(%s)", [KEY])


def _acquire(session: Session, wait_s: float, report: Callable[[str], None]) -> int:
    """Poll for the lock until the deadline."""
    deadline = time.monotonic() + wait_s
    attempt = 0
    while not (backend := _try(session)):
        if time.monotonic() >= deadline:
            raise LockedError(
                [f"another run holds the migration lock: {holder(session)}; waited {wait_s:g} s"]
            )
        if attempt == 0:
            report(f"waiting for another run: {holder(session)}")
        time.sleep(min(backoff(attempt), max(deadline - time.monotonic(), 0.001)))
        attempt += 1
    return backend


def _try(session: Session) -> int:
    """Give the id of the server process that has the lock now; 0: another one has it."""
    row = session.execute(_TRY, [KEY]).fetchone()
    return int(str(row[0])) if row and row[0] else 0


def is_held(session: Session) -> bool:
    """Say whether a run is under way."""
    return session.execute(_HOLDER, {"key": KEY}).fetchone() is not None


def holder(session: Session) -> str:
    """Name who holds the lock: pid, application, user and since when it is connected."""
    row = session.execute(_HOLDER, {"key": KEY}).fetchone()
    if row is None:
        return "a session that has just ended"
    return f"pid {row[0]} ({row[1] or 'no application name'}, user {row[2]}, connected since {row[3]})"
