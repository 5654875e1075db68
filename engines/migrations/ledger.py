"""What was done, as the database knows it.

The invariant: a row in `supabase_migrations.schema_migrations` means that the file is applied, no row means
that it is not. The table and its rows are those of the Supabase CLI, so that it agrees with us. What it has
no column for is beside it in the schema `groundwork`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString

from psycopg import sql

from engines.migrations.errors import FailedError
from engines.migrations.plan import History, Options, Progress, Record
from engines.migrations.statements import prefix_hashes, read_script
from engines.migrations.wire import send, undo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.migrations.file import MigrationFile
    from engines.migrations.wire import Session

# The statements of the Supabase CLI, in its order: a database it prepared looks the same.
_HISTORY_DDL: Final[LiteralString] = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;
"""
_SIDE_DDL: Final[LiteralString] = """
create schema if not exists groundwork;
create table if not exists groundwork.migrations (
  version text primary key,
  file text not null,
  checksum text not null,
  phase text not null,
  applied_at timestamptz,
  duration_ms double precision,
  retries integer not null default 0,
  login text not null default session_user,
  actor text not null default '',
  stack text not null default '',
  tool_version text not null default ''
);
create table if not exists groundwork.migration_progress (
  version text primary key,
  file text not null,
  total integer not null,
  done integer not null,
  prefix text not null,
  running integer,
  error text,
  started_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
"""
_TABLES: Final[LiteralString] = """
select n.nspname || '.' || c.relname, array_agg(a.attname::text)
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where (n.nspname, c.relname) in (('supabase_migrations', 'schema_migrations'), ('groundwork', 'migrations'),
                                 ('groundwork', 'migration_progress'))
group by 1
"""
_JOINED: Final[LiteralString] = """
select h.version, {}, case when m.checksum is null then {} end,
       m.checksum, m.applied_at, m.duration_ms, m.actor
from supabase_migrations.schema_migrations h left join groundwork.migrations m using (version)
"""
_PROGRESS_QUERY: Final = sql.SQL("select version, done, prefix, running from groundwork.migration_progress")
_INSERT: Final[LiteralString] = (
    "insert into supabase_migrations.schema_migrations (version, name, statements) values ({}, {}, {})"
)
_OVERWRITE: Final[LiteralString] = (
    " on conflict (version) do update set name = excluded.name, statements = excluded.statements"
)
_INSERT_SIDE: Final[LiteralString] = """
insert into groundwork.migrations
  (version, file, checksum, phase, retries, actor, stack, tool_version, applied_at, duration_ms)
select {}, {}, {}, {}, {}, {}, {}, {}, """
_OVERWRITE_SIDE: Final = """
on conflict (version) do update set
  file = excluded.file, checksum = excluded.checksum, phase = excluded.phase, retries = excluded.retries,
  actor = excluded.actor, stack = excluded.stack, login = excluded.login,
  tool_version = excluded.tool_version, applied_at = excluded.applied_at,
  duration_ms = excluded.duration_ms
returning duration_ms"""
_SINCE_BEGIN: Final = "now(), extract(epoch from clock_timestamp() - now()) * 1000"
# now() is when the message came: a file that is not the first in it began when the one before it ended.
_SINCE_BEFORE: Final[LiteralString] = (
    "b.at, extract(epoch from clock_timestamp() - b.at) * 1000 from coalesce((select applied_at"
    " + duration_ms * interval '1 ms' from groundwork.migrations where version = {}), now()) b(at)"
)
_SINCE_STARTED: Final[LiteralString] = (
    "now(), (select extract(epoch from clock_timestamp() - started_at) * 1000"
    " from groundwork.migration_progress where version = {})"
)
_INSERT_PROGRESS: Final[LiteralString] = (
    "insert into groundwork.migration_progress (version, file, total, done, prefix)"
    " values ({}, {}, {}, 0, {})"
)
_ADVANCE: Final[LiteralString] = """
update groundwork.migration_progress set done = {}, prefix = {}, running = null, error = null,
  updated_at = pg_catalog.clock_timestamp() where version = {}"""
_FAILED: Final[LiteralString] = "update groundwork.migration_progress set error = {}"
_DELETE: Final[LiteralString] = """
delete from supabase_migrations.schema_migrations where version = {};
delete from groundwork.migrations where version = {};
delete from groundwork.migration_progress where version = {}"""
_HISTORY: Final = "supabase_migrations.schema_migrations"
_SIDE: Final = "groundwork.migrations"
_PROGRESS: Final = "groundwork.migration_progress"

Columns = dict[str, set[str]]


def tables(session: Session) -> Columns:
    """List which of our tables exist, with their columns."""
    return {str(name): set(columns) for name, columns in _fetch(session, _TABLES)}


def is_ready(found: Columns) -> bool:
    """Say whether nothing is left for `ensure` to make."""
    return found.keys() >= {_HISTORY, _SIDE, _PROGRESS} and found[_HISTORY] >= {"statements", "name"}


def ensure(session: Session) -> None:
    """Make the tables that are missing.

    Raises:
        FailedError: the login may not, or somebody holds a lock on them.
    """
    message = f"begin;set local lock_timeout = '4s';{_HISTORY_DDL}{_SIDE_DDL}commit"
    error = send(session, message)
    if error:
        undo(session)
        text = f"the history tables cannot be made: {error.text} (SQLSTATE {error.sqlstate})"
        raise FailedError(text, file="", statement=None, position=None, sqlstate=error.sqlstate)


