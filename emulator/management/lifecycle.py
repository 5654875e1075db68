"""A project's restarts, restorations and upgrades.

There is one PostgreSQL here, so that there is no other version to restore to or to upgrade to; the answers
say so.
"""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Response

from emulator.errors import ApiError
from emulator.management.bodies import EXISTS, AllProjects, Body, Omissible, Project
from emulator.management.projects import VERSION

router = APIRouter(prefix="/v1/projects/{ref}")


class Upgrade(Body):
    """Body of POST upgrade."""

    target_version: str
    release_channel: Omissible[Literal["internal", "alpha", "beta", "ga", "withdrawn", "preview"]] = None


@router.post("/restart", response_class=Response)
def restart_project(project: Project, projects: AllProjects) -> None:
    """Begin to restart a project's server."""
    projects.restart(project.ref)


@router.get("/restore", dependencies=[EXISTS])
def list_restore_versions() -> dict[str, Any]:
    """List the versions of PostgreSQL that a paused project may come back with: no other than its own."""
    return {"available_versions": []}


@router.post("/restore/cancel", response_class=Response)
def cancel_restore(project: Project, projects: AllProjects) -> None:
    """Let a restoration that is under way end as a paused project."""
    projects.cancel_restore(project.ref)


@router.get("/upgrade/eligibility", dependencies=[EXISTS])
def get_eligibility() -> dict[str, Any]:
    """Tell whether there is a newer PostgreSQL: there is none."""
    nothing: dict[str, list[Any]] = {
        name: []
        for name in (
            *("target_upgrade_versions", "legacy_auth_custom_roles", "objects_to_be_dropped"),
            *("unsupported_extensions", "user_defined_objects_in_internal_schemas"),
            *("validation_errors", "warnings"),
        )
    }
    return {
        "eligible": False,
        "current_app_version": VERSION,
        "current_app_version_release_channel": "ga",
        "latest_app_version": VERSION,
        "duration_estimate_hours": 0,
        **nothing,
    }


@router.get("/upgrade/status", dependencies=[EXISTS])
def get_upgrade_status() -> dict[str, Any]:
    """Tell how far the last upgrade is: there was none."""
    return {"databaseUpgradeStatus": None}


@router.post("/upgrade", status_code=201, dependencies=[EXISTS])
def upgrade_project(body: Upgrade) -> dict[str, str]:
    """Refuse, as for a project that has the newest version."""
    raise ApiError(400, f"There is no version {body.target_version} to upgrade to; the newest is {VERSION}.")
