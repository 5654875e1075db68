"""The root key of a project's encrypted columns: kept and answered; nothing here is encrypted with it."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from emulator.errors import ApiError
from emulator.management.bodies import AllProjects, Body, Project

router = APIRouter(prefix="/v1/projects/{ref}/pgsodium")

_SECTION = "pgsodium"


class RootKey(Body):
    """Body of PUT."""

    root_key: str = Field(repr=False)


@router.get("")
def get_root_key(project: Project) -> dict[str, Any]:
    """Give the key: one made of the project's secret, until another is set."""
    first = hashlib.sha256(f"pgsodium {project.jwt_secret}".encode()).hexdigest()
    return {"root_key": first, **project.config.get(_SECTION, {})}


@router.put("")
def set_root_key(body: RootKey, project: Project, projects: AllProjects) -> dict[str, Any]:
    """Set another key."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", body.root_key):
        raise ApiError(400, "Expected a 32 byte secret, hex-encoded (64 characters).")
    projects.store.configure(project.ref, _SECTION, {"root_key": body.root_key})
    return {"root_key": body.root_key}
