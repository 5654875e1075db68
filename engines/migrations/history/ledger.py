"""What was done, as the database knows it.

The invariant: a row in the history table means that the file is applied, no row means that it is not. The
table and its rows are those of the Supabase CLI or of Drizzle, so that it agrees with us. What it has no
column for is beside it in the schema `groundwork`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString

from psycopg import sql

from engines.migrations.errors import FailedError
from engines.migrations.files.backfill import Unfinished
from engines.migrations.history import control
from engines.migrations.history.drizzle import DrizzleTable
from engines.migrations.history.table import HistoryTable, SupabaseTable, fill
from engines.migrations.plan import History, Options, Progress
from engines.migrations.sessions.greeting import GREETING, Greeting
from engines.migrations.sessions.pooler import still_ours
from engines.migrations.sessions.wire import send, undo
from engines.migrations.sql.statements import prefix_hashes, read_script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import Cursor

    from engines.migrations.files.file import MigrationFile
    from engines.migrations.files.folder import Folder
    from engines.migrations.history.journal import Waits
    from engines.migrations.sessions.wire import Session

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
alter table groundwork.migrations add column if not exists git_commit text not null default '';
alter table groundwork.migrations add column if not exists lock_wait_ms double precision not null default 0;
create table if not exists groundwork.migration_statements (
  version text not null,
  statement integer not null,
  line integer not null,
  duration_ms double precision,
  retries integer not null default 0,
  lock_wait_ms double precision not null default 0,
  primary key (version, statement)
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
                                 ('groundwork', 'migration_progress'), ('groundwork', 'backfills'),
                                 ('groundwork', 'row_counts'), ('groundwork', 'migration_statements'),
                                 ('drizzle', '__drizzle_migrations'))
group by 1
"""
# The driver reads times in this style only; CLEAN brings the login's own back before files run.
_ISO: Final = sql.SQL("set datestyle = 'ISO'")
_PROGRESS_QUERY: Final = sql.SQL(
    "select version, done, prefix, running, error is not null from groundwork.migration_progress"
)
_UNVERIFIED: Final = sql.SQL("select 1 from groundwork.row_counts limit 1")
_INSERT_SIDE: Final[LiteralString] = """
insert into groundwork.migrations (version, file, checksum, phase, retries, lock_wait_ms, actor, stack,
  tool_version, git_commit, login, applied_at, duration_ms)
select {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, coalesce({}, session_user), """
# now() is when the message came, and so the begin of the first file in it only.
_SINCE_MESSAGE: Final = (
    "pg_catalog.clock_timestamp(),"
    " pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - pg_catalog.now()) * 1000"
)
_NOT_YET_KNOWN: Final = "pg_catalog.clock_timestamp(), null"
_BY_ANOTHER_TOOL: Final = "null, null"
_SINCE_STARTED: Final[LiteralString] = (
    "pg_catalog.clock_timestamp(), (select extract(epoch from pg_catalog.clock_timestamp() - started_at)"
    " * 1000 from groundwork.migration_progress where version = {})"
)
_FORGET_SIDE: Final[LiteralString] = """
delete from groundwork.migrations where version = any({}::text[]);
delete from groundwork.migration_statements where version = any({}::text[])"""
_INSERT_PROGRESS: Final[LiteralString] = (
    "insert into groundwork.migration_progress (version, file, total, done, prefix)"
    " values ({}, {}, {}, 0, {})"
)
_ADVANCE: Final[LiteralString] = """
update groundwork.migration_progress set done = {}, prefix = {}, running = null, error = null,
  updated_at = pg_catalog.clock_timestamp() where version = {}"""
