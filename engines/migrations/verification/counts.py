"""How many rows tables had before a run, kept until its verification has passed: did some get lost?

The rows of the counts are also the mark of a run that is not verified. They outlive a killed run, so that the
next one still compares with the rows before the first try; what tables were made since has no count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, LiteralString

import psycopg
from psycopg import sql

from engines.migrations.files.backfill import name_parts
from engines.migrations.sessions.lock import KEY
from engines.migrations.sessions.wire import ask, send, undo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from engines.migrations.plan import Entry
    from engines.migrations.sessions.wire import Session
    from engines.migrations.verification.rules import Rules

_LEAST: Final = 10  # fewer lost rows are no alarm
# Small tables are counted, of others the server's own estimate is taken; each try is bounded. The exception
# ends each count's subtransaction, and with it the locks on the table and its indexes.
_TAKE: Final[LiteralString] = """
begin;
create table if not exists groundwork.row_counts (
  schema_name text not null,
  table_name text not null,
  relation oid not null,
  rows bigint,
  exact boolean not null,
  counted_at timestamptz not null default pg_catalog.clock_timestamp(),
  primary key (schema_name, table_name)
);
commit;
begin;
set local lock_timeout = '100ms';
set local statement_timeout = '10s';
set local row_security = off;
do $count$
declare
  item record;
  number bigint;
  is_exact boolean;
  began timestamptz := clock_timestamp();
begin
  if exists (select from groundwork.row_counts) then
    return;
  end if;
  for item in
    select n.nspname::text as schema_name, c.relname::text as table_name, c.oid, c.reltuples
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_'
      and n.nspname not in ('information_schema', 'groundwork', 'supabase_migrations', 'drizzle')
      and pg_catalog.pg_has_role(c.relowner, 'USAGE')
      and not exists (select from pg_catalog.pg_depend d
        where d.objid = c.oid and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype = 'e')
    order by 1, 2
  loop
    number := null;
    is_exact := false;
    begin
      is_exact := pg_relation_size(item.oid) <= 1000 * 8192 and clock_timestamp() < began + interval '2 s';
      if is_exact then
        execute format('select count(*) from only %I.%I', item.schema_name, item.table_name) into number;
      else
        number := pg_stat_get_live_tuples(item.oid);
        if number = 0 and pg_relation_size(item.oid) > 0 then
          number := case when item.reltuples > 0 then item.reltuples end;
        end if;
      end if;
      raise exception 'counted';
    exception
      when raise_exception then null;
      when others then number := null;
    end;
    insert into groundwork.row_counts (schema_name, table_name, relation, rows, exact)
    values (item.schema_name, item.table_name, item.oid, number, is_exact);
  end loop;
  insert into groundwork.row_counts (schema_name, table_name, relation, rows, exact)
  values ('', '', 0, null, false);
end $count$;
commit
"""
# The row of no table: the run is not verified, even where there is nothing to compare.
_MARK: Final = (
    "insert into groundwork.row_counts (schema_name, table_name, relation, exact)"
    " values ('', '', 0, false) on conflict do nothing"
)
# What the server knows of this session's rows is otherwise up to a second old.
_PUBLISH: Final = "select pg_catalog.pg_stat_force_next_flush()"
_COMPARE: Final[LiteralString] = """
select k.schema_name, k.table_name, k.rows, k.exact, k.counted_at, t.nspname::text, t.relname::text,
  pg_catalog.pg_stat_get_live_tuples(t.oid)
from groundwork.row_counts k left join lateral (
  select c.oid, n.nspname, c.relname
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p')
    and (c.oid = k.relation or (n.nspname = k.schema_name and c.relname = k.table_name))
  order by n.nspname = k.schema_name and c.relname = k.table_name desc limit 1) t on true
where k.relation <> 0
order by 1, 2
"""
# A run that is under way needs the counts. What only reads the table, such as pg_dump, is no hindrance.
_LOCK: Final = (
    f"begin read write;set local lock_timeout = '2s';select pg_catalog.pg_try_advisory_xact_lock({KEY})"
)
_FORGET: Final = "delete from groundwork.row_counts;commit"
_BEGIN: Final = "begin read only;set local lock_timeout = '1s';set local row_security = off"
_QUICK: Final = "set local statement_timeout = '10s'"
_SLOW: Final = "set local statement_timeout = '60s'"


@dataclass(frozen=True)
class Comparison:
    """What became of the rows.

    Attributes:
        shrunk: a text for each table that lost more rows than it may.
        unknown: names of tables that could not be counted.
        left: why it is left to another run whether tables shrunk as they were meant to.
    """

    shrunk: list[str]
    unknown: list[str]
    left: list[str]


@dataclass(frozen=True)
class Count:
    """One table before and after.

    Attributes:
        schema: before the run.
        table: before the run.
        before: its rows; None: it could not be counted.
        exact: counted, not estimated.
        counted_at: when, by the server's clock.
        now: its schema and name after the run; None: it is gone.
        after: its rows after the run; None: not counted.
    """

    schema: str
    table: str
    before: int | None
    exact: bool
    counted_at: datetime
    now: tuple[str, str] | None
    after: int | None

    def is_shrunk(self, percent: float) -> bool:
        """Say whether it lost more rows than it may."""
        if self.before is None or self.after is None or self.now is None:
            return False
        lost = self.before - self.after
        return lost >= _LEAST and lost * 100 > self.before * percent

    def __str__(self) -> str:
        """Write the table's name for people."""
        return f"{self.schema}.{self.table}"


