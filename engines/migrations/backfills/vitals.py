"""How the server is while a backfill runs: standbys, WAL, vacuum; looked at now and then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from engines.migrations.backfills.pace import QUIET, Signals
from engines.migrations.sessions.wire import ask

if TYPE_CHECKING:
    from engines.migrations.sessions.wire import Session

_EVERY_S: Final = 1.0
# Consumers of logical replication (Supabase Realtime) are no standbys. Columns that the login may not see
# are NULL, and count as no delay.
_LOOK: Final = """
select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0'),
  coalesce((select max(extract(epoch from r.replay_lag)) from pg_catalog.pg_stat_replication r
    where not exists (select from pg_catalog.pg_replication_slots s
                      where s.active_pid = r.pid and s.slot_type = 'logical')), 0),
  (select count(*) from pg_catalog.pg_stat_progress_vacuum where relid = {})
"""


class Vitals:
    """Remembers the last look."""

    def __init__(self, session: Session, oid: int) -> None:
        """Take the session to ask in, and the table to watch."""
        self._session = session
        self._oid = oid
        self._asked: float | None = None
        self._wal = 0.0
        self._last = QUIET

    def look(self) -> Signals:
        """Give what was seen within the last second; a login that may not look sees nothing."""
        now = time.monotonic()
        if self._asked is None or now - self._asked >= _EVERY_S:
            rows, error = ask(self._session, _LOOK.format(self._oid))
            self._last = QUIET if error else self._signals(rows[0][0], now)
            self._asked = now
        return self._last

    def _signals(self, row: tuple[str, ...], now: float) -> Signals:
        wal, lag, vacuums = float(row[0]), float(row[1]), int(row[2])
        per_s = (wal - self._wal) / (now - self._asked) if self._asked else 0.0
        self._wal = wal
        return Signals(lag, per_s, vacuums > 0)
