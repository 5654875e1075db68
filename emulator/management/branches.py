"""Branches of a project: kept and answered as records; a branch has no project of its own here.

As on the platform, the first branch makes the project itself the branch `main`, which is the default one.
"""

from __future__ import annotations

import secrets
import string
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from pydantic import AnyUrl, Field, TypeAdapter, field_validator

from emulator.errors import ApiError
from emulator.instance import OWNER
from emulator.management.bodies import AllProjects, Body, Omissible, Project
from emulator.management.projects import ENGINE, VERSION
from emulator.management.regions import InstanceSize  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from emulator.projects import Projects
    from emulator.store import Record

router = APIRouter()
of_project = APIRouter(prefix="/v1/projects/{ref}/branches")
one = APIRouter(prefix="/v1/branches")

_KIND = "branches"
_URL = TypeAdapter(AnyUrl)
Status = Literal[
    "CREATING_PROJECT",
    "RUNNING_MIGRATIONS",
    "MIGRATIONS_PASSED",
    "MIGRATIONS_FAILED",
    "FUNCTIONS_DEPLOYED",
    "FUNCTIONS_FAILED",
]
# A branch's id, or the reference of its project.
Which = Annotated[
    str,
    Path(
        pattern=r"^([a-z]{20}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})$"
    ),
]


class _WithUrl(Body):
    notify_url: Omissible[str] = None

    @field_validator("notify_url")
    @classmethod
    def _is_url(cls, text: str | None) -> str | None:
        if text is not None:
            _URL.validate_python(text)
        return text


class CreateBranch(_WithUrl):
    """Body of POST."""

    branch_name: str = Field(min_length=1)
    git_branch: Omissible[str] = None
    is_default: bool = False
    persistent: bool = False
    with_data: bool = False
    region: Omissible[str] = None
    desired_instance_size: Omissible[Literal["pico"] | InstanceSize] = None
    release_channel: Omissible[Literal["internal", "alpha", "beta", "ga", "withdrawn", "preview"]] = None
    postgres_engine: Omissible[Literal["15", "17", "17-oriole"]] = None
    secrets: Omissible[dict[str, str]] = Field(None, repr=False)


class ChangeBranch(_WithUrl):
    """Body of PATCH; what is left out stays."""

    branch_name: Omissible[str] = None
    git_branch: Omissible[str] = None
    reset_on_push: Omissible[bool] = None
    persistent: Omissible[bool] = None
    status: Omissible[Status] = None
    request_review: Omissible[bool] = None


def _made(project: Record, name: str, *, project_ref: str, is_default: bool) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        "id": str(uuid.uuid4()),
        "name": name,
        "project_ref": project_ref,
        "parent_project_ref": project.ref,
        "is_default": is_default,
        "persistent": is_default,
        "with_data": False,
        "status": "MIGRATIONS_PASSED",
        "created_at": now,
        "updated_at": now,
    }


def _branches(record: Record) -> dict[str, dict[str, Any]]:
    return record.things.get(_KIND, {})


def _find(projects: Projects, which: str) -> dict[str, Any]:
    for record in projects.store.all():
        for branch in _branches(record).values():
            if which.lower() in {branch["id"], branch["project_ref"]}:
                return branch
    raise ApiError(404, "Branch not found")


def _keep(projects: Projects, ref: str, *branches: dict[str, Any]) -> None:
    kept = _branches(projects.store.get(ref))
    projects.store.keep(ref, _KIND, {**kept, **{branch["id"]: branch for branch in branches}})


def _check_free(record: Record, name: str, *, but: str = "") -> None:
    if any(branch["name"] == name and branch["id"] != but for branch in _branches(record).values()):
        raise ApiError(409, f"A branch named {name} exists already.")


@of_project.get("")
def list_branches(project: Project) -> list[dict[str, Any]]:
    """List the branches."""
    return list(_branches(project).values())


@of_project.post("", status_code=201)
def create_branch(ref: str, body: CreateBranch, projects: AllProjects) -> dict[str, Any]:
    """Make a branch, and the default one before the first."""
    own_ref = "".join(secrets.choice(string.ascii_lowercase) for _ in range(20))
    given = body.model_dump(
        include={"git_branch", "persistent", "with_data", "notify_url"}, exclude_none=True
    )
    with projects.store.lock:
        project = projects.store.get(ref)
        before = [] if _branches(project) else [_made(project, "main", project_ref=ref, is_default=True)]
        _check_free(project, body.branch_name)
        if any(branch["name"] == body.branch_name for branch in before):
            raise ApiError(409, f"A branch named {body.branch_name} exists already.")
        made = {**_made(project, body.branch_name, project_ref=own_ref, is_default=False), **given}
        _keep(projects, ref, *before, made)
    return made


@of_project.delete("", response_class=Response)
def disable_branches(project: Project, projects: AllProjects) -> None:
    """Remove all branches."""
    projects.store.keep(project.ref, _KIND, {})


@of_project.get("/{name}")
def get_branch(name: str, project: Project) -> dict[str, Any]:
    """Give one branch by its name."""
    for branch in _branches(project).values():
        if branch["name"] == name:
            return branch
    raise ApiError(404, "Branch not found")


@one.get("/{branch_id_or_ref}")
def get_branch_database(branch_id_or_ref: Which, projects: AllProjects) -> dict[str, Any]:
    """Tell where a branch's database is: only the default one has one, its project's."""
    branch = _find(projects, branch_id_or_ref)
    if not branch["is_default"]:
        raise ApiError(400, f"The emulator keeps branch {branch['name']} as a record; it has no database.")
    record = projects.store.get(branch["project_ref"])
    return {
        "ref": record.ref,
        "postgres_version": VERSION,
        "postgres_engine": ENGINE,
        "release_channel": "ga",
        "status": record.status,
        "db_host": projects.host,
        "db_port": record.port,
        "db_user": OWNER,
    }


@one.patch("/{branch_id_or_ref}")
def change_branch(branch_id_or_ref: Which, body: ChangeBranch, projects: AllProjects) -> dict[str, Any]:
    """Change a branch."""
    given = body.model_dump(exclude_none=True, exclude={"reset_on_push", "request_review"})
    if "branch_name" in given:
        given["name"] = given.pop("branch_name")
    with projects.store.lock:
        old = _find(projects, branch_id_or_ref)
        ref = old["parent_project_ref"]
        _check_free(projects.store.get(ref), given.get("name", old["name"]), but=old["id"])
        new = {**old, **given, "updated_at": datetime.now(UTC).isoformat()}
        _keep(projects, ref, new)
    return new


@one.delete("/{branch_id_or_ref}")
def delete_branch(branch_id_or_ref: Which, projects: AllProjects, *, force: bool = True) -> dict[str, str]:
    """Remove a branch, at once either way; the default one stays."""
    del force
    with projects.store.lock:
        gone = _find(projects, branch_id_or_ref)
        if gone["is_default"]:
            raise ApiError(400, "The default branch cannot be deleted.")
        ref = gone["parent_project_ref"]
        kept = {name: one for name, one in _branches(projects.store.get(ref)).items() if name != gone["id"]}
        projects.store.keep(ref, _KIND, kept)
    return {"message": "ok"}


router.include_router(of_project)
router.include_router(one)
