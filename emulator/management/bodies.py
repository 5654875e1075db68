"""What all request bodies have in common, and how a route finds what it works on."""

from __future__ import annotations

from typing import Annotated, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict

from emulator.errors import ApiError
from emulator.projects import READY, Projects
from emulator.store import Record

Member = TypeVar("Member")


def _not_null(value: object) -> object:
    if value is None:
        raise ValueError("must not be null")
    return value


# A member that may be left out, which shows as None, but must not be null.
Omissible = Annotated[Member | None, BeforeValidator(_not_null)]


class Body(BaseModel):
    """A request body: types are exact, members that the contract does not name are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)


class ClosedBody(BaseModel):
    """A request body for which the contract forbids other members."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


def find_projects(request: Request) -> Projects:
    """Give the emulator's projects to a route."""
    projects: Projects = request.app.state.projects
    return projects


def find_project(ref: str, request: Request) -> Record:
    """Give the project that the path names.

    Raises:
        ApiError: 404, there is none.
    """
    return find_projects(request).store.get(ref)


def find_active_project(ref: str, request: Request) -> Record:
    """Give the project that the path names, for work on its database.

    Raises:
        ApiError: 404, there is none; 400, it is not up.
    """
    record = find_project(ref, request)
    if record.status not in READY:
        raise ApiError(400, f"Project is not active: its status is {record.status}.")
    return record


# For a route that asks nothing of the project but to be there.
EXISTS = Depends(find_project)
AllProjects = Annotated[Projects, Depends(find_projects)]
Project = Annotated[Record, Depends(find_project)]
ActiveProject = Annotated[Record, Depends(find_active_project)]
