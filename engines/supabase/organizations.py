"""Organizations that the token sees, and where they may have projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from engines.supabase.models import Organization
from engines.supabase.session import Call
from engines.supabase.wire import Answer, segment

if TYPE_CHECKING:
    from engines.supabase.session import Session


class OrganizationDetail(Answer):
    """An organization; `plan` is None where an answer leaves it out."""

    id: str
    name: str
    plan: str | None = None


class Region(Answer):
    """A place for projects; a `status` tells why it takes none now."""

    code: str
    name: str
    status: str | None = None


class Entitlement(Answer):
    """Whether an organization's plan includes a feature, and how much of it."""

    key: str
    has_access: bool
    config: dict[str, Any]

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> Entitlement:
        """Read it from an answer; raises KeyError when that is something else."""
        return cls(key=raw["feature"]["key"], has_access=raw["hasAccess"], config=raw.get("config") or {})


_REGIONS: TypeAdapter[tuple[Region, ...]] = TypeAdapter(tuple[Region, ...])


class Organizations:
    """The organizations of the token's owner."""

    def __init__(self, session: Session) -> None:
        """Use a session."""
        self._session = session

    def all(self) -> tuple[Organization, ...]:
        """List the organizations that the token sees."""
        call = Call("GET", "/v1/organizations", "listing the organizations")
        return self._session.read(call, lambda raw: tuple(map(Organization.read, raw)))

    def get(self, slug: str) -> OrganizationDetail:
        """Read one organization with its plan."""
        call = Call("GET", f"/v1/organizations/{segment(slug)}", f"reading the organization {slug}")
        return self._session.read(call, OrganizationDetail.model_validate)

    def entitlements(self, slug: str) -> tuple[Entitlement, ...]:
        """List what an organization's plan includes."""
        path = f"/v1/organizations/{segment(slug)}/entitlements"
        call = Call("GET", path, f"reading the entitlements of organization {slug}")
        return self._session.read(call, lambda raw: tuple(map(Entitlement.parse, raw["entitlements"])))

    def regions(self, slug: str) -> tuple[Region, ...]:
        """List the regions where an organization may have a project."""
        action = f"listing the regions for organization {slug}"
        call = Call("GET", "/v1/projects/available-regions", action, params={"organization_slug": slug})
        return self._session.read(call, lambda raw: _REGIONS.validate_python(raw["all"]["specific"]))