_RUNNING: Final[LiteralString] = (
    "update groundwork.migration_progress set running = {}, error = null where version = {}"
)
_FAILED: Final[LiteralString] = "update groundwork.migration_progress set error = {}"
_DELETE: Final[LiteralString] = """
delete from groundwork.migrations where version = {};
delete from groundwork.migration_statements where version = {};
delete from groundwork.migration_progress where version = {};
delete from groundwork.backfills where version = {}"""
_SIDE: Final = "groundwork.migrations"
_STATEMENTS: Final = "groundwork.migration_statements"
_PROGRESS: Final = "groundwork.migration_progress"
_COUNTS: Final = "groundwork.row_counts"
_SUPABASE: Final[HistoryTable] = SupabaseTable()
_DRIZZLE: Final[HistoryTable] = DrizzleTable()

Columns = dict[str, set[str]]


def tables(session: Session) -> Columns:
    """List which of our tables exist, with their columns."""
    return look(session)[0]


def look(session: Session) -> tuple[Columns, Greeting]:
    """List our tables as `tables` does, and tell what session it is, in one round trip."""
    cursor: Cursor[Any] = session.execute(sql.SQL(";").join([sql.SQL(GREETING), sql.SQL(_TABLES)]))
    (greeting,) = cursor.fetchall()
    cursor.nextset()
    return {str(name): set(columns) for name, columns in cursor.fetchall()}, Greeting(*greeting)


def table_of(folder: Folder) -> HistoryTable:
    """Give the table in which the folder's own tool keeps what is applied."""
    return _DRIZZLE if folder.is_drizzle else _SUPABASE


def _table_for(file: MigrationFile) -> HistoryTable:
    return _DRIZZLE if file.entry else _SUPABASE


def is_ready(found: Columns, folder: Folder) -> bool:
    """Say whether nothing is left for `ensure` to make."""
    table = table_of(folder)
    columns = found.get(table.name, set())
    made = found.keys() >= {_SIDE, _STATEMENTS, _PROGRESS, control.TABLE} and "git_commit" in found[_SIDE]
    made = made and control.NEWEST in found[control.TABLE]
    return made and bool(columns) and table.is_ready(columns, folder)


def ensure(session: Session, folder: Folder, found: Columns, history: History) -> None:
    """Make the tables that are missing, and bring an older history to the form that the folder's tool has.

    Raises:
        FailedError: the login may not, or somebody holds a lock on them.
    """
    table = table_of(folder)
    made = table.prepare(found.get(table.name, set()), folder, history.records)
    write(session, f"{made}{_SIDE_DDL}{control.DDL}", "the history tables cannot be made")


def write(session: Session, statements: str, problem: str) -> None:
    """Change the record in a transaction of its own, before any file runs.

    Args:
        session: autocommit.
        statements: the changes, each ended by a semicolon.
        problem: what it means when that fails.

    Raises:
        FailedError: the login may not, or somebody holds a lock on the tables.
    """
    error = send(session, f"begin;set local lock_timeout = '4s';{statements}commit")
    if error:
        undo(session)
        text = f"{problem}: {error.text} (SQLSTATE {error.sqlstate})"
        raise FailedError(text, file="", statement=None, position=None, sqlstate=error.sqlstate)


def read(session: Session, found: Columns, folder: Folder) -> History:
    """Read everything that is known in one round trip; missing tables mean that nothing was done.

    Args:
        session: autocommit.
        found: what `tables` gave.
        folder: whose history it is.
    """
    table = table_of(folder)
    columns = found.get(table.name, set())
    queries = [table.query(columns, has_side=_SIDE in found)] if columns else []
    queries += [_PROGRESS_QUERY] if _PROGRESS in found else []
    queries += [sql.SQL(control.UNFINISHED)] if control.TABLE in found else []
    queries += [_UNVERIFIED] if _COUNTS in found else []
    if not queries:
        return History()
    cursor = session.execute(sql.SQL(";").join([_ISO, *queries]))
    cursor.nextset()
    records = table.records(cursor.fetchall(), folder) if columns else {}
    if columns and _PROGRESS in found:
        cursor.nextset()
    rows = cursor.fetchall() if _PROGRESS in found else []
    progress = {str(row[0]): Progress(*row) for row in rows}  # type: ignore[arg-type]  # rows are untyped
    if control.TABLE in found and len(queries) > 1:
        cursor.nextset()
    begun = cursor.fetchall() if control.TABLE in found else []
    backfills = {str(row[0]): Unfinished(*row) for row in begun}  # type: ignore[arg-type]  # rows are untyped
    if _COUNTS in found and len(queries) > 1:
        cursor.nextset()
    unverified = _COUNTS in found and cursor.fetchall() != []
    return History(records, progress, backfills, unverified)


