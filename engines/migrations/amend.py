"""Corrects the history by hand, and empties databases that are marked as disposable."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, LiteralString

from engines.acting import acting
from engines.migrations.errors import RefusedError
from engines.migrations.history import ledger
from engines.migrations.plan import Options
from engines.migrations.run import connect
from engines.migrations.sessions.lock import hold
from engines.migrations.sessions.wire import send, undo
from engines.migrations.target import named
from engines.postgres import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.migrations.files.file import MigrationFile
    from engines.migrations.files.folder import Folder
    from engines.migrations.sessions.wire import Session

# What migrations own: everything in public that no extension brought, and the schemas that the login made.
_EMPTY: Final[LiteralString] = """
do $reset$
declare item record;
begin
  for item in
    select format('drop schema if exists %I cascade', n.nspname) as command from pg_namespace n
    where n.nspowner = (select oid from pg_roles where rolname = current_user)
      and n.nspname !~ '^pg_' and n.nspname not in ('public', 'information_schema', 'groundwork', 'auth',
        'storage', 'realtime', 'extensions', 'vault', 'cron', 'net', 'graphql', 'graphql_public', 'pgmq',
        'supabase_functions')
      and not exists (select from pg_depend d where d.objid = n.oid and d.classid = 'pg_namespace'::regclass
        and d.deptype = 'e')
  loop execute item.command; end loop;
  for item in
    select format('drop %s if exists %s cascade', case c.relkind
      when 'v' then 'view' when 'm' then 'materialized view'
      when 'S' then 'sequence' when 'f' then 'foreign table' else 'table' end, c.oid::regclass) as command
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
      and not exists (select from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass
        and d.deptype in ('e', 'a', 'i'))
  loop execute item.command; end loop;
  for item in
    select format('drop routine if exists %s cascade', p.oid::regprocedure) as command from pg_proc p
    where p.pronamespace = 'public'::regnamespace and not exists (select from pg_depend d
      where d.objid = p.oid and d.classid = 'pg_proc'::regclass and d.deptype in ('e', 'i'))
  loop execute item.command; end loop;
  for item in
    select format('drop type if exists %s cascade', t.oid::regtype) as command from pg_type t
    where t.typnamespace = 'public'::regnamespace and t.typtype in ('c', 'd', 'e', 'r') and not exists (select
      from pg_depend d where d.objid = t.oid and d.classid = 'pg_type'::regclass and d.deptype in ('e', 'i'))
  loop execute item.command; end loop;
  drop table if exists groundwork.migrations, groundwork.migration_statements, groundwork.migration_progress,
    groundwork.backfills, groundwork.row_counts;
end $reset$
"""
_MARK: Final[LiteralString] = """
create schema if not exists groundwork;
create table if not exists groundwork.database (
  one boolean primary key default true check (one),
  disposable boolean not null,
  marked_at timestamptz not null default now()
);
insert into groundwork.database (disposable) values (true) on conflict (one) do update set disposable = true;
"""


def repair(
    dsn: str,
    folder: Folder,
    *,
    applied: Sequence[str] = (),
    reverted: Sequence[str] = (),
    options: Options | None = None,
) -> None:
    """Correct the history without running anything.

    Args:
        dsn: of the database; must name it.
        folder: the files.
        applied: versions to record as applied, as their files are now.
        reverted: versions to forget.
        options: who does it.

    Raises:
        RefusedError: a version to be recorded has no file, or one to be forgotten is not known; nothing is
            changed.
    """
    options = options or Options()
    dsn = named(dsn, "repair")
    files = {file.version: file for file in folder.files}
    with connect(dsn, writes=True) as session, hold(session, options.wait_s, lambda _text: None) as holder:
        options = replace(options, holder=holder, acting=acting(session))
        found = ledger.tables(session)
        history = ledger.read(session, found, folder)
        ledger.ensure(session, folder, found, history)
        known = history.records.keys() | history.progress.keys() | history.backfills.keys()
        wrong = [f"there is no file with the version {v} in {folder.path}" for v in applied if v not in files]
        wrong += [f"version {v} is not in the history of {describe(dsn)}" for v in reverted if v not in known]
        wrong += [f"version {v} cannot be both applied and reverted" for v in reverted if v in applied]
        if wrong:
            raise RefusedError(wrong)
        rows = {version: record.rows for version, record in history.records.items()}
        records = [record_text(files[version], options, rows.get(version, ())) for version in applied]
        forgotten = [ledger.delete_text(folder, version, rows.get(version, ())) for version in reverted]
        all_or_nothing(session, [*records, *forgotten])


def record_text(file: MigrationFile, options: Options, rows: Sequence[int]) -> str:
    """Give the SQL that makes a version applied, however far it had come."""
    inserted = ledger.insert_text(file, options, replaces=rows)
    return f"{ledger.forget_text([file.version])};{inserted};{ledger.end_progress_text(file.version)}"


def all_or_nothing(session: Session, statements: Sequence[str]) -> None:
    """Run statements in one transaction.

    Raises:
        RefusedError: the server refused one of them; nothing is changed.
    """
    error = send(session, ";".join(["begin", *statements, "commit"]))
    undo(session)
    if error:
        raise RefusedError([f"{error.text} (SQLSTATE {error.sqlstate})"])


def mark_disposable(dsn: str) -> None:
    """Mark a database as one that `reset` may empty."""
    with connect(dsn, writes=True) as session:
        all_or_nothing(session, [_MARK.strip().removesuffix(";")])


def reset(dsn: str, folder: Folder, *, options: Options | None = None) -> None:
    """Drop what migrations made, and their history, in a disposable database.

    Args:
        dsn: of the database; must name it.
        folder: the files whose effects are dropped; named in the refusal.
        options: how long to wait for another run.

    Raises:
        RefusedError: the database is not marked as disposable.
    """
    dsn = named(dsn, "reset")
    with (
        connect(dsn, writes=True) as session,
        hold(session, (options or Options()).wait_s, lambda _text: None),
    ):
        if not is_disposable(session):
            raise RefusedError([_not_disposable(dsn, folder)])
        history = "drop table if exists supabase_migrations.schema_migrations"
        all_or_nothing(session, [history, _EMPTY.strip()])


def _not_disposable(dsn: str, folder: Folder) -> str:
    return (
        f"the database {describe(dsn)} is not marked as disposable, so what {folder.path} made in it is "
        "kept; only databases that Groundwork itself made for development carry the mark"
    )


def is_disposable(session: Session) -> bool:
    """Say whether the database carries the mark."""
    found = session.execute("select to_regclass('groundwork.database') is not null").fetchone()
    if not found or not found[0]:
        return False
    row = session.execute("select disposable from groundwork.database").fetchone()
    return bool(row and row[0])
