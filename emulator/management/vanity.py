"""A name of one's own below the platform's domain: kept and answered, one project for each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Response
from pydantic import Field

from emulator.errors import ApiError
from emulator.management.bodies import AllProjects, Body, Project

if TYPE_CHECKING:
    from emulator.projects import Projects
    from emulator.store import Record

router = APIRouter(prefix="/v1/projects/{ref}/vanity-subdomain")

_SECTION = "vanity"
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
# Names that the platform keeps for itself.
_RESERVED = frozenset({"www", "api", "app", "auth", "status", "supabase"})


class Wanted(Body):
    """Body of both POST routes."""

    vanity_subdomain: str = Field(max_length=63)


def _name(record: Record) -> str:
    return str(record.config.get(_SECTION, {}).get("name", ""))


def _is_free(projects: Projects, name: str, ref: str) -> bool:
    """Tell whether a project may have a name, which must be one.

    Raises:
        ApiError: 400, it is none.
    """
    if not _LABEL.fullmatch(name):
        raise ApiError(400, f"{name!r} is no subdomain: use letters, digits, and - between them.")
    taken = {_name(record) for record in projects.store.all() if record.ref != ref}
    return name not in taken | _RESERVED


@router.get("")
def get_subdomain(project: Project) -> dict[str, Any]:
    """Give the name."""
    name = _name(project)
    return {"status": "active", "custom_domain": f"{name}.supabase.co"} if name else {"status": "not-used"}


@router.post("/check-availability", status_code=201)
def check_subdomain(body: Wanted, project: Project, projects: AllProjects) -> dict[str, bool]:
    """Tell whether a name may be had."""
    return {"available": _is_free(projects, body.vanity_subdomain, project.ref)}


@router.post("/activate", status_code=201)
def activate_subdomain(body: Wanted, ref: str, projects: AllProjects) -> dict[str, str]:
    """Take a name in the place of the one before."""
    with projects.store.lock:
        projects.store.get(ref)
        if not _is_free(projects, body.vanity_subdomain, ref):
            raise ApiError(400, f"The subdomain {body.vanity_subdomain} is not available.")
        projects.store.configure(ref, _SECTION, {"name": body.vanity_subdomain})
    return {"custom_domain": f"{body.vanity_subdomain}.supabase.co"}


@router.delete("", response_class=Response)
def remove_subdomain(project: Project, projects: AllProjects) -> None:
    """Give the name up."""
    projects.store.configure(project.ref, _SECTION, {"name": ""})
