"""Edge functions without a deployment of files: several put into service at once, and single ones changed."""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from emulator.errors import ApiError
from emulator.management import functions
from emulator.management.bodies import AllProjects, Body, Omissible
from emulator.management.functions import Slug  # noqa: TC001 - FastAPI reads it

router = APIRouter(prefix="/v1/projects/{ref}/functions")

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
_ENTRYPOINT = "index.ts"


class CreateFunction(Body):
    """Body of POST; the whole function is in `body`."""

    slug: Name
    name: str
    body: str
    verify_jwt: bool = True


class ChangeFunction(Body):
    """Body of PATCH; what is left out stays."""

    name: Omissible[str] = None
    body: Omissible[str] = None
    verify_jwt: Omissible[bool] = None


class Chosen(Body):
    """One member of the body of PUT: a function, and which deployment of it is to serve."""

    id: str
    slug: Name
    name: str
    status: Literal["ACTIVE", "REMOVED", "THROTTLED"]
    version: int
    created_at: Omissible[int] = None
    verify_jwt: Omissible[bool] = None
    import_map: Omissible[bool] = None
    entrypoint_path: Omissible[str] = None
    import_map_path: Omissible[str] = None
    ezbr_sha256: Omissible[str] = None


def _now_ms() -> int:
    return int(time.time() * 1000)


def _content(text: str, path: str) -> dict[str, Any]:
    """Give what a function's text makes of it."""
    content = text.encode("utf-8", "replace")
    return {
        functions.FILES: {path: base64.b64encode(content).decode()},
        "ezbr_sha256": hashlib.sha256(content).hexdigest(),
        "entrypoint_path": path,
    }


@router.post("", status_code=201)
def create_function(ref: str, body: CreateFunction, projects: AllProjects) -> dict[str, Any]:
    """Make a function of one file."""
    now_ms = _now_ms()
    made = {
        "id": str(uuid.uuid4()),
        "slug": body.slug,
        "name": body.name,
        "status": "ACTIVE",
        "version": 1,
        "created_at": now_ms,
        "updated_at": now_ms,
        "verify_jwt": body.verify_jwt,
        "import_map": False,
        "import_map_path": "",
        **_content(body.body, _ENTRYPOINT),
    }
    with projects.store.lock:
        old = functions.functions_of(projects.store.get(ref))
        if body.slug in old:
            raise ApiError(400, f"A function {body.slug} exists already.")
        projects.store.keep(ref, functions.KIND, {**old, body.slug: made})
    return functions.shown(made)


@router.put("")
def put_into_service(ref: str, body: list[Chosen], projects: AllProjects) -> dict[str, Any]:
    """Put deployments into service, all or none."""
    with projects.store.lock:
        record = projects.store.get(ref)
        old, bundles = functions.functions_of(record), record.things.get(functions.BUNDLES, {})
        new: dict[str, dict[str, Any]] = {}
        for one in body:
            source = bundles.get(one.ezbr_sha256 or "", old.get(one.slug))
            if source is None:
                raise ApiError(400, f"There is no deployment of the function {one.slug}.")
            given = one.model_dump(exclude_none=True, exclude={"id", "ezbr_sha256"})
            new[one.slug] = {**source, **given, "updated_at": _now_ms()}
        projects.store.keep(ref, functions.KIND, {**old, **new})
    return {"functions": [functions.shown(one) for one in new.values()]}


@router.patch("/{function_slug}")
def change_function(
    ref: str, function_slug: Slug, body: ChangeFunction, projects: AllProjects
) -> dict[str, Any]:
    """Change a function; another text is its next version."""
    given = body.model_dump(exclude_none=True, exclude={"body"})
    with projects.store.lock:
        record = projects.store.get(ref)
        old = functions.find(record, function_slug)
        if body.body is not None:
            given |= {**_content(body.body, old["entrypoint_path"]), "version": old["version"] + 1}
        new = {**old, **given, "updated_at": _now_ms()}
        projects.store.keep(ref, functions.KIND, {**functions.functions_of(record), function_slug: new})
    return functions.shown(new)
