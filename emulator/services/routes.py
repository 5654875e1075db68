"""Routes of a project's own URL, below `/projects/{ref}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from fastapi import APIRouter, Depends

from emulator import instance, sections
from emulator.services import gateway, probes
from emulator.services.gateway import CallerRole, Server, UpProject  # noqa: TC001 - FastAPI reads them

if TYPE_CHECKING:
    from emulator.store import Record

# Tables and views of the exposed schemas on which the caller's role has any of PostgREST's four verbs.
_EXPOSED = """
select c.relname, obj_description(c.oid, 'pg_class')
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s) and c.relkind in ('r', 'p', 'v', 'm', 'f')
  and has_schema_privilege(%(role)s, n.oid, 'usage')
  and has_table_privilege(%(role)s, c.oid, 'select, insert, update, delete')
order by 1
"""

router = APIRouter(prefix="/projects/{ref}")


@router.get("/auth/v1/health", dependencies=[Depends(gateway.find_role)])
def auth_health(server: Server) -> dict[str, Any]:
    """Tell that auth works, as the real service: only to callers with an API key."""
    gateway.check(server, "auth")
    return probes.AUTH_VERSION


@router.get("/auth/v1/.well-known/jwks.json")
def auth_keys(server: Server) -> dict[str, Any]:
    """List the public keys of signed-in users' tokens: none, as they are signed with a shared secret."""
    gateway.check(server, "auth")
    return {"keys": []}


@router.get("/rest/v1/")
def rest_root(project: UpProject, server: Server, role: CallerRole) -> dict[str, Any]:
    """Describe the tables that the caller's role can reach, as they are now."""
    gateway.check(server, "rest")
    tables = _exposed_tables(project, server, role)
    return {
        "swagger": "2.0",
        "info": {"title": "PostgREST API", "description": "", "version": "14"},
        "basePath": "/",
        "paths": {f"/{name}": {} for name in ["", *tables]},
        "definitions": {name: {"type": "object", "description": said} for name, said in tables.items()},
    }


def _exposed_tables(project: Record, server: instance.Instance, role: str) -> dict[str, str]:
    schemas = sections.effective(project, "postgrest")["db_schema"].split(",")
    values = {"schemas": [schema.strip() for schema in schemas], "role": role}
    try:
        with instance.connect(server.dsn("authenticator")) as session:
            return {name: said or "" for name, said in session.execute(_EXPOSED, values)}
    except (ConnectionError, psycopg.Error) as error:
        raise gateway.unavailable("rest", error) from error


@router.get("/storage/v1/status")
@router.get("/storage/v1/health", include_in_schema=False)
def storage_status(server: Server) -> dict[str, Any]:
    """Tell that storage works; the real service asks for no API key here."""
    gateway.check(server, "storage")
    return {"healthy": True}
