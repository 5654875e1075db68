"""Storage buckets of a project, read from where its database has them."""

from __future__ import annotations

from typing import Any

import psycopg
from fastapi import APIRouter
from psycopg.rows import dict_row

from emulator import instance
from emulator.errors import ApiError
from emulator.management.bodies import ActiveProject  # noqa: TC001 - FastAPI reads the annotations

router = APIRouter(prefix="/v1/projects/{ref}/storage")

_QUERY = """
    select id, name, coalesce(owner::text, '') as owner, public,
           to_json(created_at) #>> '{}' as created_at, to_json(updated_at) #>> '{}' as updated_at
      from storage.buckets order by id
"""


@router.get("/buckets")
def list_buckets(project: ActiveProject) -> list[dict[str, Any]]:
    """List the buckets."""
    try:
        with instance.connect(instance.admin_dsn(project)) as session:
            return session.cursor(row_factory=dict_row).execute(_QUERY).fetchall()
    except psycopg.OperationalError as error:
        raise ApiError(500, "Failed to get list of buckets") from error
