"""How much a project is used: the requests to its services that the stand-in has counted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Request

from emulator.management.bodies import EXISTS, Project
from emulator.usage import SERVICES

if TYPE_CHECKING:
    from emulator.usage import Usage

router = APIRouter(prefix="/v1/projects/{ref}/analytics/endpoints")

_SPANS = {
    "15min": timedelta(minutes=15),
    "30min": timedelta(minutes=30),
    "1hr": timedelta(hours=1),
    "3hr": timedelta(hours=3),
    "1day": timedelta(days=1),
    "3day": timedelta(days=3),
    "7day": timedelta(days=7),
}
Span = Literal["15min", "30min", "1hr", "3hr", "1day", "3day", "7day"]


def _usage(request: Request) -> Usage:
    found: Usage = request.app.state.usage
    return found


@router.get("/usage.api-counts")
def get_counts(project: Project, request: Request, interval: Span = "1day") -> dict[str, Any]:
    """Give the requests of each minute in which there were any."""
    counted = _usage(request).of(project.ref, _SPANS[interval])
    return {
        "result": [
            {
                "timestamp": minute.isoformat(),
                **{f"total_{service}_requests": counts[service] for service in SERVICES},
            }
            for minute, counts in counted.items()
        ]
    }


@router.get("/usage.api-requests-count")
def get_requests_count(project: Project, request: Request) -> dict[str, Any]:
    """Give the number of requests in the last day."""
    counted = _usage(request).of(project.ref, _SPANS["1day"])
    return {"result": [{"count": sum(counts.total() for counts in counted.values())}]}


@router.get("/functions.combined-stats", dependencies=[EXISTS])
def get_function_stats(interval: Literal["15min", "1hr", "3hr", "1day"], function_id: str) -> dict[str, Any]:
    """Tell how often a function ran: the stand-in runs none."""
    del interval, function_id
    return {"result": []}
