"""Projects: made, listed, renamed, paused, restored and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from emulator.errors import ApiError
from emulator.management import regions
from emulator.management.bodies import AllProjects, Body, ClosedBody, Omissible, Project
from emulator.projects import NewProject

if TYPE_CHECKING:
    from emulator.store import Record

# What `database.version` and `database.postgres_engine` show; the server really is PostgreSQL 18.
VERSION = "18.6.0"
ENGINE = "18"

router = APIRouter(prefix="/v1/projects")
one = APIRouter(prefix="/{ref}")


class SpecificRegion(Body):
    """One region by its code."""

    type: Literal["specific"]
    code: regions.RegionCode


class SmartGroup(Body):
    """A part of the world; the service chooses the region."""

    type: Literal["smartGroup"]
    code: regions.GroupCode


class CreateProject(ClosedBody):
    """Body of `POST /v1/projects`."""

    db_pass: str = Field(min_length=1, repr=False)
    name: str = Field(min_length=1, max_length=256)
    organization_slug: str = Field(pattern=r"^[\w-]+$")
    organization_id: Omissible[str] = None
    plan: Omissible[Literal["free", "pro"]] = None
    region: Omissible[regions.RegionCode] = None
    region_selection: Omissible[Annotated[SpecificRegion | SmartGroup, Field(discriminator="type")]] = None
    kps_enabled: bool = False
    desired_instance_size: regions.InstanceSize = regions.DEFAULT_SIZE
    template_url: Omissible[str] = None
    # Newer clients send these; the contract of CLI 3.1.0 names them.
    release_channel: Omissible[str] = None
    postgres_engine: Omissible[Literal["15", "17", "17-oriole"]] = None
    high_availability: bool = False

    def chosen_region(self) -> str:
        """Give the region's code.

        Raises:
            ApiError: 400, it was given in both ways.
        """
        if self.region and self.region_selection:
            raise ApiError(400, "Only one of region or region_selection can be specified.")
        if isinstance(self.region_selection, SmartGroup):
            return regions.GROUP_REGIONS[self.region_selection.code]
        if self.region_selection is not None:
            return self.region_selection.code
        return self.region or regions.DEFAULT_REGION


class Rename(Body):
    """Body of `PATCH /v1/projects/{ref}`."""

    name: str = Field(min_length=1, max_length=256)


class RegionsQuery(BaseModel):
    """Query of `GET /v1/projects/available-regions`."""

    organization_slug: str
    continent: Omissible[Literal["NA", "SA", "EU", "AF", "AS", "OC", "AN"]] = None
    desired_instance_size: Omissible[regions.InstanceSize] = None


def _created(record: Record) -> dict[str, Any]:
    return {
        "id": record.ref,
        "ref": record.ref,
        "organization_id": record.organization,
        "organization_slug": record.organization,
        "name": record.name,
        "region": record.region,
        "created_at": record.created_at.isoformat(),
        "status": record.status,
    }


def _shown(record: Record, host: str) -> dict[str, Any]:
    database = {"host": host, "version": VERSION, "postgres_engine": ENGINE, "release_channel": "ga"}
    return {**_created(record), "database": database}


def _named(record: Record) -> dict[str, Any]:
    return {"id": record.number, "ref": record.ref, "name": record.name}


@router.post("", status_code=201)
def create_project(body: CreateProject, projects: AllProjects) -> dict[str, Any]:
    """Begin to make a project; it is ready when its status is ACTIVE_HEALTHY."""
    projects.organizations.name(body.organization_slug)
    wanted = NewProject(
        name=body.name,
        organization=body.organization_slug,
        region=body.chosen_region(),
        size=body.desired_instance_size,
        password=body.db_pass,
    )
    return _created(projects.create(wanted))


@router.get("")
def list_projects(projects: AllProjects) -> list[dict[str, Any]]:
    """List all projects."""
    return [_shown(record, projects.host) for record in projects.store.all()]


@router.get("/available-regions")
def available_regions(query: Annotated[RegionsQuery, Query()], projects: AllProjects) -> dict[str, Any]:
    """List the regions that a new project may be in."""
    projects.organizations.name(query.organization_slug)
    groups = [
        {"name": name, "code": code, "type": "smartGroup"} for code, name in regions.GROUP_NAMES.items()
    ]
    specific = [
        {"name": name, "code": code, "type": "specific", "provider": "AWS"}
        for code, name in regions.NAMES.items()
    ]
    return {
        "recommendations": {"smartGroup": groups[0], "specific": specific[:1]},
        "all": {"smartGroup": groups, "specific": specific},
    }


@one.get("")
def get_project(project: Project, projects: AllProjects) -> dict[str, Any]:
    """Give one project with its status."""
    return _shown(project, projects.host)


@one.patch("")
def rename_project(body: Rename, project: Project, projects: AllProjects) -> dict[str, Any]:
    """Give a project another name."""
    return _named(projects.store.change(project.ref, name=body.name))


@one.delete("")
def delete_project(project: Project, projects: AllProjects) -> dict[str, Any]:
    """Begin to delete a project; it is gone when GET answers 404."""
    return _named(projects.delete(project.ref))


@one.post("/pause", response_class=Response)
def pause_project(project: Project, projects: AllProjects) -> None:
    """Begin to pause a project."""
    projects.pause(project.ref)


@one.post("/restore", response_class=Response)
def restore_project(project: Project, projects: AllProjects) -> None:
    """Begin to bring a paused project back."""
    projects.restore(project.ref)


# Last: the other paths above would match its placeholder.
router.include_router(one)
