"""The history of a database's migrations, in the table where the Supabase CLI keeps it as well.

The real service opens these routes to selected partners only; `--no-partner` makes the stand-in refuse them.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import psycopg
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from psycopg.rows import dict_row
from pydantic import Field

from emulator import instance, query
from emulator.errors import ApiError
from emulator.management.bodies import ActiveProject, AllProjects, Body, Omissible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emulator.projects import Projects
    from emulator.store import Record


def _check_partner(request: Request) -> None:
    if not request.app.state.options.partner:
        raise ApiError(403, "This endpoint is only available to selected partner OAuth apps.")


router = APIRouter(prefix="/v1/projects/{ref}/database/migrations", dependencies=[Depends(_check_partner)])

Version = Annotated[str, Path(pattern=r"^\d+$")]
From = Annotated[str, Query(pattern=r"^\d+$")]
Key = Annotated[str | None, Header(alias="Idempotency-Key")]

_TABLE = "supabase_migrations.schema_migrations"
# The Supabase CLI makes the first three columns; the service adds its own, also to a table of the CLI's.
_MAKE = f"""
create schema if not exists supabase_migrations;
create table if not exists {_TABLE} (version text primary key, statements text [], name text);
alter table {_TABLE} add column if not exists created_by text;
alter table {_TABLE} add column if not exists idempotency_key text unique;
alter table {_TABLE} add column if not exists rollback text [];
"""
_INSERT = f"""
insert into {_TABLE} (version, name, statements, rollback, created_by, idempotency_key)
values (%(version)s, %(name)s, %(statements)s, %(rollback)s, 'postgres', %(key)s)
"""
# Any number: it only has to differ from other advisory locks of the emulator.
_LOCK = 7_301_002


class Migration(Body):
    """Body of POST, which runs it, and of PUT, which does not."""

    query: str = Field(min_length=1, repr=False)
    name: Omissible[str] = None
    rollback: Omissible[str] = Field(None, repr=False)


class ChangeMigration(Body):
    """Body of PATCH; what is left out stays."""

    name: Omissible[str] = None
    rollback: Omissible[str] = Field(None, repr=False)


History = psycopg.Connection[dict[str, Any]]


@contextmanager
def _session(projects: Projects, project: Record) -> Iterator[History]:
    """Open a transaction of the owner's in which nobody else changes the history."""
    try:
        dsn = projects.instance(project.ref).dsn(instance.OWNER)
        with instance.connect(dsn) as session, _worded(), session.transaction():
            session.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
            session.execute(_MAKE.encode())
            named: Any = session
            named.row_factory = dict_row
            yield named
    except (ConnectionError, psycopg.OperationalError) as error:
        raise ApiError(544, f"The project's database cannot be reached: {error}") from error


@contextmanager
def _worded() -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise ApiError(400, f"Failed to run sql query: {query.worded(error, '')}") from error


def _find(session: History, version: str) -> dict[str, Any]:
    found = session.execute(f"select * from {_TABLE} where version = %s".encode(), [version]).fetchone()
    if found is None:
        raise ApiError(404, "Migration not found")
    return found


def _is_known(session: History, key: str | None) -> bool:
    asked = f"select 1 from {_TABLE} where idempotency_key = %s"
    return key is not None and session.execute(asked.encode(), [key]).fetchone() is not None


def _run(session: History, text: str) -> None:
    try:
        session.execute(text.encode())
    except psycopg.Error as error:
        raise ApiError(400, f"Failed to run sql query: {query.worded(error, text)}") from error


def _values(session: History, body: Migration, key: str | None) -> dict[str, Any]:
    """Give the row of a new migration: its version is the time, or the next second that is free."""
    found = session.execute(f"select max(version) as newest from {_TABLE}".encode()).fetchone() or {}
    now, newest = f"{datetime.now(UTC):%Y%m%d%H%M%S}", found["newest"] or ""
    return {
        "version": str(int(newest) + 1) if newest.isdigit() and int(newest) >= int(now) else now,
        "name": body.name or "",
        "statements": [body.query],
        "rollback": None if body.rollback is None else [body.rollback],
        "key": key,
    }


@router.get("")
def list_migrations(project: ActiveProject, projects: AllProjects) -> list[dict[str, Any]]:
    """List the versions, oldest first."""
    with _session(projects, project) as session:
        listed = f"select version, coalesce(name, '') as name from {_TABLE} order by version"
        return session.execute(listed.encode()).fetchall()


@router.post("", response_class=Response)
def apply_migration(
    body: Migration, project: ActiveProject, projects: AllProjects, idempotency_key: Key = None
) -> None:
    """Run a migration and record it, both or none; a key that was used before runs nothing."""
    with _session(projects, project) as session:
        if _is_known(session, idempotency_key):
            return
        row = _values(session, body, idempotency_key)
        _run(session, body.query)
        session.execute(_INSERT.encode(), row)


@router.put("", response_class=Response)
def record_migration(
    body: Migration, project: ActiveProject, projects: AllProjects, idempotency_key: Key = None
) -> None:
    """Record a migration that is not run; the row of its key, if there is one, is replaced."""
    with _session(projects, project) as session:
        row = _values(session, body, idempotency_key)
        if not _is_known(session, idempotency_key):
            session.execute(_INSERT.encode(), row)
            return
        changed = f"""
            update {_TABLE} set name = %(name)s, statements = %(statements)s, rollback = %(rollback)s
            where idempotency_key = %(key)s
        """
        session.execute(changed.encode(), row)


@router.delete("", response_class=Response)
def roll_back(gte: From, project: ActiveProject, projects: AllProjects) -> None:
    """Run the rollbacks from the newest version down to `gte`, and forget these versions."""
    with _session(projects, project) as session:
        listed = f"select * from {_TABLE} where version >= %s order by version desc"
        for row in session.execute(listed.encode(), [gte]).fetchall():
            for statement in row["rollback"] or ():
                _run(session, statement)
            session.execute(f"delete from {_TABLE} where version = %s".encode(), [row["version"]])


@router.get("/{version}")
def get_migration(version: Version, project: ActiveProject, projects: AllProjects) -> dict[str, Any]:
    """Give one migration."""
    with _session(projects, project) as session:
        return {name: value for name, value in _find(session, version).items() if value is not None}


@router.patch("/{version}", response_class=Response)
def change_migration(
    version: Version, body: ChangeMigration, project: ActiveProject, projects: AllProjects
) -> None:
    """Change the name or the rollback of a migration."""
    with _session(projects, project) as session:
        old = _find(session, version)
        changes = {
            "version": version,
            "name": old["name"] if body.name is None else body.name,
            "rollback": old["rollback"] if body.rollback is None else [body.rollback],
        }
        changed = f"update {_TABLE} set name = %(name)s, rollback = %(rollback)s where version = %(version)s"
        session.execute(changed.encode(), changes)
