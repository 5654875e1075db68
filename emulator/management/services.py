"""Settings of storage and realtime: kept, merged by PATCH, answered in full."""

# ruff: noqa: N815 - the names are the API's own

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from emulator import sections
from emulator.management.bodies import EXISTS, AllProjects, Body, ClosedBody, Omissible, Project

router = APIRouter(prefix="/v1/projects/{ref}/config")

Limit = Annotated[int, Field(ge=0)]


class Switch(Body):
    """A feature that is on or off."""

    enabled: bool


class IcebergCatalog(Switch):
    """Iceberg catalogs and their limits."""

    maxNamespaces: Limit
    maxTables: Limit
    maxCatalogs: Limit


class VectorBuckets(Switch):
    """Vector buckets and their limits."""

    maxBuckets: Limit
    maxIndexes: Limit


class Features(Body):
    """Features of storage; what is left out stays."""

    imageTransformation: Switch = Switch(enabled=False)
    s3Protocol: Switch = Switch(enabled=False)
    purgeCache: Switch = Switch(enabled=False)
    icebergCatalog: Omissible[IcebergCatalog] = None
    vectorBuckets: Omissible[VectorBuckets] = None


class External(Body):
    """Which release of the service answers."""

    upstreamTarget: Literal["main", "canary"]


class ChangeStorage(ClosedBody):
    """Body of PATCH config/storage; what is left out stays."""

    fileSizeLimit: int = Field(0, ge=0, le=536_870_912_000)
    features: Features = Features()
    external: Omissible[External] = None


class ChangeRealtime(ClosedBody):
    """Body of PATCH config/realtime; what is left out stays."""

    private_only: bool = False
    connection_pool: int = Field(1, ge=1, le=100)
    postgres_changes_pool: int = Field(1, ge=1)
    max_concurrent_users: int = Field(1, ge=1, le=50_000)
    max_events_per_second: int = Field(1, ge=1, le=50_000)
    max_bytes_per_second: int = Field(1, ge=1, le=10_000_000)
    max_channels_per_client: int = Field(1, ge=1, le=10_000)
    max_joins_per_second: int = Field(1, ge=1, le=5000)
    max_presence_events_per_second: int = Field(1, ge=1, le=5000)
    max_payload_size_in_kb: int = Field(1, ge=1, le=10_000)
    suspend: bool = False
    presence_enabled: bool = False


@router.get("/storage")
def get_storage(project: Project) -> dict[str, Any]:
    """Give all settings of storage."""
    return sections.effective(project, "storage")


@router.patch("/storage", response_class=Response)
def change_storage(ref: str, body: ChangeStorage, projects: AllProjects) -> None:
    """Change some settings of storage, each feature as a whole."""
    changes = body.model_dump(exclude_unset=True)
    with projects.store.lock:
        now = sections.effective(projects.store.get(ref), "storage")
        if "features" in changes:
            changes["features"] = {**now["features"], **changes["features"]}
        projects.store.configure(ref, "storage", changes)


@router.post("/realtime/shutdown", status_code=204, dependencies=[EXISTS])
def shut_realtime_down() -> None:
    """End the connections of realtime: there are none."""


@router.get("/realtime")
def get_realtime(project: Project) -> dict[str, Any]:
    """Give all settings of realtime."""
    return sections.effective(project, "realtime")


@router.patch("/realtime", status_code=204)
def change_realtime(body: ChangeRealtime, project: Project, projects: AllProjects) -> None:
    """Change some settings of realtime."""
    projects.store.configure(project.ref, "realtime", body.model_dump(exclude_unset=True))
