"""API keys of a project: the legacy JSON Web Tokens and the opaque keys that replace them."""

from __future__ import annotations

import hashlib
import secrets
import string
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import jwt

from emulator.store import ApiKey

if TYPE_CHECKING:
    from emulator.store import Record

Role = Literal["anon", "service_role"]

_ALPHABET = string.ascii_letters + string.digits
# As long as the platform's own: its legacy keys are valid for ten years.
_VALIDITY = timedelta(days=3650)
_SHOWN = 6


def first_keys(ref: str, jwt_secret: str) -> tuple[ApiKey, ...]:
    """Make the four keys that a new project has."""
    return (
        _legacy(ref, jwt_secret, "anon"),
        _legacy(ref, jwt_secret, "service_role"),
        new_key("publishable", "default"),
        new_key("secret", "default", secret_jwt_template={"role": "service_role"}),
    )


def new_key(
    kind: Literal["publishable", "secret"],
    name: str,
    *,
    description: str | None = None,
    secret_jwt_template: dict[str, Any] | None = None,
) -> ApiKey:
    """Make an opaque key: `sb_KIND_`, 22 random characters, `_`, and a checksum of 8."""
    body = f"sb_{kind}_" + "".join(secrets.choice(_ALPHABET) for _ in range(22))
    now = datetime.now(UTC)
    return ApiKey(
        id=str(uuid.uuid4()),
        type=kind,
        name=name,
        value=f"{body}_{hashlib.sha256(body.encode()).hexdigest()[:8]}",
        description=description,
        secret_jwt_template=secret_jwt_template,
        inserted_at=now,
        updated_at=now,
    )


def _legacy(ref: str, jwt_secret: str, role: Role) -> ApiKey:
    now = datetime.now(UTC)
    claims = {"iss": "supabase", "ref": ref, "role": role, "iat": now, "exp": now + _VALIDITY}
    token = jwt.encode(claims, jwt_secret, algorithm="HS256")
    return ApiKey(id=role, type="legacy", name=role, value=token, inserted_at=now, updated_at=now)


def shown(key: ApiKey, *, reveal: bool) -> dict[str, Any]:
    """Describe a key as the Management API does; what grants full access is masked unless revealed."""
    public = key.type == "publishable" or key.id == "anon"
    answer: dict[str, Any] = {
        "id": key.id,
        "type": key.type,
        "name": key.name,
        "api_key": key.value if reveal or public else masked(key),
        "description": key.description,
        "inserted_at": key.inserted_at.isoformat(),
        "updated_at": key.updated_at.isoformat(),
    }
    if key.type == "secret":
        answer["prefix"] = _prefix(key)
        answer["hash"] = hashlib.sha256(key.value.encode()).hexdigest()
        answer["secret_jwt_template"] = key.secret_jwt_template
    return answer


def masked(key: ApiKey) -> str:
    """Give the few characters that tell keys apart, and dots for the rest."""
    return _prefix(key) + "·" * 16


def _prefix(key: ApiKey) -> str:
    start = len("sb_secret_") if key.type == "secret" else 0
    return key.value[: start + _SHOWN]


def role_of(record: Record, value: str) -> Role | None:
    """Tell the database role that an API key stands for; None: it is not valid here, or no longer."""
    for key in record.api_keys:
        if key.type != "legacy" and secrets.compare_digest(key.value.encode(), value.encode()):
            return "anon" if key.type == "publishable" else "service_role"
    return _legacy_role(record, value) if record.legacy_keys else None


def _legacy_role(record: Record, value: str) -> Role | None:
    try:
        claims = jwt.decode(value, record.jwt_secret, algorithms=["HS256"], options={"verify_aud": False})
    except jwt.InvalidTokenError:
        return None
    roles: dict[Any, Role] = {"anon": "anon", "service_role": "service_role"}
    return roles.get(claims.get("role"))
