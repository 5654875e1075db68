"""What guards a project's URL: the project being up, and the API key."""

from __future__ import annotations

from typing import Annotated

import psycopg
from fastapi import Depends, Header

from emulator.errors import ApiError
from emulator.instance import Instance
from emulator.keys import Role, role_of
from emulator.management.bodies import AllProjects, Project  # noqa: TC001 - FastAPI reads the annotations
from emulator.projects import READY
from emulator.services import probes, storage_errors
from emulator.store import Record


def find_up(project: Project) -> Record:
    """Give the project of the path if it is up.

    Raises:
        ApiError: 404, there is none; 503, it is not up.
    """
    if project.status not in READY:
        raise ApiError(503, f"Project is not active: its status is {project.status}.")
    return project


UpProject = Annotated[Record, Depends(find_up)]


def find_role(project: UpProject, apikey: Annotated[str | None, Header()] = None) -> Role:
    """Give the database role of the caller's API key.

    Raises:
        ApiError: 401, there is none or it is not valid.
    """
    if not apikey:
        raise ApiError(401, "No API key found in request", hint="No `apikey` request header was found.")
    role = role_of(project, apikey)
    if role is None:
        raise ApiError(401, "Invalid API key", hint="Double check the project's API key.")
    return role


def find_storage_role(
    project: UpProject,
    apikey: Annotated[str | None, Header()] = None,
    authorization: Annotated[str | None, Header()] = None,
) -> Role:
    """Give the database role of a caller of storage: of its token, or else of its API key.

    Raises:
        ApiError: there is none or it is not valid; worded as storage does.
    """
    token = (authorization or "").removeprefix("Bearer ").strip() or apikey
    if not token:
        raise storage_errors.refused("InvalidRequest", "headers must have required property 'authorization'")
    role = role_of(project, token)
    if role is None:
        raise storage_errors.refused("AccessDenied", "Invalid Compact JWS")
    return role


def find_server(project: UpProject, projects: AllProjects) -> Instance:
    """Give the server of the path's project."""
    return projects.instance(project.ref)


CallerRole = Annotated[Role, Depends(find_role)]
Server = Annotated[Instance, Depends(find_server)]


def check(server: Instance, service: str) -> None:
    """Refuse to answer when the service could not work.

    Raises:
        ApiError: 503, its database does not answer or lacks what the service needs.
    """
    try:
        probes.check(server, service)
    except (ConnectionError, psycopg.Error) as error:
        raise unavailable(service, error) from error


def unavailable(service: str, error: Exception) -> ApiError:
    """Word that a service cannot work with its database."""
    return ApiError(503, f"{service}: the project's database failed: {str(error).splitlines()[0]}")
