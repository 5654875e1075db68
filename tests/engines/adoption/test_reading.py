"""What keeps a project from being read is told, with what to do."""

from __future__ import annotations

import httpx
import pytest

from engines import supabase
from engines.adoption import AdoptionError, read_live
from tests.fix_management import PROJECT, REF, Service, answer


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("INACTIVE", r"project abcdefghijklmnopqrst \(demo\) is INACTIVE: it is paused; restore it"),
        ("GOING_DOWN", "is GOING_DOWN: it is being deleted"),
        ("RESTORING", "is RESTORING: wait until it is healthy"),
    ],
)
def test_project_that_sleeps_is_not_read(status: str, expected: str) -> None:
    """Of a project that is not awake nothing else is asked."""
    service = Service(answer(200, {**PROJECT, "status": status}))

    with service.client() as client, pytest.raises(AdoptionError, match=expected):
        read_live(client, REF)
    assert len(service.requests) == 1


def test_token_that_sees_nothing_is_told() -> None:
    """No project at all is another account's token, more often than not."""
    service = Service(answer(404, {"message": "Project not found"}), answer(200, []))

    with service.client() as client, pytest.raises(AdoptionError, match="the token sees no project at all"):
        read_live(client, REF)


def test_many_projects_are_not_all_named() -> None:
    """An account with hundreds of projects gets a text that can be read."""
    many = [{**PROJECT, "ref": f"{number:020d}"} for number in range(30)]
    service = Service(answer(404, {"message": "Project not found"}), answer(200, many))

    with service.client() as client, pytest.raises(AdoptionError, match=r"\(demo, groundwork\) and 10 more$"):
        read_live(client, REF)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (answer(503), supabase.UnavailableError),
        (httpx.ReadTimeout("no answer"), supabase.UnavailableError),
        (answer(401, {"message": "Unauthorized"}), supabase.AuthError),
        (httpx.Response(200, text="<html>"), supabase.UnexpectedAnswerError),
    ],
)
def test_failing_service_is_no_refusal(fault: httpx.Response | Exception, expected: type[Exception]) -> None:
    """A stack file with half of a project is worse than none: what a later try would read ends this one."""
    service = Service(answer(200, PROJECT), fault)

    with service.client() as client, pytest.raises(expected):
        read_live(client, REF)


def test_everything_may_be_refused() -> None:
    """A plan that allows nothing still leaves the project itself."""
    service = Service(answer(200, PROJECT), answer(402, {"message": "not in your plan"}))

    with service.client() as client:
        live = read_live(client, REF)

    assert live.project.name == "demo"
    assert {"auth", "functions", "catalog", "addons"} <= live.refused.keys()
    assert "not in your plan" in live.refused["auth"]
