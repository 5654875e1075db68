"""Add-ons of a project: kept and answered; compute, restore to any moment, IPv4, a domain of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Response

from emulator.errors import ApiError
from emulator.management.bodies import AllProjects, Body, Project
from emulator.management.regions import DEFAULT_SIZE

if TYPE_CHECKING:
    from emulator.store import Record

router = APIRouter(prefix="/v1/projects/{ref}/billing/addons")

_KIND = "addons"
_TYPES = {
    "compute_instance": "Compute instance",
    "pitr": "Point-in-time recovery",
    "ipv4": "Dedicated IPv4",
    "custom_domain": "Custom domain",
}
# Variants by type, with the platform's published price in dollars a month.
_VARIANTS: dict[str, dict[str, int]] = {
    "compute_instance": {
        "ci_micro": 10,
        "ci_small": 15,
        "ci_medium": 60,
        "ci_large": 110,
        "ci_xlarge": 210,
        "ci_2xlarge": 410,
        "ci_4xlarge": 960,
        "ci_8xlarge": 1870,
        "ci_12xlarge": 2800,
        "ci_16xlarge": 3730,
    },
    "pitr": {"pitr_7": 100, "pitr_14": 200, "pitr_28": 400},
    "ipv4": {"ipv4_default": 4},
    "custom_domain": {"cd_default": 10},
}


class ApplyAddon(Body):
    """Body of PATCH."""

    addon_variant: str
    addon_type: Literal[
        "custom_domain",
        "compute_instance",
        "pitr",
        "ipv4",
        "auth_mfa_phone",
        "auth_mfa_web_authn",
        "log_drain",
    ]


def selected(record: Record) -> dict[str, str]:
    """Give the variant of each type that a project has."""
    return {kind: one["variant"] for kind, one in record.things.get(_KIND, {}).items()}


def _shown(kind: str, variant: str) -> dict[str, Any]:
    amount = _VARIANTS[kind][variant]
    price = {"description": f"${amount}/month", "type": "fixed", "interval": "monthly", "amount": amount}
    return {"id": variant, "name": f"{_TYPES[kind]} {variant.split('_', 1)[1]}", "price": price}


@router.get("")
def list_addons(project: Project) -> dict[str, Any]:
    """List what the project has and what it may have."""
    return {
        "selected_addons": [
            {"type": kind, "variant": _shown(kind, variant)} for kind, variant in selected(project).items()
        ],
        "available_addons": [
            {"type": kind, "name": name, "variants": [_shown(kind, variant) for variant in _VARIANTS[kind]]}
            for kind, name in _TYPES.items()
        ],
    }


@router.patch("", response_class=Response)
def apply_addon(ref: str, body: ApplyAddon, projects: AllProjects) -> None:
    """Take a variant in the place of the one of its type; another compute restarts the project's server."""
    if body.addon_variant not in _VARIANTS.get(body.addon_type, {}):
        raise ApiError(400, f"{body.addon_variant} is no variant of {body.addon_type} that can be applied.")
    with projects.store.lock:
        record = projects.store.get(ref)
        if selected(record).get(body.addon_type) == body.addon_variant:
            return
        if body.addon_type == "compute_instance":
            projects.resize(ref, body.addon_variant.removeprefix("ci_"))
        things = {**record.things.get(_KIND, {}), body.addon_type: {"variant": body.addon_variant}}
        projects.store.keep(ref, _KIND, things)


@router.delete("/{addon_variant}", response_class=Response)
def remove_addon(ref: str, addon_variant: str, projects: AllProjects) -> None:
    """Give a variant up; without one of compute, the project is moved to the size that new ones have."""
    with projects.store.lock:
        record = projects.store.get(ref)
        if addon_variant not in selected(record).values():
            raise ApiError(404, f"The project has no add-on {addon_variant}.")
        if addon_variant in _VARIANTS["compute_instance"]:
            projects.resize(ref, DEFAULT_SIZE)
        kept = {kind: one for kind, one in record.things[_KIND].items() if one["variant"] != addon_variant}
        projects.store.keep(ref, _KIND, kept)
