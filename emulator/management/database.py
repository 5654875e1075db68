"""SQL, passwords and temporary logins of a project's database."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from fastapi import APIRouter, Response
from psycopg import sql
from pydantic import Field

from emulator import database, instance, query
from emulator.errors import ApiError
from emulator.management.bodies import ActiveProject, AllProjects, Body, Omissible
from emulator.postgres import SUPERUSER

if TYPE_CHECKING:
    from emulator.projects import Projects
    from emulator.store import Record

# As in the recorded answers of the real service: a login role lives for an hour.
LOGIN_ROLE_TTL_S = 3600
# The read-only role has no right to write; this also stops functions that run with their owner's rights.
_READ_ONLY = {instance.READER: "-c default_transaction_read_only=on"}

# Any number: it only has to differ from other advisory locks of the emulator.
_LOGIN_LOCK = 7_301_003
_LOGINS: LiteralString = r"select rolname from pg_roles where rolname like 'cli\_login\_%'"

router = APIRouter(prefix="/v1/projects/{ref}")


class RunQuery(Body):
    """Body of POST database/query."""

    query: str = Field(min_length=1, repr=False)
    parameters: Omissible[list[Any]] = Field(default=None, repr=False)
    read_only: bool = False


class RunReadOnlyQuery(Body):
    """Body of POST database/query/read-only."""

    query: str = Field(min_length=1, repr=False)
    parameters: Omissible[list[Any]] = Field(default=None, repr=False)


class NewPassword(Body):
    """Body of PATCH database/password."""

    password: str = Field(min_length=4, repr=False)


class LoginRole(Body):
    """Body of POST cli/login-role."""

    read_only: bool


@router.post("/database/query", status_code=201)
def run_query(body: RunQuery, project: ActiveProject, projects: AllProjects) -> Response:
    """Run SQL as the role `postgres`, or as the read-only role."""
    role = instance.READER if body.read_only else instance.OWNER
    return _answer(_login(projects, project, role), query.Query(body.query, body.parameters))


@router.post("/database/query/read-only", status_code=201)
def run_read_only_query(body: RunReadOnlyQuery, project: ActiveProject, projects: AllProjects) -> Response:
    """Run SQL as the role `supabase_read_only_user`."""
    return _answer(_login(projects, project, instance.READER), query.Query(body.query, body.parameters))


def _login(projects: Projects, project: Record, role: str) -> psycopg.Connection:
    try:
        return instance.connect(projects.instance(project.ref).dsn(role), options=_READ_ONLY.get(role, ""))
    except (ConnectionError, psycopg.OperationalError) as error:
        # 544 is what the real service answers when the database cannot be reached.
        raise ApiError(544, f"Failed to run sql query: {error}") from error


def _answer(session: psycopg.Connection, asked: query.Query) -> Response:
    try:
        with session:
            rows = query.run(session, asked)
    except query.QueryError as error:
        raise ApiError(400, str(error)) from error
    # Values that JSON lacks and no loader turned into text (an enum array, say) are answered as text.
    return Response(json.dumps(rows, default=str), 201, media_type="application/json")


@router.patch("/database/password")
def change_password(body: NewPassword, project: ActiveProject, projects: AllProjects) -> dict[str, str]:
    """Give the role `postgres` another password; the old one is refused at once."""
    with projects.store.lock:
        try:
            database.set_owner_password(instance.admin_dsn(project), body.password)
        except psycopg.OperationalError as error:
            raise ApiError(
                500, "Failed to update database password: the database cannot be reached."
            ) from error
        projects.store.change(project.ref, owner_password=body.password)
    return {"message": "Successfully updated password"}


@router.post("/cli/login-role", status_code=201)
def create_login_role(body: LoginRole, project: ActiveProject, projects: AllProjects) -> dict[str, Any]:
    """Open the login for a while, with a new password: who asked before opens no new session.

    Read-only ones can read everything and write nothing. There is one login of each kind.
    """
    group = instance.READER if body.read_only else instance.OWNER
    role, password = f"cli_login_{group}", secrets.token_urlsafe(24)
    with _login(projects, project, SUPERUSER) as session, session.transaction():
        session.execute("select pg_advisory_xact_lock(%s)", [_LOGIN_LOCK])
        if session.execute("select from pg_roles where rolname = %s", [role]).fetchone() is None:
            _make_login(session, role, group)
        _open_login(session, role, password)
    return {"role": role, "password": password, "ttl_seconds": LOGIN_ROLE_TTL_S}


@router.delete("/cli/login-role")
def delete_login_roles(project: ActiveProject, projects: AllProjects) -> dict[str, str]:
    """End all logins that were made, and the sessions that they opened."""
    with _login(projects, project, SUPERUSER) as session, session.transaction():
        _drop(session, session.execute(_LOGINS))
    return {"message": "ok"}


def _make_login(session: psycopg.Connection, role: str, group: str) -> None:
    """Make a login that may become the group's role, and is nothing until it does."""
    name = sql.Identifier(role)
    session.execute(sql.SQL("create role {} login noinherit").format(name))
    grant = sql.SQL("grant {} to {} with inherit false, set true")
    session.execute(grant.format(sql.Identifier(group), name))
    if group == instance.READER:
        session.execute(sql.SQL("alter role {} set default_transaction_read_only = on").format(name))


def _open_login(session: psycopg.Connection, role: str, password: str) -> None:
    until = (datetime.now(UTC) + timedelta(seconds=LOGIN_ROLE_TTL_S)).isoformat()
    # Only the verifier is sent: no log of the server can hold the password.
    verifier = session.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    statement = sql.SQL("alter role {} password {} valid until {}")
    session.execute(statement.format(sql.Identifier(role), sql.Literal(verifier), sql.Literal(until)))


def _drop(session: psycopg.Connection, found: psycopg.Cursor) -> None:
    for (role,) in found.fetchall():
        session.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", [role])
        session.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
