"""Who keeps us from a lock: watched from a second session while a try waits, to be named and awaited."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, TypeVar

import psycopg

from engines.migrations.sessions.pooler import is_answered
from engines.migrations.sessions.wire import Session, open_session
from engines.postgres import DatabaseUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

Outcome = TypeVar("Outcome")

_LOOK_S: Final = 0.02
# virtualtransaction names one transaction of one session, and pg_locks shows it to every login.
_BLOCKERS: Final = """
select a.pid, l.virtualtransaction, a.application_name, a.usename, a.state, left(a.query, 120),
       extract(epoch from clock_timestamp() - a.xact_start)
from unnest(pg_catalog.pg_blocking_pids(%s)) b(pid)
join pg_catalog.pg_stat_activity a on a.pid = b.pid
join pg_catalog.pg_locks l on l.pid = a.pid and l.locktype = 'virtualxid' and l.granted
"""
_ALIVE: Final = "select count(*) from pg_catalog.pg_locks where virtualtransaction = any(%s)"


@dataclass(frozen=True)
class Blocker:
    """A session that held what we wanted."""

    pid: int
    transaction: str
    application: str
    user: str
    state: str
    query: str
    age_s: float | None

    def __str__(self) -> str:
        """Describe it for whoever must end it."""
        age = f", in its transaction for {self.age_s:.0f} s" if self.age_s is not None else ""
        name = self.application or "no application name"
        return f"pid {self.pid} ({name}, user {self.user}, {self.state or 'state hidden'}{age}): {self.query}"


class Watch:
    """A second session with eyes on one process; use as a context manager."""

    def __init__(self, dsn: str, pid: int) -> None:
        """Remember whom to watch; `pid` is the server process that will wait."""
        self._dsn = dsn
        self._pid = pid
        self._session: Session | None = None
        self.seen: tuple[Blocker, ...] = ()

    def __enter__(self) -> Self:
        """Open the session; without one (server or pool have none left) nothing is seen."""
        with contextlib.suppress(DatabaseUnreachableError):
            session = open_session(self._dsn)
            if is_answered(session):
                self._session = session
            else:
                session.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session."""
        if self._session:
            self._session.close()

    def during(self, attempt: Callable[[], Outcome]) -> Outcome:
        """Look again and again, in a thread, while `attempt` runs; `seen` has who was in the way last."""
        self.seen = ()
        stop = threading.Event()
        thread = threading.Thread(target=self._look, args=[stop], daemon=True)
        thread.start()
        try:
            return attempt()
        finally:
            stop.set()
            thread.join()

    def _look(self, stop: threading.Event) -> None:
        while self._session and not stop.wait(_LOOK_S):
            try:
                rows = self._session.execute(_BLOCKERS, [self._pid]).fetchall()
            except psycopg.Error:
                return  # the retry goes on without eyes
            if rows:
                self.seen = tuple(Blocker(*row) for row in rows)  # type: ignore[arg-type]  # rows are untyped

    def wait_until_gone(self, limit_s: float) -> None:
        """Wait until the transactions seen last are over, at most `limit_s` seconds."""
        end = time.monotonic() + limit_s
        transactions = [blocker.transaction for blocker in self.seen]
        while self._session and transactions and time.monotonic() < end:
            try:
                row = self._session.execute(_ALIVE, [transactions]).fetchone()
            except psycopg.Error:
                return
            if not row or not row[0]:
                return
            time.sleep(_LOOK_S)
