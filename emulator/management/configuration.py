"""Settings of auth, PostgREST and the pooler: kept, merged by PATCH, answered in full."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, Field, create_model

from emulator import instance, sections
from emulator.management.bodies import AllProjects, Body, Project

if TYPE_CHECKING:
    from emulator.store import Record

router = APIRouter(prefix="/v1/projects/{ref}")

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_ADDRESS = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*")
_TYPES: dict[str, type] = {"string": str, "boolean": bool, "integer": int, "number": float}


class ChangePostgrest(Body):
    """Body of PATCH postgrest; what is left out stays."""

    db_schema: str = ""
    max_rows: int = Field(0, ge=0, le=1_000_000)
    db_extra_search_path: str = ""
    db_pool: int = Field(0, ge=0, le=1000)
    db_pool_acquisition_timeout: float = 0
    db_pool_max_lifetime: float = 0
    db_pool_max_idletime: float = 0


class ChangePooler(Body):
    """Body of PATCH config/database/pooler; what is left out stays."""

    default_pool_size: int | None = Field(None, ge=0, le=3000)
    pool_mode: Literal["transaction", "session"] = "session"


def _time(text: str) -> str:
    """Refuse what is no time with a zone (RFC 3339)."""
    if not _RFC_3339.fullmatch(text):
        raise ValueError("not a time such as 2026-01-31T12:00:00Z")
    datetime.fromisoformat(text)
    return text


def _email(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError("not an e-mail address")
    return text


def _auth_type(field: dict[str, Any]) -> Any:
    limits = Field(ge=field.get("minimum"), le=field.get("maximum"), pattern=field.get("pattern"))
    chosen: Any = Literal[tuple(field["enum"])] if "enum" in field else _TYPES[field["type"]]
    annotated = Annotated[chosen, limits] if "enum" not in field else chosen
    if "format" in field:
        annotated = Annotated[str, AfterValidator({"date-time": _time, "email": _email}[field["format"]])]
    return annotated | None if field.get("nullable") else annotated


_CHANGEABLE: dict[str, Any] = {
    name: (_auth_type(field), field["default"])
    for name, field in sections.AUTH_FIELDS.items()
    if not field.get("read_only")
}
# Body of PATCH config/auth, made of its fields' table; what is left out stays.
ChangeAuth: Any = create_model("ChangeAuth", __base__=Body, **_CHANGEABLE)


def _kept(project: Record, name: str, value: Any) -> Any:
    """Give what is kept of a value.

    Of a secret it is a keyed digest: the real service shows no more. Null is a value, but for fields of which
    no answer may be null: these get back what they had at first.
    """
    field = sections.AUTH_FIELDS[name]
    if value is None and field.get("reset_by_null"):
        return field["default"]
    if not value or not field.get("secret"):
        return value
    return hmac.new(project.ref.encode(), str(value).encode(), hashlib.sha256).hexdigest()


@router.get("/config/auth")
def get_auth(project: Project) -> dict[str, Any]:
    """Give all settings of auth."""
    return sections.effective(project, "auth")


@router.patch("/config/auth")
def change_auth(body: ChangeAuth, project: Project, projects: AllProjects) -> dict[str, Any]:
    """Change some settings of auth."""
    given = body.model_dump(exclude_unset=True)
    changes = {name: _kept(project, name, value) for name, value in given.items()}
    return sections.effective(projects.store.configure(project.ref, "auth", changes), "auth")


@router.get("/postgrest")
def get_postgrest(project: Project) -> dict[str, Any]:
    """Give all settings of PostgREST."""
    return sections.effective(project, "postgrest")


@router.patch("/postgrest")
def change_postgrest(body: ChangePostgrest, project: Project, projects: AllProjects) -> dict[str, Any]:
    """Change some settings of PostgREST."""
    changes = body.model_dump(exclude_unset=True)
    return sections.effective(projects.store.configure(project.ref, "postgrest", changes), "postgrest")


@router.get("/config/database/pooler")
def get_pooler(project: Project, projects: AllProjects) -> list[dict[str, Any]]:
    """Tell how to connect: the server itself stands for the pooler, so only in session mode."""
    user, database = instance.OWNER, instance.DATABASE
    address = f"postgresql://{user}:[YOUR-PASSWORD]@{projects.host}:{project.port}/{database}"
    entry = {
        "identifier": project.ref,
        "database_type": "PRIMARY",
        "is_using_scram_auth": True,
        "db_user": user,
        "db_host": projects.host,
        "db_port": project.port,
        "db_name": database,
        "connection_string": address,
        "connectionString": address,
        "max_client_conn": None,
        **sections.effective(project, "pooler"),
        "pool_mode": "session",
    }
    return [entry]


@router.get("/config/database/pgbouncer")
def get_pgbouncer(project: Project, projects: AllProjects) -> dict[str, Any]:
    """Give the settings of the pooler beside the database, of which there is none here: the defaults."""
    settings = {
        name: value for name, value in sections.effective(project, "pooler").items() if value is not None
    }
    return {
        **sections.PGBOUNCER,
        **settings,
        "connection_string": get_pooler(project, projects)[0]["connection_string"],
    }


@router.patch("/config/database/pooler")
def change_pooler(body: ChangePooler, project: Project, projects: AllProjects) -> dict[str, Any]:
    """Change the pool size; a pool mode is kept and answered, but there is no pooler to follow it."""
    changes = body.model_dump(exclude_unset=True)
    return sections.effective(projects.store.configure(project.ref, "pooler", changes), "pooler")
