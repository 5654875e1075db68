"""Secrets for Edge Functions: written, never read back."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Response
from pydantic import Field, field_validator

from emulator.management.bodies import AllProjects, Body, Project
from emulator.store import FunctionSecret

router = APIRouter(prefix="/v1/projects/{ref}/secrets")


class NewSecret(Body):
    """One member of the body of POST; names of the platform's own secrets are refused."""

    name: str = Field(min_length=1, max_length=256)
    value: str = Field(max_length=24576, repr=False)

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name.startswith("SUPABASE_"):
            raise ValueError("must not start with the SUPABASE_ prefix")
        return name


@router.get("")
def list_secrets(project: Project) -> list[dict[str, Any]]:
    """List names with SHA-256 digests in place of values."""
    return [
        {"name": secret.name, "value": secret.digest, "updated_at": secret.updated_at.isoformat()}
        for secret in sorted(project.secrets.values(), key=lambda secret: secret.name)
    ]


@router.post("", status_code=201, response_class=Response)
def create_secrets(ref: str, body: list[NewSecret], projects: AllProjects) -> None:
    """Add secrets, or replace those that exist."""
    now = datetime.now(UTC)
    new = {
        secret.name: FunctionSecret(
            name=secret.name,
            digest=hashlib.sha256(secret.value.encode()).hexdigest(),
            updated_at=now,
        )
        for secret in body
    }
    with projects.store.lock:
        projects.store.change(ref, secrets={**projects.store.get(ref).secrets, **new})


@router.delete("", response_class=Response)
def delete_secrets(ref: str, body: list[str], projects: AllProjects) -> None:
    """Remove secrets by name; unknown names are passed over."""
    with projects.store.lock:
        kept = {name: secret for name, secret in projects.store.get(ref).secrets.items() if name not in body}
        projects.store.change(ref, secrets=kept)
