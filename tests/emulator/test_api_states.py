"""The states that a project goes through, as somebody sees them who asks again and again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.fix_emulator import Project, running_emulator, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fix_emulator import Emulator

REF, SLUG = "seedseedseedseedseed", "acme"
COMPUTE = "billing/addons"


@pytest.fixture(scope="module")
def slow() -> Iterator[Emulator]:
    """Run an emulator whose steps take so long that each state is seen, with a seed and without partners."""
    options = ("--step-seconds", "0.5", "--project", REF, "--organization", SLUG, "--no-partner")
    with running_emulator(*options) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def seed(slow: Emulator) -> Project:
    """Give the project of the seed, once it is ready."""
    slow.wait_for_status(REF, "ACTIVE_HEALTHY")
    return Project(slow, REF, "")


def seen(project: Project, last: str) -> list[str]:
    """Ask for the status until it is `last`; give each that was answered, once."""
    states: list[str] = []

    def ask() -> bool:
        status = project.emulator.status(project.ref)
        if states[-1:] != [status]:
            states.append(status)
        return status == last

    wait_until(ask, f"{project.ref} to be {last}")
    return states


def ask(project: Project, method: str, path: str, body: Any = None) -> Any:
    """Send a request about a project, which has to succeed."""
    return project.emulator.client.request(method, f"{project.path}/{path}", json=body).raise_for_status()


def test_every_state_is_seen(slow: Emulator) -> None:
    """A project is UNKNOWN and COMING_UP before it is healthy, and gone after it was GOING_DOWN."""
    body = {"name": "states", "organization_slug": SLUG, "db_pass": "a long password"}
    made = slow.client.post("/v1/projects", json=body).json()
    project = Project(slow, made["ref"], "")

    assert [made["status"], *seen(project, "ACTIVE_HEALTHY")[-2:]] == [
        "UNKNOWN",
        "COMING_UP",
        "ACTIVE_HEALTHY",
    ]
    listed = slow.client.get(f"/v1/organizations/{SLUG}/projects").json()["projects"]
    assert [one["ref"] for one in listed] == [project.ref]
    slow.client.delete(project.path).raise_for_status()
    assert seen(project, "GONE") == ["GOING_DOWN", "GONE"]


def test_other_compute_restarts_the_server(seed: Project) -> None:
    """Another size goes through RESIZING, with another server process; the same size again does nothing."""
    seed.sql("create table kept (n int)")
    before = seed.emulator.postmaster(REF)
    larger = {"addon_type": "compute_instance", "addon_variant": "ci_large"}
    ask(seed, "PATCH", COMPUTE, larger)
    refused = seed.emulator.client.post(f"{seed.path}/database/query", json={"query": "select 1"})
    states = seen(seed, "ACTIVE_HEALTHY")
    after = seed.emulator.postmaster(REF)
    ask(seed, "PATCH", COMPUTE, larger)

    assert refused.json() == {"message": "Project is not active: its status is RESIZING."}
    assert states == ["RESIZING", "ACTIVE_HEALTHY"]
    assert after not in {0, before}
    assert seed.sql("select * from kept") == []
    assert seen(seed, "ACTIVE_HEALTHY") == ["ACTIVE_HEALTHY"]
    ask(seed, "DELETE", f"{COMPUTE}/ci_large")
    assert seen(seed, "ACTIVE_HEALTHY") == ["RESIZING", "ACTIVE_HEALTHY"]


def test_restart_pause_and_restore(seed: Project) -> None:
    """Each step is seen while it lasts; a restoration that is cancelled ends as a paused project."""
    ask(seed, "POST", "restart")
    restarted = seen(seed, "ACTIVE_HEALTHY")
    ask(seed, "POST", "pause")
    paused = seen(seed, "INACTIVE")
    ask(seed, "POST", "restore")
    ask(seed, "POST", "restore/cancel")
    cancelled = seen(seed, "INACTIVE")
    stopped = seed.emulator.postmaster(REF)
    ask(seed, "POST", "restore")
    restored = seen(seed, "ACTIVE_HEALTHY")

    assert restarted == ["RESTARTING", "ACTIVE_HEALTHY"]
    assert paused == ["PAUSING", "INACTIVE"]
    assert cancelled == ["RESTORING", "INACTIVE"]
    assert stopped == 0
    assert restored == ["RESTORING", "ACTIVE_HEALTHY"]


def test_routes_for_partners_are_closed(seed: Project) -> None:
    """Without a partner's rights, which most tokens lack, the history of migrations is refused."""
    answer = seed.emulator.client.get(f"{seed.path}/database/migrations")

    assert answer.status_code == 403
    assert "only available to selected partner OAuth apps" in answer.json()["message"]


def test_waiting_steps_are_begun_by_the_next(own_emulator: Emulator) -> None:
    """A step that did not begin before the end is begun by the next emulator, as is an organization kept."""
    own_emulator.end()
    first = own_emulator.arguments
    own_emulator.arguments = (*first, "--step-seconds", "3600")
    own_emulator.start()
    slug = own_emulator.client.post("/v1/organizations", json={"name": "Made"}).json()["slug"]
    body = {"name": "later", "organization_slug": slug, "db_pass": "a long password"}
    ref = own_emulator.client.post("/v1/projects", json=body).json()["ref"]
    own_emulator.end()
    record = json.loads((own_emulator.data / "state" / f"{ref}.json").read_text())
    own_emulator.arguments = first
    own_emulator.start()
    own_emulator.wait_for_status(ref, "ACTIVE_HEALTHY")

    assert record["status"] == "UNKNOWN"
    assert own_emulator.client.get(f"/v1/organizations/{slug}").json()["name"] == "Made"
