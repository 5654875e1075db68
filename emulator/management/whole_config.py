"""All settings of a project in one answer of the second version of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from emulator import sections
from emulator.management.bodies import Project  # noqa: TC001 - FastAPI reads the annotations

if TYPE_CHECKING:
    from emulator.store import Record

router = APIRouter(prefix="/v2/projects/{ref}")

_POOL_TIMES = {"db_pool_acquisition_timeout": 10, "db_pool_max_lifetime": 1800, "db_pool_max_idletime": 30}


@router.get("/config")
def get_config(project: Project) -> dict[str, Any]:
    """Give the settings of each service; an unset one shows its default, except PostgreSQL's parameters."""
    attributes = {
        "database": _database(project),
        "pooler": {**sections.PGBOUNCER, **_present(sections.effective(project, "pooler"))},
        "auth": sections.effective(project, "auth"),
        "api": {**_POOL_TIMES, "db_pool": None, **_present(sections.effective(project, "postgrest"))},
        "realtime": _without(sections.effective(project, "realtime"), "admin_suspended_at"),
        "storage": _storage(sections.effective(project, "storage")),
    }
    return {"data": {"type": "project_config", "id": project.ref, "attributes": attributes}}


def _database(project: Record) -> dict[str, Any]:
    network = sections.effective(project, "network")
    lists = {"v4": network["dbAllowedCidrs"], "v6": network["dbAllowedCidrsV6"]}
    parameters = project.config.get("postgres", {})
    return {
        "major_version": 18,
        "ssl_enforced": sections.effective(project, "ssl")["database"],
        "network_restrictions": {
            "entitlement": "allowed",
            "status": "applied",
            "allowed_cidrs": [{"address": one, "type": kind} for kind, all_ in lists.items() for one in all_],
        },
        "postgres_settings": {name.replace(".", "_"): value for name, value in parameters.items()},
    }


def _storage(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "file_size_limit": settings["fileSizeLimit"],
        "features": _snake(settings["features"]),
        "capabilities": settings["capabilities"],
        "upstream_target": settings["external"]["upstreamTarget"],
        "migration_version": settings["migrationVersion"],
    }


def _snake(value: Any) -> Any:
    """Spell names as `max_tables` that the first version spells `maxTables`."""
    if not isinstance(value, dict):
        return value
    return {
        "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name): _snake(member)
        for name, member in value.items()
    }


def _present(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def _without(settings: dict[str, Any], name: str) -> dict[str, Any]:
    return {other: value for other, value in settings.items() if other != name}
