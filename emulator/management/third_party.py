"""Issuers whose tokens a project accepts beside its own: kept and answered; the stand-in fetches no keys."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from emulator.errors import ApiError
from emulator.management.bodies import AllProjects, Body, Omissible, Project

if TYPE_CHECKING:
    from emulator.store import Record

router = APIRouter(prefix="/v1/projects/{ref}/config/auth/third-party-auth")

_KIND = "third_parties"


class CreateIssuer(Body):
    """Body of POST: one of the three."""

    oidc_issuer_url: Omissible[str] = None
    jwks_url: Omissible[str] = None
    custom_jwks: Any = None


def _issuers(record: Record) -> dict[str, dict[str, Any]]:
    return record.things.get(_KIND, {})


def _find(record: Record, issuer_id: str) -> dict[str, Any]:
    issuer = _issuers(record).get(issuer_id)
    if issuer is None:
        raise ApiError(404, "Third-party auth integration not found")
    return issuer


@router.get("")
def list_issuers(project: Project) -> list[dict[str, Any]]:
    """List the issuers."""
    return list(_issuers(project).values())


@router.post("", status_code=201)
def create_issuer(ref: str, body: CreateIssuer, projects: AllProjects) -> dict[str, Any]:
    """Add an issuer."""
    given = body.model_dump(exclude_none=True)
    if len(given) != 1:
        raise ApiError(400, "Exactly one of oidc_issuer_url, jwks_url and custom_jwks is needed.")
    now = datetime.now(UTC).isoformat()
    (kind,) = given
    issuer = {
        "id": str(uuid.uuid4()),
        "type": {"oidc_issuer_url": "oidc", "jwks_url": "jwks", "custom_jwks": "custom"}[kind],
        **dict.fromkeys(("oidc_issuer_url", "jwks_url", "custom_jwks", "resolved_jwks", "resolved_at")),
        **given,
        "inserted_at": now,
        "updated_at": now,
    }
    with projects.store.lock:
        issuers = _issuers(projects.store.get(ref))
        projects.store.keep(ref, _KIND, {**issuers, str(issuer["id"]): issuer})
    return issuer


@router.get("/{tpa_id}")
def get_issuer(tpa_id: uuid.UUID, project: Project) -> dict[str, Any]:
    """Give one issuer."""
    return _find(project, str(tpa_id))


@router.delete("/{tpa_id}")
def delete_issuer(ref: str, tpa_id: uuid.UUID, projects: AllProjects) -> dict[str, Any]:
    """Remove an issuer."""
    with projects.store.lock:
        record = projects.store.get(ref)
        gone = _find(record, str(tpa_id))
        kept = {name: one for name, one in _issuers(record).items() if name != gone["id"]}
        projects.store.keep(ref, _KIND, kept)
    return gone
