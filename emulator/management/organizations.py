"""Organizations, their projects, and the caller's profile."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from emulator.management.bodies import AllProjects, ClosedBody

if TYPE_CHECKING:
    from emulator.store import Record

_ENTITLEMENTS: dict[str, dict[str, Any]] = {
    "custom_domain": {"enabled": True},
    "ipv4": {"enabled": True},
}
EMAIL = "owner@groundwork.example"

router = APIRouter(prefix="/v1")

Slug = Annotated[str, Path(pattern=r"^[\w-]+$")]


class CreateOrganization(ClosedBody):
    """Body of POST."""

    name: str = Field(min_length=1, max_length=256)


class Page(BaseModel):
    """Which projects of an organization are asked for, and in which order."""

    model_config = ConfigDict(frozen=True)

    offset: int = Field(0, ge=0)
    limit: int = Field(100, ge=1, le=100)
    search: str = ""
    sort: Literal["name_asc", "name_desc", "created_asc", "created_desc"] = "name_asc"
    statuses: str = ""

    def select(self, records: list[Record]) -> list[Record]:
        """Give the records that match, all pages of them, in order."""
        wanted = set(filter(None, self.statuses.split(",")))
        found = [
            record
            for record in records
            if self.search.lower() in record.name.lower() and (not wanted or record.status in wanted)
        ]
        by_name = self.sort.startswith("name")
        return sorted(
            found,
            key=lambda record: record.name if by_name else record.created_at.isoformat(),
            reverse=self.sort.endswith("desc"),
        )


@router.get("/organizations")
def list_organizations(projects: AllProjects) -> list[dict[str, Any]]:
    """List the organizations."""
    return [_named(slug, name) for slug, name in projects.organizations.all().items()]


@router.post("/organizations", status_code=201)
def create_organization(body: CreateOrganization, projects: AllProjects) -> dict[str, Any]:
    """Make an organization."""
    return _named(projects.organizations.add(body.name), body.name)


def _named(slug: str, name: str) -> dict[str, Any]:
    return {"id": slug, "slug": slug, "name": name}


@router.get("/organizations/{slug}")
def get_organization(slug: Slug, projects: AllProjects) -> dict[str, Any]:
    """Give one organization."""
    return {
        "id": slug,
        "name": projects.organizations.name(slug),
        "plan": "pro",
        "opt_in_tags": [],
        "allowed_release_channels": ["ga", "preview"],
    }


@router.get("/organizations/{slug}/members")
def list_members(slug: Slug, projects: AllProjects) -> list[dict[str, Any]]:
    """List the members of an organization: the token's owner."""
    projects.organizations.name(slug)
    profile = get_profile()
    return [
        {
            "user_id": profile["gotrue_id"],
            "user_name": profile["username"],
            "email": profile["primary_email"],
            "role_name": "Owner",
            "mfa_enabled": False,
            "avatar_url": None,
        }
    ]


@router.get("/organizations/{slug}/entitlements")
def list_entitlements(slug: Slug, projects: AllProjects) -> dict[str, Any]:
    """List what the organization's plan includes: what the stand-in can show."""
    projects.organizations.name(slug)
    return {"entitlements": [_entitlement(key, config) for key, config in _ENTITLEMENTS.items()]}


def _entitlement(key: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "feature": {"key": key, "type": "boolean"},
        "hasAccess": True,
        "type": "boolean",
        "config": config,
    }


@router.get("/organizations/{slug}/projects")
def list_projects(slug: Slug, projects: AllProjects, page: Annotated[Page, Query()]) -> dict[str, Any]:
    """List an organization's projects, page by page."""
    projects.organizations.name(slug)
    found = page.select([record for record in projects.store.all() if record.organization == slug])
    shown = found[page.offset : page.offset + page.limit]
    return {
        "projects": [_summary(record) for record in shown],
        "pagination": {"count": len(found), "limit": page.limit, "offset": page.offset},
    }


def _summary(record: Record) -> dict[str, Any]:
    return {
        "ref": record.ref,
        "name": record.name,
        "cloud_provider": "AWS",
        "region": record.region,
        "is_branch": False,
        "status": record.status,
        "inserted_at": record.created_at.isoformat(),
        "databases": [_database(record)],
    }


def _database(record: Record) -> dict[str, Any]:
    # The contract has fewer states for databases than for projects.
    known = {"ACTIVE_HEALTHY", "ACTIVE_UNHEALTHY", "COMING_UP", "GOING_DOWN", "INIT_FAILED", "RESTARTING"}
    return {
        "infra_compute_size": record.size,
        "region": record.region,
        "status": record.status if record.status in known else "UNKNOWN",
        "cloud_provider": "AWS",
        "identifier": record.ref,
        "type": "PRIMARY",
    }


@router.get("/profile")
def get_profile() -> dict[str, Any]:
    """Tell who the token belongs to."""
    owner = uuid.uuid5(uuid.NAMESPACE_DNS, EMAIL)
    return {"gotrue_id": str(owner), "primary_email": EMAIL, "username": "groundwork"}