def take(session: Session, report: Callable[[str], None]) -> None:
    """Count all tables before the first file; where an earlier try has counted, only its counts stay."""
    error = send(session, _TAKE.strip())
    if error:
        undo(session)
        send(session, _MARK)
        undo(session)
        report(f"the rows are not counted before the run: {error.text}")


def publish(session: Session) -> None:
    """Make the server's estimates know what this session did; servers before 15 do so by themselves."""
    send(session, _PUBLISH)
    undo(session)


def forget(session: Session, is_current: Callable[[], bool]) -> str:
    """End the comparison, as the run is verified; say why not, if it goes on.

    Args:
        session: autocommit.
        is_current: says whether the history is the one that was verified; asked while no run can change it.
    """
    answers, error = ask(session, _LOCK)
    if not error and answers[-1][0][0] != "t":
        kept = "another run is under way, whose verification will end the comparison"
    elif not error and not is_current():
        kept = "another run has changed the history, so the next verification will end the comparison"
    else:
        error = error or send(session, _FORGET)
        kept = f"the next run compares again, as the counts cannot be removed: {error.text}" if error else ""
    undo(session)
    return kept


def compare(session: Session) -> list[Count]:
    """Give the tables that were counted before the run, with what they have now."""
    try:
        rows = [_count(row) for row in session.execute(_COMPARE).fetchall()]
    except psycopg.errors.UndefinedTable:  # a runner beside this one has verified the run
        return []
    counted = [count for count in rows if count.exact and count.now]
    after = dict(zip(counted, _exactly(session, counted, _QUICK), strict=True))
    return [_with(count, after[count]) if count in after else count for count in rows]


def recount(session: Session, count: Count) -> Count:
    """Count a table whose estimate says that it lost rows; where that takes too long the estimate stays.

    An estimate of none is that of a server that has lost its statistics.
    """
    [number] = _exactly(session, [count], _SLOW)
    return _with(count, count.after or None) if number is None else _with(count, number)


def _count(row: Sequence[object]) -> Count:
    schema, table, before, exact, at, now_schema, now_table, live = row
    now = (str(now_schema), str(now_table)) if now_table else None
    return Count(str(schema), str(table), before, bool(exact), at, now, None if exact else live)  # type: ignore[arg-type]  # rows are untyped


def _with(count: Count, after: int | None) -> Count:
    return Count(count.schema, count.table, count.before, count.exact, count.counted_at, count.now, after)


def _exactly(session: Session, counts: Sequence[Count], limit: str) -> list[int | None]:
    """Count tables in one message; behind one that cannot be counted goes another."""
    found: list[int | None] = []
    while len(found) < len(counts):
        queries = [_query(count) for count in counts[len(found) :]]
        # Each in a transaction of its own: the server may have no room for locks on all tables at once.
        message = ";".join(f"{_BEGIN};{limit};{query};rollback" for query in queries)
        answers, failure = ask(session, message)
        undo(session)
        found += [int(rows[0][0]) for rows in answers]
        found += [None] if failure else []
        if failure and failure.sqlstate is None:
            found += [None] * (len(counts) - len(found))
    return found


def _query(count: Count) -> str:
    return sql.SQL("select count(*) from {}").format(sql.Identifier(*count.now or ())).as_string(None)


def judge(session: Session, entries: Sequence[Entry], rules: Rules) -> Comparison:
    """Tell which tables lost more rows than they may, and of which that is not known."""
    result = Comparison([], [], [])
    for first in compare(session):
        percent = _allowed(first, entries, rules)
        count = recount(session, first) if first.is_shrunk(percent) and not first.exact else first
        strange = _strange(count, entries)
        if count.is_shrunk(percent) and strange:
            result.left.append(f"{_violation(count, percent)}, but {strange} may mean to shrink it")
        elif count.is_shrunk(percent):
            result.shrunk.append(_violation(count, percent))
        elif count.now and (count.before is None or count.after is None):
            result.unknown.append(str(count))
    return result


def _strange(count: Count, entries: Sequence[Entry]) -> str:
    """Name a version that was applied after the count and whose file is not in the folder."""
    for entry in entries:
        at = entry.record.applied_at if entry.record else None
        if entry.status == "missing" and at and at >= count.counted_at:
            return f"version {entry.version}, which this folder does not have,"
    return ""


def _allowed(count: Count, entries: Sequence[Entry], rules: Rules) -> float:
    """Give how many percent a table may lose: all, where a file of the run says that it shrinks it."""
    if any(_means(name, count) for name in _shrinks(count, entries)):
        return 100.0
    names = [(count.schema, count.table), *([count.now] if count.now else [])]
    return max([rules.shrink[name] for name in names if name in rules.shrink], default=rules.shrink_percent)


def _shrinks(count: Count, entries: Sequence[Entry]) -> Iterator[str]:
    """Give the tables that the files say they shrink which were begun or applied after the count."""
    for entry in entries:
        at = entry.record.applied_at if entry.record else None
        if entry.file and (entry.status == "partial" or (at and at >= count.counted_at)):
            yield from entry.file.directives.shrinks


def _means(name: str, count: Count) -> bool:
    *schema, table = name_parts(name)
    both = [(count.schema, count.table), *([count.now] if count.now else [])]
    return any(table == one[1] and schema in ([], [one[0]]) for one in both)


def _violation(count: Count, percent: float) -> str:
    about = "" if count.exact else "about "
    before, after = count.before or 0, count.after or 0
    return (
        f"{count} had {about}{before:,} rows before the run ({count.counted_at:%Y-%m-%d %H:%M:%S}) and has "
        f"{after:,} now; it may lose {percent:g} %"
    )
