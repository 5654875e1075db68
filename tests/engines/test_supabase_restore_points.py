"""A restore point: made once, waited for, and a refusal that says how to go on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engines import supabase
from tests.fix_management import REF, Service, answer

GONE = answer(404, {"message": "Restore point not found"})


def _point(name: str, status: str) -> Any:
    return {"name": name, "status": status, "completed_on": None}


def _keep(service: Service, label: str = "prod-014") -> supabase.RestorePoint:
    with service.client() as client:
        return supabase.keep_restore_point(client, REF, label, pause=service.pause)


def test_it_is_waited_for() -> None:
    """The platform makes it in its own time; the update goes on when it can be used."""
    pending, done = _point("prod-014", "PENDING"), _point("prod-014", "AVAILABLE")
    service = Service(GONE, answer(201, pending), answer(200, pending), answer(200, done))

    assert _keep(service).status == "AVAILABLE"
    assert service.methods() == ["GET", "POST", "GET", "GET"]
    assert service.pauses == [2, 2]


def test_one_that_was_begun_is_not_made_again() -> None:
    """An update that was killed has asked for it: the next one waits for the same."""
    service = Service(
        answer(200, _point("prod-014", "PENDING")), answer(200, _point("prod-014", "AVAILABLE"))
    )

    assert _keep(service).name == "prod-014"
    assert service.methods() == ["GET", "GET"]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("prod-20260325000000", "prod-20260325000000"),
        ("a-stack-with-a-name-014", "a-stack-with-a-n-014"),
        ("production-20260325000000", "produ-20260325000000"),
        ("prod-0123456789abcdef0123456789", "6789abcdef0123456789"),
    ],
)
def test_its_name_fits(label: str, name: str) -> None:
    """The platform takes 20 characters: the stack's end is cut, and the beginning of a long version."""
    service = Service(GONE, answer(201, _point("x", "AVAILABLE")))

    _keep(service, label)

    assert json.loads(service.requests[1].content)["name"] == name


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ((GONE, answer(400, {"message": "no such plan"})), "no such plan"),
        (
            (answer(200, _point("prod-014", "PENDING")), answer(200, _point("prod-014", "FAILED"))),
            "is FAILED",
        ),
        ((answer(200, _point("prod-014", "PENDING")),), "is PENDING"),
    ],
)
def test_a_refusal_says_what_to_do(answers: tuple[Any, ...], text: str) -> None:
    """Refused, failed or never done: the text has the reason and the way on; the wait has an end."""
    with pytest.raises(supabase.SupabaseError, match=text) as caught:
        _keep(Service(*answers))

    assert "nothing was migrated" in str(caught.value)
    assert "groundwork:backup.before_migrations to none" in str(caught.value)
