"""API keys of a project."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from emulator import keys
from emulator.errors import ApiError
from emulator.management.bodies import AllProjects, Body, Project

if TYPE_CHECKING:
    from emulator.store import ApiKey, Record

KeyName = Annotated[str, Field(min_length=4, max_length=64, pattern=r"^[a-z_][a-z0-9_]+$")]

router = APIRouter(prefix="/v1/projects/{ref}/api-keys")


class CreateKey(Body):
    """Body of POST."""

    type: Literal["publishable", "secret"]
    name: KeyName
    description: str | None = None
    secret_jwt_template: dict[str, Any] | None = None


class ChangeKey(Body):
    """Body of PATCH; what is left out stays."""

    name: KeyName | None = None
    description: str | None = None
    secret_jwt_template: dict[str, Any] | None = None


def _find(record: Record, key_id: str) -> ApiKey:
    for key in record.api_keys:
        if key.id == key_id:
            return key
    raise ApiError(404, "API key not found")


def _find_opaque(record: Record, key_id: str) -> ApiKey:
    key = _find(record, key_id)
    if key.type == "legacy":
        raise ApiError(400, "Legacy API keys cannot be changed or deleted; disable them together instead.")
    return key


def _check_free(record: Record, kind: str, name: str, *, but: str = "") -> None:
    for key in record.api_keys:
        if (key.type, key.name) == (kind, name) and key.id != but:
            raise ApiError(409, f"A {kind} API key named {name} exists already.")


@router.get("")
def list_keys(project: Project, *, reveal: bool = False) -> list[dict[str, Any]]:
    """List all keys."""
    return [keys.shown(key, reveal=reveal) for key in project.api_keys]


@router.post("", status_code=201)
def create_key(ref: str, body: CreateKey, projects: AllProjects, *, reveal: bool = False) -> dict[str, Any]:
    """Make a key; it is valid at once."""
    made = keys.new_key(
        body.type,
        body.name,
        description=body.description,
        secret_jwt_template=body.secret_jwt_template,
    )
    with projects.store.lock:
        record = projects.store.get(ref)
        _check_free(record, body.type, body.name)
        projects.store.change(ref, api_keys=(*record.api_keys, made))
    return keys.shown(made, reveal=reveal)


@router.get("/legacy")
def get_legacy(project: Project) -> dict[str, Any]:
    """Tell whether the keys that are JSON Web Tokens are accepted."""
    return {"enabled": project.legacy_keys}


@router.put("/legacy")
def set_legacy(project: Project, projects: AllProjects, *, enabled: bool) -> dict[str, Any]:
    """Accept the keys that are JSON Web Tokens, or refuse them."""
    return {"enabled": projects.store.change(project.ref, legacy_keys=enabled).legacy_keys}


@router.get("/{key_id}")
def get_key(key_id: str, project: Project, *, reveal: bool = False) -> dict[str, Any]:
    """Give one key."""
    return keys.shown(_find(project, key_id), reveal=reveal)


@router.patch("/{key_id}")
def change_key(
    ref: str, key_id: str, body: ChangeKey, projects: AllProjects, *, reveal: bool = False
) -> dict[str, Any]:
    """Change name, description or template of a key; its value stays."""
    changes = {**body.model_dump(exclude_unset=True), "updated_at": datetime.now(UTC)}
    if changes.get("name", "") is None:
        del changes["name"]
    with projects.store.lock:
        record = projects.store.get(ref)
        old = _find_opaque(record, key_id)
        new = old.model_copy(update=changes)
        _check_free(record, new.type, new.name, but=key_id)
        replaced = tuple(new if key is old else key for key in record.api_keys)
        projects.store.change(ref, api_keys=replaced)
    return keys.shown(new, reveal=reveal)


@router.delete("/{key_id}")
def delete_key(ref: str, key_id: str, projects: AllProjects, *, reveal: bool = False) -> dict[str, Any]:
    """Delete a key; it is refused at once. The reason, for an audit trail, is not kept."""
    with projects.store.lock:
        record = projects.store.get(ref)
        gone = _find_opaque(record, key_id)
        projects.store.change(ref, api_keys=tuple(key for key in record.api_keys if key is not gone))
    return keys.shown(gone, reveal=reveal)
