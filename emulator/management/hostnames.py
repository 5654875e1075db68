"""A project's own host name: claimed, verified and activated; the stand-in believes every name."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Response
from pydantic import Field

from emulator.errors import ApiError
from emulator.management import addons
from emulator.management.bodies import AllProjects, Body, Project

if TYPE_CHECKING:
    from emulator.projects import Projects
    from emulator.store import Record

router = APIRouter(prefix="/v1/projects/{ref}/custom-hostname")

_KIND = "hostname"
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
_CLAIMED, _PROVED, _ACTIVE = "2_initiated", "4_origin_setup_completed", "5_services_reconfigured"


class ClaimName(Body):
    """Body of POST initialize."""

    custom_hostname: str = Field(min_length=1, max_length=253)

    def check(self) -> None:
        """Refuse what is no name below a domain (RFC 1123).

        Raises:
            ApiError: 400.
        """
        labels = self.custom_hostname.split(".")
        is_name = len(labels) > 2 and all(_LABEL.fullmatch(label) for label in labels)
        if not is_name or labels[-1].isdigit():
            raise ApiError(400, "The custom hostname must be a name below a domain, such as api.example.com.")


def _name(record: Record) -> dict[str, Any]:
    """Give what is kept of the project's name, in the real service's words when there is none."""
    if "custom_domain" not in addons.selected(record):
        raise ApiError(400, "Please enable the Custom Domain add-on for the project first.")
    kept = record.things.get(_KIND, {}).get("name")
    if kept is None:
        raise ApiError(400, "No custom hostname configuration found.")
    return kept


def _shown(kept: dict[str, Any], ref: str) -> dict[str, Any]:
    name, proof = kept["custom_hostname"], kept["proof"]
    state = "active" if kept["status"] != _CLAIMED else "pending_validation"
    records = (
        [] if kept["status"] != _CLAIMED else [{"txt_name": f"_acme-challenge.{name}", "txt_value": proof}]
    )
    result = {
        "id": kept["id"],
        "hostname": name,
        "ssl": {"status": state, "validation_records": records},
        "ownership_verification": {"type": "txt", "name": f"_cf-custom-hostname.{name}", "value": kept["id"]},
        "custom_origin_server": f"{ref}.supabase.co",
        "status": "pending" if kept["status"] == _CLAIMED else "active",
    }
    data = {"success": True, "errors": [], "messages": [], "result": result}
    return {"status": kept["status"], "custom_hostname": name, "data": data}


def _move(projects: Projects, ref: str, to: str, *, after: str = "") -> dict[str, Any]:
    with projects.store.lock:
        kept = _name(projects.store.get(ref))
        if kept["status"] < after:
            raise ApiError(400, "Custom hostname is not verified yet.")
        moved = {**kept, "status": max(kept["status"], to)}
        projects.store.keep(ref, _KIND, {"name": moved})
    return _shown(moved, ref)


@router.get("")
def get_hostname(project: Project) -> dict[str, Any]:
    """Give the name and how far it is."""
    return _shown(_name(project), project.ref)


@router.post("/initialize", status_code=201)
def claim_hostname(ref: str, body: ClaimName, projects: AllProjects) -> dict[str, Any]:
    """Claim a name; another one has to be given up first."""
    body.check()
    with projects.store.lock:
        record = projects.store.get(ref)
        try:
            _name(record)
        except ApiError as error:
            if "add-on" in error.message:
                raise
        else:
            advice = "before attempting to create a new one."
            raise ApiError(544, f"Delete the custom hostname associated with your project {advice}")
        made = {
            "custom_hostname": body.custom_hostname,
            "status": _CLAIMED,
            "id": secrets.token_hex(16),
            "proof": secrets.token_urlsafe(24),
        }
        projects.store.keep(ref, _KIND, {"name": made})
    return _shown(made, ref)


@router.post("/reverify", status_code=201)
def verify_hostname(ref: str, projects: AllProjects) -> dict[str, Any]:
    """Look at DNS; the stand-in takes every name as proved."""
    return _move(projects, ref, _PROVED)


@router.post("/activate", status_code=201)
def activate_hostname(ref: str, projects: AllProjects) -> dict[str, Any]:
    """Put a proved name into service."""
    return _move(projects, ref, _ACTIVE, after=_PROVED)


@router.delete("", response_class=Response)
def delete_hostname(ref: str, projects: AllProjects, *, remove_addon: bool = False) -> None:
    """Give the name up, and the add-on with it if asked."""
    with projects.store.lock:
        _name(projects.store.get(ref))
        projects.store.keep(ref, _KIND, {})
    if remove_addon:
        addons.remove_addon(ref, "cd_default", projects)
