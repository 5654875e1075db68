"""Tries again while locks are not granted, so that the product never queues behind a migration.

A statement that waits for a lock makes everybody wait who comes after it. So a try waits for 100 ms only;
then all of it is rolled back, the sessions in the way are watched until they are gone, and it is tried again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from engines.migrations.sessions.blockers import Blocker, Watch
from engines.migrations.sessions.lock import backoff
from engines.migrations.sessions.wire import LOCK_NOT_AVAILABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.migrations.sessions.wire import ServerError, Session

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0
_LONGEST_WATCH_S: Final = 15.0


@dataclass(frozen=True)
class Tried:
    """How it ended: the last error (None: done), how many tries were in vain, and who was in the way."""

    error: ServerError | None
    retries: int
    blockers: tuple[Blocker, ...] = ()


@dataclass(frozen=True)
class Patience:
    """How to try again: where to look for blockers, for how long, and whom to tell."""

    dsn: str
    retry_s: float
    report: Callable[[str], None]


def try_until_granted(
    session: Session, attempt: Callable[[int], ServerError | None], patience: Patience
) -> Tried:
    """Call `attempt` (with the number of tries before) until it ends otherwise than with 55P03.

    Args:
        session: the session that `attempt` uses; idle between tries.
        attempt: one try; leaves no transaction behind.
        patience: how long.
    """
    error = attempt(0)
    if error is None or error.sqlstate != LOCK_NOT_AVAILABLE:
        return Tried(error, 0)
    deadline = time.monotonic() + patience.retry_s
    # Behind a pooler the process id of the handshake is the pooler's own.
    row = session.execute("select pg_catalog.pg_backend_pid()").fetchone()
    with Watch(patience.dsn, int(str(row[0])) if row else 0) as watch:
        return _again(attempt, watch, deadline, patience.report)


def _again(
    attempt: Callable[[int], ServerError | None],
    watch: Watch,
    deadline: float,
    report: Callable[[str], None],
) -> Tried:
    """Try again, watched, until it is granted or the deadline is over."""
    tries = 1
    named: tuple[Blocker, ...] = ()
    while True:
        _pause(watch, tries, deadline)
        error = watch.during(partial(attempt, tries))
        named = watch.seen or named
        if error is None or error.sqlstate != LOCK_NOT_AVAILABLE or time.monotonic() >= deadline:
            return Tried(error, tries, named)
        if tries == 1 and named:
            report(f"waiting for a lock held by {named[0]}")
        tries += 1


def _pause(watch: Watch, tries: int, deadline: float) -> None:
    """Wait for the blockers to leave where they are known, else a while that doubles, with jitter."""
    left = max(deadline - time.monotonic(), 0.0)
    if watch.seen:
        watch.wait_until_gone(min(left, _LONGEST_WATCH_S))
    pause = backoff(tries - 1, first_s=_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S)
    time.sleep(min(left, _FIRST_PAUSE_S / 10 if watch.seen else pause))
