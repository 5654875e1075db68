"""The control row of a backfill: how far it is, and what people want of it.

A batch and the row's progress commit together, so that a resumed run goes on exactly behind the last batch.
Whoever may write the table steers a running backfill with
`update groundwork.backfills set wanted = 'pause' where version = '…'` (or 'stop', or 'run' to go on).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, LiteralString

from engines.migrations.history.table import fill

if TYPE_CHECKING:
    from engines.migrations.backfills.template import Template
    from engines.migrations.files.file import MigrationFile
    from engines.migrations.history.journal import Waits
    from engines.migrations.sessions.wire import Session

TABLE: Final = "groundwork.backfills"
KEYS: Final = "keys"
NULLS: Final = "nulls"
VERIFYING: Final = "verify"
RUN: Final = "run"
PAUSE: Final = "pause"

DDL: Final[LiteralString] = """
create table if not exists groundwork.backfills (
  version text primary key,
  file text not null,
  wanted text not null default 'run' check (wanted in ('run', 'pause', 'stop')),
  stage text not null check (stage in ('keys', 'nulls', 'verify', 'done')),
  statement text not null,
  last_key text,
  end_key text,
  rows_done bigint not null default 0,
  rows_total bigint not null,
  batches bigint not null default 0,
  batch_rows integer,
  batch_ms double precision,
  started_at timestamptz not null default pg_catalog.clock_timestamp(),
  updated_at timestamptz not null default pg_catalog.clock_timestamp(),
  finished_at timestamptz
);
alter table groundwork.backfills add column if not exists retries integer not null default 0;
alter table groundwork.backfills add column if not exists lock_wait_ms double precision not null default 0;
"""
# The youngest column: a table that has it has them all.
NEWEST: Final = "lock_wait_ms"
UNFINISHED: Final[LiteralString] = """
select version, case stage when 'verify' then 100.0
  else least(100.0 * rows_done / greatest(rows_total, 1), 99.9) end::double precision, statement
from groundwork.backfills where finished_at is null
"""
_READ: Final[LiteralString] = """
select stage, last_key, end_key, rows_done, rows_total, batches, batch_rows, retries, lock_wait_ms
from groundwork.backfills where version = %s and finished_at is null
"""
_BEGIN: Final[LiteralString] = """
insert into groundwork.backfills (version, file, stage, statement, end_key, rows_total)
values (%s, %s, %s, %s, %s, %s)
on conflict (version) do update set file = excluded.file, wanted = excluded.wanted, stage = excluded.stage,
  statement = excluded.statement, last_key = null, end_key = excluded.end_key, rows_done = 0,
  rows_total = excluded.rows_total, batches = 0, batch_rows = null, batch_ms = null, finished_at = null,
  retries = 0, lock_wait_ms = 0,
  started_at = excluded.started_at, updated_at = excluded.updated_at
"""
# Nobody but the runner moves `batches`; where the row is gone or another's, the division undoes the batch.
_ADVANCE: Final[LiteralString] = """
with moved as (
  update groundwork.backfills set stage = {}, last_key = {}, rows_done = {}, batches = {}, batch_rows = {},
    batch_ms = extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.now()) * 1000,
    retries = {}, lock_wait_ms = {}, updated_at = pg_catalog.clock_timestamp()
  where version = {} and batches = {} and finished_at is null returning batch_ms)
select pg_catalog.max(batch_ms), 1 / pg_catalog.count(*) from moved
"""
_FINISH: Final[LiteralString] = """
update groundwork.migrations m
set duration_ms = extract(epoch from pg_catalog.clock_timestamp() - b.started_at) * 1000,
  retries = b.retries, lock_wait_ms = b.lock_wait_ms
from groundwork.backfills b where b.version = m.version and m.version = {};
update groundwork.backfills set stage = 'done', finished_at = pg_catalog.clock_timestamp(),
  updated_at = pg_catalog.clock_timestamp() where version = {}"""


@dataclass(frozen=True)
class Control:
    """How far a backfill is.

    Attributes:
        stage: `keys` while ranges are left, `nulls` before the rows without a key, `verify` after all rows.
        last_key: the last key that is done, as text; None: none is.
        end_key: the largest key when it began; None: the table was empty.
        rows_done: rows that are behind.
        rows_total: how many there were when it began, estimated for a large table.
        batches: how many were committed.
        batch_rows: size of the last one.
        retries: how often a batch did not get a lock.
        lock_wait_ms: how long these tries and the pauses after them took, in milliseconds.
    """

    stage: str
    last_key: str | None
    end_key: str | None
    rows_done: int
    rows_total: int
    batches: int = 0
    batch_rows: int | None = None
    retries: int = 0
    lock_wait_ms: float = 0.0

    def after(self, stage: str, last_key: str | None, rows: int) -> Control:
        """Give the state that one more batch leads to."""
        done, batches = self.rows_done + rows, self.batches + 1
        return replace(self, stage=stage, last_key=last_key, rows_done=done, batches=batches, batch_rows=rows)

    def waited(self, waits: Waits) -> Control:
        """Give this state with the tries in vain of its last batch counted."""
        lock_wait_ms = self.lock_wait_ms + waits.lock_wait_ms
        return replace(self, retries=self.retries + waits.retries, lock_wait_ms=lock_wait_ms)


def read_control(session: Session, version: str) -> Control | None:
    """Read where an earlier run stopped; None: nothing is done yet."""
    row = session.execute(_READ, [version]).fetchone()
    return Control(*row) if row else None  # type: ignore[arg-type]  # rows are untyped


def begin_control(session: Session, file: MigrationFile, template: Template, control: Control) -> None:
    """Record that a backfill begins; a finished one whose history row is gone begins anew."""
    where = (control.stage, template.digest, control.end_key, control.rows_total)
    session.execute(_BEGIN, [file.version, file.file, *where])


def wanted_text(version: str) -> str:
    """Give the SQL that asks what people want."""
    return fill("select wanted from groundwork.backfills where version = {}", version)


def steer_text(version: str, wanted: str) -> str:
    """Give the SQL by which people steer a backfill."""
    return fill("update groundwork.backfills set wanted = {} where version = {}", wanted, version)


def advance_text(version: str, before: Control, after: Control) -> str:
    """Give the SQL that records a batch inside of its transaction, and returns its milliseconds."""
    return fill(
        _ADVANCE,
        *(after.stage, after.last_key, after.rows_done, after.batches, after.batch_rows),
        *(after.retries, f"{after.lock_wait_ms:.3f}"),
        *(version, before.batches),
    )


def finish_text(version: str) -> str:
    """Give the SQL that ends the record, after the history rows were written."""
    return fill(_FINISH, version, version)
