"""Edge functions: their files are kept and given back; the stand-in does not run them."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
import uuid
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, File, Form, Path, Query, Response, UploadFile
from pydantic import ValidationError

from emulator.errors import ApiError
from emulator.management.bodies import AllProjects, Body, Project

if TYPE_CHECKING:
    from emulator.store import Record

router = APIRouter(prefix="/v1/projects/{ref}/functions")

KIND = "functions"
# Deployed and not yet in service, by digest.
BUNDLES = "bundles"
FILES = "files"
NewSlug = Annotated[str, Query(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
Slug = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]+$")]


class Metadata(Body):
    """The part `metadata` of a deployment."""

    entrypoint_path: str
    import_map_path: str = ""
    static_patterns: tuple[str, ...] = ()
    verify_jwt: bool = True
    name: str = ""


def functions_of(record: Record) -> dict[str, dict[str, Any]]:
    """Give the functions by slug."""
    return record.things.get(KIND, {})


def find(record: Record, slug: str) -> dict[str, Any]:
    """Give one function.

    Raises:
        ApiError: 404, there is none.
    """
    function = functions_of(record).get(slug)
    if function is None:
        raise ApiError(404, "Function not found")
    return function


def shown(function: dict[str, Any]) -> dict[str, Any]:
    """Describe a function without its files."""
    return {name: value for name, value in function.items() if name != FILES}


def _metadata(text: str) -> Metadata:
    try:
        return Metadata.model_validate_json(text)
    except ValidationError as error:
        wrong = error.errors(include_input=False)[0]
        raise ApiError(400, f"metadata.{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from None


@router.get("")
def list_functions(project: Project) -> list[dict[str, Any]]:
    """List the functions."""
    return [shown(one) for one in functions_of(project).values()]


@router.post("/deploy", status_code=201)
def deploy_function(
    ref: str,
    projects: AllProjects,
    metadata: Annotated[str, Form()],
    slug: NewSlug = "",
    file: Annotated[list[UploadFile] | None, File()] = None,
    *,
    bundle_only: Annotated[bool, Query(alias="bundleOnly")] = False,
) -> dict[str, Any]:
    """Keep a function's files under its slug, or for a later PUT; each deployment has the next version."""
    about = _metadata(metadata)
    name = slug or about.name
    files = {str(one.filename): base64.b64encode(one.file.read()).decode() for one in file or []}
    if about.entrypoint_path not in files:
        raise ApiError(400, f"Entrypoint path does not exist: {about.entrypoint_path}")
    with projects.store.lock:
        functions = functions_of(projects.store.get(ref))
        made = _made(name, about, files, functions.get(name))
        if bundle_only:
            bundles = projects.store.get(ref).things.get(BUNDLES, {})
            projects.store.keep(ref, BUNDLES, {**bundles, made["ezbr_sha256"]: made})
        else:
            projects.store.keep(ref, KIND, {**functions, name: made})
    return shown(made)


def _made(slug: str, about: Metadata, files: dict[str, str], old: dict[str, Any] | None) -> dict[str, Any]:
    now_ms = int(time.time() * 1000)
    digest = hashlib.sha256(json.dumps([about.model_dump(), files], sort_keys=True).encode()).hexdigest()
    return {
        "id": old["id"] if old else str(uuid.uuid4()),
        "slug": slug,
        "name": about.name or slug,
        "status": "ACTIVE",
        "version": old["version"] + 1 if old else 1,
        "created_at": old["created_at"] if old else now_ms,
        "updated_at": now_ms,
        "verify_jwt": about.verify_jwt,
        "import_map": bool(about.import_map_path),
        "entrypoint_path": about.entrypoint_path,
        "import_map_path": about.import_map_path,
        "ezbr_sha256": digest,
        FILES: files,
    }


@router.get("/{function_slug}")
def get_function(function_slug: Slug, project: Project) -> dict[str, Any]:
    """Give one function."""
    return shown(find(project, function_slug))


@router.get("/{function_slug}/body")
def get_files(function_slug: Slug, project: Project) -> Response:
    """Give the function's files as a form."""
    boundary = secrets.token_hex(16)
    parts = []
    for name, content in find(project, function_slug)[FILES].items():
        head = f'content-disposition: form-data; name="file"; filename="{name}"'
        parts.append(f"--{boundary}\r\n{head}\r\n\r\n".encode() + base64.b64decode(content) + b"\r\n")
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return Response(body, media_type=f"multipart/form-data; boundary={boundary}")


@router.delete("/{function_slug}", response_class=Response)
def delete_function(ref: str, function_slug: Slug, projects: AllProjects) -> None:
    """Delete a function."""
    with projects.store.lock:
        record = projects.store.get(ref)
        find(record, function_slug)
        kept = {name: one for name, one in functions_of(record).items() if name != function_slug}
        projects.store.keep(ref, KIND, kept)
