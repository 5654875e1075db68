"""What the schemas of a project's database hold: their names, and TypeScript types for clients."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from fastapi import APIRouter

from emulator import catalog, instance, typescript
from emulator.errors import ApiError
from emulator.management.bodies import ActiveProject  # noqa: TC001 - FastAPI reads the annotations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emulator.store import Record

router = APIRouter(prefix="/v1/projects/{ref}")

_NAMES = "select nspname from pg_namespace where nspname !~ '^pg_(toast|temp)' order by 1"


@contextmanager
def _session(project: Record) -> Iterator[psycopg.Connection]:
    try:
        with instance.connect(instance.admin_dsn(project)) as session:
            yield session
    except psycopg.OperationalError as error:
        raise ApiError(500, "The project's database cannot be reached.") from error


@router.get("/types/typescript")
def get_typescript(project: ActiveProject, included_schemas: str = "public") -> dict[str, str]:
    """Write TypeScript types of the schemas that are named, with commas between them."""
    if "\0" in included_schemas:
        raise ApiError(400, "included_schemas: no schema has such a name.")
    names = dict.fromkeys(filter(None, (name.strip() for name in included_schemas.split(","))))
    with _session(project) as session:
        return {"types": typescript.generate(catalog.read(session, list(names)))}


@router.get("/database/context")
def get_context(project: ActiveProject) -> dict[str, Any]:
    """List the database's schemas."""
    with _session(project) as session:
        schemas = [{"name": name} for (name,) in session.execute(_NAMES).fetchall()]
    return {"databases": [{"name": instance.DATABASE, "schemas": schemas}]}