def read(session: Session, found: Columns) -> History:
    """Read everything that is known in one round trip; missing tables mean that nothing was done.

    Args:
        session: autocommit.
        found: what `tables` gave.
    """
    queries: list[sql.Composable] = [_records_query(found)] if _HISTORY in found else []
    queries += [_PROGRESS_QUERY] if _PROGRESS in found else []
    if not queries:
        return History()
    cursor = session.execute(sql.SQL(";").join(queries))
    records = {str(row[0]): _record(row) for row in cursor.fetchall()} if _HISTORY in found else {}
    if _HISTORY in found and _PROGRESS in found:
        cursor.nextset()
    rows = cursor.fetchall() if _PROGRESS in found else []
    progress = {str(row[0]): Progress(*row) for row in rows}  # type: ignore[arg-type]  # rows are untyped
    return History(records, progress)


def _records_query(found: Columns) -> sql.Composed:
    """Name only columns that exist: older CLIs made fewer, hosted projects have more."""
    name = sql.SQL("h.name" if "name" in found[_HISTORY] else "null")
    stored = sql.SQL("h.statements" if "statements" in found[_HISTORY] else "null")
    if _SIDE not in found:
        query = (
            "select h.version, {}, {}, null, null, null, null from supabase_migrations.schema_migrations h"
        )
        return sql.SQL(query).format(name, stored)
    return sql.SQL(_JOINED).format(name, stored)


def _record(row: Sequence[Any]) -> Record:
    version, name, statements, checksum, applied_at, duration, actor = row
    pieces = None if statements is None else tuple(statements)
    return Record(version, name or "", checksum, pieces, applied_at, duration, actor)


def _fetch(session: Session, query: LiteralString) -> list[Any]:
    return list(session.execute(query).fetchall())


def _fill(template: LiteralString, *cells: str | int | Sequence[str]) -> str:
    """Write values into an SQL text, as literals that are right under every setting."""
    return template.format(*map(_literal, cells))


def _literal(cell: str | int | Sequence[str]) -> str:
    """Write one value; the driver's own way costs more than the round trip of a small file."""
    if isinstance(cell, int):
        return str(cell)
    text = cell if isinstance(cell, str) else _array(cell)
    if "\\" in text:
        text = text.replace("\\", "\\\\")
        return "E'" + text.replace("'", "''") + "'"
    return "'" + text.replace("'", "''") + "'"


def _array(cells: Sequence[str]) -> str:
    """Write an array's text form (PostgreSQL manual, "Array Input and Output Syntax")."""
    quoted = (cell.replace("\\", "\\\\").replace('"', '\\"') for cell in cells)
    return '{"' + '","'.join(quoted) + '"}' if cells else "{}"


def insert_text(
    file: MigrationFile,
    options: Options,
    *,
    retries: int = 0,
    replace: bool = False,
    resumable: bool = False,
    after: str | None = None,
) -> str:
    """Give the SQL that records a file as applied, for the end of the file's own transaction.

    Args:
        file: what is applied.
        options: who runs it.
        retries: how often locks were not granted before.
        replace: overwrite rows of the version, as `repair` does.
        resumable: the file ran in units, so its duration counts from the first of them.
        after: version of the file that the same message applies before it, whose end is its begin.
    """
    conflict: LiteralString = _OVERWRITE if replace else ""
    pieces = read_script(file.sql).pieces
    history = _fill(_INSERT + conflict, file.version, file.name, pieces)
    took = _fill(_SINCE_STARTED, file.version) if resumable else _SINCE_BEGIN
    took = took if after is None else _fill(_SINCE_BEFORE, after)
    return f"{history};{_side_text(file, options, retries, took)}"


def adopt_text(file: MigrationFile, options: Options) -> str:
    """Give the SQL that adds our record to a row of another tool; when and how long is not known."""
    return f"{_side_text(file, options, 0, 'null, null')};{end_progress_text(file.version)}"


def _side_text(file: MigrationFile, options: Options, retries: int, times: str) -> str:
    """Give the SQL that records what the history has no column for.

    A row of ours whose history row is gone (another tool reverted it) is stale, and overwritten.
    """
    what = (file.version, file.file, file.checksum, file.phase, retries)
    who = (options.actor, options.stack, options.tool_version)
    return _fill(_INSERT_SIDE, *what, *who) + times + _OVERWRITE_SIDE


def delete_text(version: str) -> str:
    """Give the SQL that forgets a version."""
    return _fill(_DELETE, version, version, version)


def begin_progress_text(file: MigrationFile) -> str:
    """Give the SQL that starts the record of a file which runs in units."""
    total = len(read_script(file.sql).statements)
    return _fill(_INSERT_PROGRESS, file.version, file.file, total, prefix_hashes(file.sql)[0])


def progress_text(file: MigrationFile, done: int) -> str:
    """Give the SQL that moves the record of a file to `done` statements."""
    prefix = prefix_hashes(file.sql)[done]
    return _fill(_ADVANCE, done, prefix, file.version)


def running_text(file: MigrationFile, index: int) -> str:
    """Give the SQL that says: this statement begins outside of a transaction."""
    return _fill(
        "update groundwork.migration_progress set running = {} where version = {}", index, file.version
    )


def error_text(file: MigrationFile, text: str, *, leaves_traces: bool) -> str:
    """Give the SQL that keeps the reason why a file stopped.

    Args:
        file: which file.
        text: the reason.
        leaves_traces: the statement must be looked at before it is run again, although it failed.
    """
    ended: LiteralString = "" if leaves_traces else ", running = null"
    return _fill(_FAILED + ended + " where version = {}", text, file.version)


def end_progress_text(version: str) -> str:
    """Give the SQL that ends the record of a file which ran in units."""
    return _fill("delete from groundwork.migration_progress where version = {}", version)
