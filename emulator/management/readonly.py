"""The read-only mode, which the platform sets when a disk is full: here never, but it can be lifted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Response

from emulator.management.bodies import AllProjects, Project  # noqa: TC001 - FastAPI reads the annotations

router = APIRouter(prefix="/v1/projects/{ref}/readonly")

_SECTION = "readonly"
_UNTIL = "override_active_until"
_OVERRIDE = timedelta(minutes=15)


@router.get("")
def get_readonly(project: Project) -> dict[str, Any]:
    """Tell whether the mode is on, and until when it is lifted."""
    until = project.config.get(_SECTION, {}).get(_UNTIL, "")
    lifted = bool(until) and datetime.fromisoformat(until) > datetime.now(UTC)
    return {"enabled": False, "override_enabled": lifted, _UNTIL: until}


@router.post("/temporary-disable", status_code=201, response_class=Response)
def lift_readonly(project: Project, projects: AllProjects) -> None:
    """Lift the mode for a quarter of an hour."""
    until = (datetime.now(UTC) + _OVERRIDE).isoformat()
    projects.store.configure(project.ref, _SECTION, {_UNTIL: until})
