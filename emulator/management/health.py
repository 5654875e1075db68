"""Health of a project's services, each asked by doing what it lives by."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import psycopg
from fastapi import APIRouter, Query

from emulator import sections
from emulator.errors import ApiError
from emulator.management.bodies import AllProjects, Project  # noqa: TC001 - FastAPI reads the annotations
from emulator.services import probes

if TYPE_CHECKING:
    from emulator.instance import Instance
    from emulator.store import Record

Service = Literal["auth", "db", "db_postgres_user", "pooler", "realtime", "rest", "storage", "pg_bouncer"]

router = APIRouter(prefix="/v1/projects/{ref}")


@router.get("/health")
def get_health(
    project: Project,
    projects: AllProjects,
    services: Annotated[list[str], Query()],
    timeout_ms: Annotated[int, Query(ge=0, le=10000)] = 3000,
) -> list[dict[str, Any]]:
    """Check the services that are asked for."""
    server = projects.instance(project.ref)
    names = _names(services)
    timeout_s = max(1, timeout_ms // 1000)
    # At once: a database that hangs costs one timeout, not one per service.
    with ThreadPoolExecutor(max_workers=len(get_args(Service))) as pool:
        return list(pool.map(lambda name: _check(project, server, name, timeout_s), names))


def _names(services: list[str]) -> list[str]:
    names = [name for given in services for name in given.split(",") if name]
    for name in names:
        if name not in get_args(Service):
            raise ApiError(400, f"services: {name} is none of {', '.join(get_args(Service))}")
    return names


def _check(project: Record, server: Instance, name: str, timeout_s: int) -> dict[str, Any]:
    if project.status in {"UNKNOWN", "COMING_UP", "RESTORING", "RESIZING"}:
        return {"name": name, "healthy": False, "status": "COMING_UP"}
    try:
        probes.check(server, name, timeout_s=timeout_s)
    except (ConnectionError, psycopg.Error) as error:
        said = str(error).splitlines()[0]
        return {"name": name, "healthy": False, "status": "UNHEALTHY", "error": said}
    return {"name": name, "healthy": True, "status": "ACTIVE_HEALTHY", **_info(project, name)}


def _info(project: Record, name: str) -> dict[str, Any]:
    if name == "auth":
        return {"info": probes.AUTH_VERSION}
    if name == "rest":
        return {"info": {"db_schema": sections.effective(project, "postgrest")["db_schema"]}}
    if name == "realtime":
        info = {"healthy": True, "db_connected": True, "replication_connected": True, "connected_cluster": 1}
        return {"info": info}
    return {}
