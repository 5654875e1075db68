"""Sign-on with a company's own accounts (SAML 2.0): providers are kept and answered, once auth has it on."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import Field

from emulator import sections
from emulator.errors import ApiError
from emulator.management.bodies import AllProjects, Body, Omissible, Project

if TYPE_CHECKING:
    from emulator.projects import Projects
    from emulator.store import Record

_KIND = "sso"
Format = Literal[
    "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
    "urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
    "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
]


def _check_enabled(project: Project) -> None:
    if not sections.effective(project, "auth")["saml_enabled"]:
        raise ApiError(404, "SAML 2.0 support is not enabled for this project")


router = APIRouter(
    prefix="/v1/projects/{ref}/config/auth/sso/providers", dependencies=[Depends(_check_enabled)]
)


class Attribute(Body):
    """Where an attribute of a user comes from."""

    name: Omissible[str] = None
    names: Omissible[list[str]] = None
    default: Omissible[dict[str, Any] | float | int | str | bool] = None
    array: Omissible[bool] = None


class Mapping(Body):
    """Attributes of users by name."""

    keys: dict[str, Attribute]


class ChangeProvider(Body):
    """Body of PUT; what is left out stays."""

    metadata_xml: Omissible[str] = Field(None, repr=False)
    metadata_url: Omissible[str] = None
    domains: Omissible[list[str]] = None
    attribute_mapping: Omissible[Mapping] = None
    name_id_format: Omissible[Format] = None


class CreateProvider(ChangeProvider):
    """Body of POST."""

    type: Literal["saml"]


def _find(record: Record, provider_id: uuid.UUID) -> dict[str, Any]:
    found = record.things.get(_KIND, {}).get(str(provider_id))
    if found is None:
        raise ApiError(
            404, "Either SAML 2.0 was not enabled for this project, or the provider does not exist"
        )
    return found


def _keep(projects: Projects, ref: str, provider: dict[str, Any]) -> dict[str, Any]:
    providers = projects.store.get(ref).things.get(_KIND, {})
    projects.store.keep(ref, _KIND, {**providers, provider["id"]: provider})
    return provider


def _changed(old: dict[str, Any], body: ChangeProvider) -> dict[str, Any]:
    """Put what a body gives into a provider."""
    given = body.model_dump(exclude_none=True, exclude={"type"})
    now = datetime.now(UTC).isoformat()
    changed = {**old, "updated_at": now}
    if "domains" in given:
        domains = given.pop("domains")
        changed["domains"] = [
            {"id": str(uuid.uuid4()), "domain": name, "created_at": now, "updated_at": now}
            for name in domains
        ]
    return {**changed, "saml": {**old["saml"], **given}}


@router.get("")
def list_providers(project: Project) -> dict[str, Any]:
    """List the providers."""
    return {"items": list(project.things.get(_KIND, {}).values())}


@router.post("", status_code=201)
def create_provider(ref: str, body: CreateProvider, projects: AllProjects) -> dict[str, Any]:
    """Add a provider."""
    if (body.metadata_xml is None) == (body.metadata_url is None):
        raise ApiError(400, "Exactly one of metadata_xml and metadata_url is needed.")
    made = str(uuid.uuid4())
    entity = {"id": str(uuid.uuid4()), "entity_id": body.metadata_url or f"urn:emulator:{made}"}
    first = {"id": made, "saml": entity, "domains": [], "created_at": datetime.now(UTC).isoformat()}
    with projects.store.lock:
        return _keep(projects, ref, _changed(first, body))


@router.get("/{provider_id}")
def get_provider(provider_id: uuid.UUID, project: Project) -> dict[str, Any]:
    """Give one provider."""
    return _find(project, provider_id)


@router.put("/{provider_id}")
def change_provider(
    ref: str, provider_id: uuid.UUID, body: ChangeProvider, projects: AllProjects
) -> dict[str, Any]:
    """Change a provider."""
    with projects.store.lock:
        return _keep(projects, ref, _changed(_find(projects.store.get(ref), provider_id), body))


@router.delete("/{provider_id}")
def delete_provider(ref: str, provider_id: uuid.UUID, projects: AllProjects) -> dict[str, Any]:
    """Remove a provider."""
    with projects.store.lock:
        record = projects.store.get(ref)
        gone = _find(record, provider_id)
        kept = {name: one for name, one in record.things[_KIND].items() if name != gone["id"]}
        projects.store.keep(ref, _KIND, kept)
    return gone
