"""From where, and how, a project's database may be reached: kept and answered; all stays on this machine."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter
from pydantic import AfterValidator, Field

from emulator import sections
from emulator.management.bodies import AllProjects, Body, Project

if TYPE_CHECKING:
    from emulator.store import Record

router = APIRouter(prefix="/v1/projects/{ref}")

_LISTS = {4: "dbAllowedCidrs", 6: "dbAllowedCidrsV6"}


def _network(text: str) -> str:
    ipaddress.ip_network(text)
    return text


Cidr = Annotated[str, AfterValidator(_network)]


class Ssl(Body):
    """Whether connections without TLS are refused."""

    database: bool


class ChangeSsl(Body):
    """Body of PUT ssl-enforcement."""

    requestedConfig: Ssl  # noqa: N815 - the API's own name


class Networks(Body):
    """Body of POST network-restrictions/apply; a list that is left out is empty."""

    dbAllowedCidrs: list[Cidr] = Field(default=[])  # noqa: N815 - the API's own name
    dbAllowedCidrsV6: list[Cidr] = Field(default=[])  # noqa: N815 - the API's own name


class ChangeNetworks(Body):
    """Body of PATCH network-restrictions."""

    add: Networks = Networks()
    remove: Networks = Networks()


@router.get("/ssl-enforcement")
def get_ssl(project: Project) -> dict[str, Any]:
    """Tell whether connections without TLS are refused."""
    return {"currentConfig": sections.effective(project, "ssl"), "appliedSuccessfully": True}


@router.put("/ssl-enforcement")
def change_ssl(body: ChangeSsl, project: Project, projects: AllProjects) -> dict[str, Any]:
    """Refuse connections without TLS, or not; the stand-in's database goes on to take them."""
    return get_ssl(projects.store.configure(project.ref, "ssl", body.requestedConfig.model_dump()))


@router.get("/network-restrictions")
def get_networks(project: Project) -> dict[str, Any]:
    """Tell from where the database may be reached."""
    settings = sections.effective(project, "network")
    times: dict[str, Any] = {
        name: settings[name] for name in ("updated_at", "applied_at") if name in settings
    }
    config = {name: settings[name] for name in _LISTS.values()}
    return {"entitlement": "allowed", "config": config, "status": "applied", **times}


@router.post("/network-restrictions/apply", status_code=201)
def replace_networks(body: Networks, project: Project, projects: AllProjects) -> dict[str, Any]:
    """Replace both lists."""
    return get_networks(_keep(projects, project, body.model_dump()))


@router.patch("/network-restrictions")
def change_networks(body: ChangeNetworks, project: Project, projects: AllProjects) -> dict[str, Any]:
    """Add networks to the lists and take some away; the answer has them as one list with types."""
    add, remove = body.add.model_dump(), body.remove.model_dump()
    with projects.store.lock:
        now = sections.effective(projects.store.get(project.ref), "network")
        lists = {
            name: [one for one in dict.fromkeys([*now[name], *add[name]]) if one not in remove[name]]
            for name in _LISTS.values()
        }
        shown = get_networks(_keep(projects, project, lists))
    typed = [
        {"address": address, "type": f"v{version}"}
        for version, name in _LISTS.items()
        for address in shown["config"][name]
    ]
    return {**shown, "config": {"dbAllowedCidrs": typed}}


def _keep(projects: AllProjects, project: Record, lists: dict[str, Any]) -> Record:
    now = datetime.now(UTC).isoformat()
    return projects.store.configure(project.ref, "network", {**lists, "updated_at": now, "applied_at": now})
