"""Keys that sign a project's tokens, and the order of their states.

The stand-in's own legacy API keys stay signed with the project's old secret, whatever happens to these keys.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from emulator.errors import ApiError
from emulator.management import private_jwk
from emulator.management.bodies import AllProjects, ClosedBody, Omissible, Project
from emulator.management.private_jwk import Algorithm, PrivateJwk  # noqa: TC001 - pydantic reads them

if TYPE_CHECKING:
    from emulator.projects import Projects
    from emulator.store import Record

router = APIRouter(prefix="/v1/projects/{ref}/config/auth/signing-keys")

State = Literal["in_use", "previously_used", "revoked", "standby"]
_KIND = "signing_keys"
_LEGACY = "legacy"
# From each state, those that a key may be brought to; `in_use` takes the place of the key before it.
_NEXT: dict[str, set[str]] = {
    "standby": {"standby", "in_use", "revoked"},
    "in_use": {"in_use"},
    "previously_used": {"previously_used", "in_use", "revoked"},
    "revoked": {"revoked", "standby"},
}


class CreateKey(ClosedBody):
    """Body of POST; the private key is used and not kept."""

    algorithm: Algorithm
    status: Literal["in_use", "standby"] = "standby"
    private_jwk: Omissible[PrivateJwk] = Field(None, repr=False)


class ChangeKey(ClosedBody):
    """Body of PATCH."""

    status: State


def _keys(record: Record) -> dict[str, dict[str, Any]]:
    return record.things.get(_KIND, {})


def _find(record: Record, key_id: str) -> dict[str, Any]:
    key = _keys(record).get(key_id)
    if key is None:
        raise ApiError(404, "Signing key not found")
    return key


def _shown(key: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name != _LEGACY}


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _made(algorithm: str, status: str, public_jwk: dict[str, Any] | None) -> dict[str, Any]:
    now = _now()
    return {
        "id": str(uuid.uuid4()),
        "algorithm": algorithm,
        "status": status,
        "public_jwk": public_jwk,
        "created_at": now,
        "updated_at": now,
    }


def _public(body: CreateKey) -> dict[str, Any] | None:
    """Give the public half of a key; None: there is none."""
    if body.private_jwk is None:
        return private_jwk.made(body.algorithm)
    if not private_jwk.fits(body.algorithm, body.private_jwk):
        raise ApiError(400, f"private_jwk is no key for {body.algorithm}.")
    return None if body.algorithm == "HS256" else private_jwk.public_half(body.private_jwk)


def _keep(projects: Projects, ref: str, key: dict[str, Any]) -> dict[str, Any]:
    """Keep a new or changed key; one that is in use now takes the place of the one before it."""
    keys = dict(_keys(projects.store.get(ref)))
    if key["status"] == "in_use":
        for other in keys.values():
            if other["status"] == "in_use" and other["id"] != key["id"]:
                keys[other["id"]] = {**other, "status": "previously_used", "updated_at": _now()}
    keys[key["id"]] = key
    projects.store.keep(ref, _KIND, keys)
    return _shown(key)


@router.get("")
def list_keys(project: Project) -> dict[str, Any]:
    """List the keys."""
    return {"keys": [_shown(key) for key in _keys(project).values()]}


@router.post("", status_code=201)
def create_key(ref: str, body: CreateKey, projects: AllProjects) -> dict[str, Any]:
    """Make a key."""
    key = _made(body.algorithm, body.status, _public(body))
    with projects.store.lock:
        return _keep(projects, ref, key)


@router.get("/legacy")
def get_legacy(project: Project) -> dict[str, Any]:
    """Give the key that is the project's old secret."""
    for key in _keys(project).values():
        if key.get(_LEGACY):
            return _shown(key)
    raise ApiError(404, "Legacy signing key not found")


@router.post("/legacy", status_code=201)
def take_over_legacy(ref: str, projects: AllProjects) -> dict[str, Any]:
    """Make the project's old secret a key, in use."""
    with projects.store.lock:
        if any(key.get(_LEGACY) for key in _keys(projects.store.get(ref)).values()):
            raise ApiError(409, "The legacy JWT secret is a signing key already.")
        return _keep(projects, ref, {**_made("HS256", "in_use", None), _LEGACY: True})


@router.get("/{key_id}")
def get_key(key_id: uuid.UUID, project: Project) -> dict[str, Any]:
    """Give one key."""
    return _shown(_find(project, str(key_id)))


@router.patch("/{key_id}")
def change_key(ref: str, key_id: uuid.UUID, body: ChangeKey, projects: AllProjects) -> dict[str, Any]:
    """Bring a key into another state, if the order allows it."""
    with projects.store.lock:
        key = _find(projects.store.get(ref), str(key_id))
        if body.status not in _NEXT[key["status"]]:
            raise ApiError(400, f"A key that is {key['status']} cannot become {body.status}.")
        return _keep(projects, ref, {**key, "status": body.status, "updated_at": _now()})


@router.delete("/{key_id}")
def delete_key(ref: str, key_id: uuid.UUID, projects: AllProjects) -> dict[str, Any]:
    """Delete a key that is revoked; the real service also wants some time to have passed since."""
    with projects.store.lock:
        record = projects.store.get(ref)
        key = _find(record, str(key_id))
        if key["status"] != "revoked":
            raise ApiError(400, f"Only a revoked key can be deleted; this one is {key['status']}.")
        projects.store.keep(
            ref, _KIND, {name: one for name, one in _keys(record).items() if name != key["id"]}
        )
    return _shown(key)
