"""A project's disk: its size is kept and answered, how full it is is that of this machine's."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from emulator.errors import ApiError
from emulator.management.bodies import EXISTS, AllProjects, Body, Omissible, Project

router = APIRouter(prefix="/v1/projects/{ref}/config/disk")

Amount = Annotated[int, Field(gt=0)]
_SECTION = "disk"
_DEFAULT: dict[str, Any] = {"type": "gp3", "size_gb": 8, "iops": 3000, "throughput_mibps": 125}


class Gp3(Body):
    """A general purpose disk."""

    type: Literal["gp3"]
    size_gb: Amount
    iops: Amount
    throughput_mibps: Omissible[Amount] = None


class Io2(Body):
    """A disk with provisioned operations."""

    type: Literal["io2"]
    size_gb: Amount
    iops: Amount


class ChangeDisk(Body):
    """Body of POST."""

    attributes: Annotated[Gp3 | Io2, Field(discriminator="type")]


@router.get("")
def get_disk(project: Project) -> dict[str, Any]:
    """Tell what disk the project has."""
    return project.config.get(_SECTION, {"attributes": _DEFAULT})


@router.post("", status_code=201, response_class=Response)
def change_disk(ref: str, body: ChangeDisk, projects: AllProjects) -> None:
    """Replace the disk; it never gets smaller."""
    attributes = body.attributes.model_dump(exclude_none=True)
    with projects.store.lock:
        now = get_disk(projects.store.get(ref))["attributes"]
        if attributes["size_gb"] < now["size_gb"]:
            raise ApiError(400, f"The disk has {now['size_gb']} GB and cannot get smaller.")
        changed = {"attributes": attributes, "last_modified_at": datetime.now(UTC).isoformat()}
        projects.store.replace_section(ref, _SECTION, changed)


@router.get("/util")
def get_utilization(project: Project, projects: AllProjects) -> dict[str, Any]:
    """Tell how full the disk is on which the project's data are."""
    folder = projects.instance(project.ref).folder
    found = shutil.disk_usage(folder if folder.exists() else folder.parent.parent)
    metrics = {"fs_size_bytes": found.total, "fs_avail_bytes": found.free, "fs_used_bytes": found.used}
    return {"timestamp": datetime.now(UTC).isoformat(), "metrics": metrics}


@router.get("/autoscale", dependencies=[EXISTS])
def get_autoscale() -> dict[str, Any]:
    """Tell how the disk grows by itself: as the platform does unless told otherwise."""
    return {"growth_percent": None, "min_increment_gb": None, "max_size_gb": None}
