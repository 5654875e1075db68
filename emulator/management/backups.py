"""The platform's backups: the stand-in makes none, and says so as the real service does for a new project.

Restore points are recorded, so that what asks for them can be tried; nothing can be restored from them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from emulator.errors import ApiError
from emulator.management import addons
from emulator.management.bodies import AllProjects, Body, Project

router = APIRouter(prefix="/v1/projects/{ref}/database/backups")

RestorePointName = Annotated[str, Field(max_length=20)]
_POINTS = "restore_points"
_DEFAULT_TIME = "03:00"
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


class RestorePitr(Body):
    """Body of POST restore-pitr."""

    recovery_time_target_unix: int = Field(ge=0)


class NewRestorePoint(Body):
    """Body of POST restore-point."""

    name: RestorePointName


class ChangeSchedule(Body):
    """Body of PATCH schedule."""

    schedule_for: str


@router.get("")
def list_backups(project: Project) -> dict[str, Any]:
    """List the backups: none."""
    has_pitr = "pitr" in addons.selected(project)
    return {
        "region": project.region,
        "walg_enabled": True,
        "pitr_enabled": has_pitr,
        "backups": [],
        "physical_backup_data": {},
    }


@router.post("/restore-pitr", status_code=201)
def restore_pitr(body: RestorePitr, project: Project) -> None:
    """Refuse: without the add-on as the real service does, with it because there is nothing to restore."""
    if "pitr" not in addons.selected(project):
        raise ApiError(400, "PITR is not enabled for this project.")
    raise ApiError(400, f"The emulator has no backup from before {body.recovery_time_target_unix}.")


@router.post("/restore-point", status_code=201)
def make_restore_point(body: NewRestorePoint, project: Project, projects: AllProjects) -> dict[str, Any]:
    """Record a restore point; it is done by the next look."""
    done = {"name": body.name, "status": "AVAILABLE", "completed_on": datetime.now(UTC).isoformat()}
    with projects.store.lock:
        points = projects.store.get(project.ref).things.get(_POINTS, {})
        if body.name in points:
            raise ApiError(400, f"Restore point {body.name} already exists")
        projects.store.keep(project.ref, _POINTS, {**points, body.name: done})
    return {**done, "status": "PENDING", "completed_on": None}


@router.get("/restore-point")
def get_restore_point(project: Project, name: RestorePointName | None = None) -> dict[str, Any]:
    """Tell how a restore point is, or the last one."""
    points = project.things.get(_POINTS, {})
    found: dict[str, Any] | None = points.get(name) if name else next(iter(reversed(points.values())), None)
    if found is None:
        raise ApiError(404, "Restore point not found")
    return found


@router.get("/schedule")
def get_schedule(project: Project) -> dict[str, Any]:
    """Tell when the daily backup is made."""
    defaults = {"schedule_for": _DEFAULT_TIME, "updated_at": project.created_at.isoformat()}
    return {**defaults, **project.config.get("backups", {})}


@router.patch("/schedule")
def change_schedule(body: ChangeSchedule, project: Project, projects: AllProjects) -> dict[str, Any]:
    """Choose when the daily backup is made: an hour and a minute, UTC."""
    if not _TIME.fullmatch(body.schedule_for):
        raise ApiError(400, "Invalid schedule_for format")
    changes = {"schedule_for": body.schedule_for, "updated_at": datetime.now(UTC).isoformat()}
    return get_schedule(projects.store.configure(project.ref, "backups", changes))