def insert_text(
    file: MigrationFile,
    options: Options,
    *,
    waits: Waits | None = None,
    replaces: Sequence[int] | None = None,
    resumable: bool = False,
    shared: bool = False,
) -> str:
    """Give the SQL that records a file as applied, for the end of the file's own transaction.

    Args:
        file: what is applied.
        options: who runs it.
        waits: its tries for locks in vain.
        replaces: these rows of the version are overwritten, as `repair` does; None: it has none.
        resumable: the file ran in units, so its duration counts from the first of them.
        shared: another file is before it in the same message; the journal will say how long it took.
    """
    history = _table_for(file).insert_text(file, replaces)
    took = fill(_SINCE_STARTED, file.version) if resumable else _SINCE_MESSAGE
    return f"{history};{_side_text(file, options, waits, _NOT_YET_KNOWN if shared else took)}"


def adopt_text(file: MigrationFile, options: Options) -> str:
    """Give the SQL that adds our record to a row of another tool; when and how long is not known."""
    side = _side_text(file, options, None, _BY_ANOTHER_TOOL)
    return f"{forget_text([file.version])};{side};{end_progress_text(file.version)}"


def forget_text(versions: Sequence[str]) -> str:
    """Give the SQL that removes what we know of versions that another tool may have reverted."""
    return fill(_FORGET_SIDE, list(versions), list(versions))


def _side_text(file: MigrationFile, options: Options, waits: Waits | None, times: str) -> str:
    """Give the SQL that records what the history has no column for."""
    what = (file.version, file.file, file.checksum, file.phase)
    waited = (waits.retries, f"{waits.lock_wait_ms:.3f}") if waits else (0, "0")
    who = (options.actor, options.stack, options.tool_version, options.git_commit)
    login = options.acting and options.acting.role
    # One server process runs all of a message, so the first file in it speaks for all.
    guard = "" if times is _NOT_YET_KNOWN else f" where {still_ours(options.holder)}"
    return f"{fill(_INSERT_SIDE, *what, *waited, *who, login)}{times}{guard}"


def delete_text(folder: Folder, version: str, rows: Sequence[int] = ()) -> str:
    """Give the SQL that forgets a version."""
    return (
        f"{table_of(folder).delete_text(version, rows)};{fill(_DELETE, version, version, version, version)}"
    )


def begin_progress_text(file: MigrationFile) -> str:
    """Give the SQL that starts the record of a file which runs in units."""
    total = len(read_script(file.sql).statements)
    return fill(_INSERT_PROGRESS, file.version, file.file, total, prefix_hashes(file.sql)[0])


def progress_text(file: MigrationFile, done: int) -> str:
    """Give the SQL that moves the record of a file to `done` statements."""
    prefix = prefix_hashes(file.sql)[done]
    return fill(_ADVANCE, done, prefix, file.version)


def running_text(file: MigrationFile, index: int) -> str:
    """Give the SQL that says: this statement begins outside of a transaction."""
    return fill(_RUNNING, index, file.version)


def error_text(file: MigrationFile, text: str, *, leaves_traces: bool) -> str:
    """Give the SQL that keeps the reason why a file stopped.

    Args:
        file: which file.
        text: the reason.
        leaves_traces: the statement must be looked at before it is run again, although it failed.
    """
    ended: LiteralString = "" if leaves_traces else ", running = null"
    return fill(_FAILED + ended + " where version = {}", text, file.version)


def end_progress_text(version: str) -> str:
    """Give the SQL that ends the record of a file which ran in units."""
    return fill("delete from groundwork.migration_progress where version = {}", version)
