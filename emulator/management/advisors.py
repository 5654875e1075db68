"""The platform's advisors, on the project's real catalog; `emulator/lints.py` has the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import psycopg
from fastapi import APIRouter
from pydantic import Field

from emulator import instance, lints, sections
from emulator.errors import ApiError
from emulator.management.bodies import ActiveProject, Body

if TYPE_CHECKING:
    from emulator.store import Record

router = APIRouter()
advisors = APIRouter(prefix="/v1/projects/{ref}/advisors")
advisors_2 = APIRouter(prefix="/v2/projects/{ref}/advisors")


class Named(Body):
    """One rule."""

    name: str


class Chosen(Body):
    """The rules that are to run; all if none is named."""

    lints: list[Named] = Field(default=[])


class Run(Body):
    """The content of `data`."""

    type: Literal["project_advisors"]
    attributes: Chosen


class RunAdvisors(Body):
    """Body of POST."""

    data: Run


def _find(project: Record, rules: tuple[lints.Rule, ...]) -> list[dict[str, Any]]:
    schemas = sections.effective(project, "postgrest")["db_schema"].split(",")
    try:
        with instance.connect(instance.admin_dsn(project)) as session:
            return lints.find(session, rules, [schema.strip() for schema in schemas])
    except psycopg.OperationalError as error:
        raise ApiError(500, "Failed to run the advisors: the database cannot be reached.") from error


def _of(category: lints.Category) -> tuple[lints.Rule, ...]:
    return tuple(rule for rule in lints.RULES if rule.category == category)


@advisors.get("/security")
def get_security(project: ActiveProject, lint_type: Literal["sql"] = "sql") -> dict[str, Any]:
    """Say what is unsafe."""
    del lint_type
    return {"lints": _find(project, _of("SECURITY"))}


@advisors.get("/performance")
def get_performance(project: ActiveProject) -> dict[str, Any]:
    """Say what is slow."""
    return {"lints": _find(project, _of("PERFORMANCE"))}


@advisors_2.post("/run")
def run_advisors(body: RunAdvisors, project: ActiveProject) -> dict[str, Any]:
    """Run the rules that are named; those that the stand-in does not have find nothing."""
    names = {one.name for one in body.data.attributes.lints}
    rules = tuple(rule for rule in lints.RULES if not names or rule.name in names)
    return {"data": {"type": "project_advisors", "attributes": {"lints": _find(project, rules)}}}


router.include_router(advisors)
router.include_router(advisors_2)
