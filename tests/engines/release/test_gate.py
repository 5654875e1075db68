"""The gate, with real HTTP services that are well, slow to start, failing, crashing, stale or gone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from engines.release import Passed, Policy, Release, ReleaseError, Times, prove
from engines.swarm import Service as SwarmService

if TYPE_CHECKING:
    from engines.health import Targets
    from tests.engines.release.conftest import Service

QUICK = Times(timeout_s=0, window_s=0.6)
ID = "0123456789ab"
GONE = {"ok": False, "error": "refused"}


def _prove(targets: Targets, lines: list[str] | None = None, **changes: Any) -> Passed:
    release = replace(Release(ID, targets, Policy(), QUICK), **changes)
    return prove(release, ([] if lines is None else lines).append)


def _refused(targets: Targets, **changes: Any) -> ReleaseError:
    with pytest.raises(ReleaseError) as caught:
        _prove(targets, **changes)
    return caught.value


def test_a_well_release_passes(targets: Targets) -> None:
    """Both are well with what was rolled out, and stay it for the window."""
    lines: list[str] = []

    found = _prove(targets, lines)

    assert (found.status, found.verdict) == ("healthy", "pass")
    assert lines == ["healthy; watching for 0.6 s"]


def test_a_slow_start_is_no_fault(app: Service, targets: Targets) -> None:
    """What comes up within the time passes, and each state on the way is reported once."""
    states: list[dict[str, Any]] = [{"database": GONE}, {"database": GONE}, {"version": "v1"}]

    def starting(document: dict[str, Any]) -> None:
        state = states.pop(0) if states else {}
        document.update({"version": state.get("version", "v2")})
        if "database" in state:
            document.update({"status": "unhealthy", "checks": state})

    app.change = starting
    lines: list[str] = []
    found = _prove(targets, lines, times=Times(timeout_s=30, window_s=0.3))

    assert found.verdict == "pass"
    assert lines == [
        "waiting for app.database: refused",
        "waiting for app.version: 'v1' runs, 'v2' was rolled out",
        "healthy; watching for 0.3 s",
    ]


def test_what_never_becomes_healthy_fails(agent: Service, targets: Targets) -> None:
    """The message says what was seen, what was done, and what to do; without a way back all runs on."""
    agent.change = lambda document: document.update(status="unhealthy", checks={"database": GONE})

    error = _refused(targets)

    assert error.verdict.kind == "fail"
    assert f"release {ID} failed at the health gate" in str(error)
    assert "seen: unhealthy after" in str(error)
    assert "agent.database: refused" in str(error)
    assert "app and agent keep running as they are" in str(error)


def test_the_old_version_fails_even_where_degraded_passes(app: Service, targets: Targets) -> None:
    """Who still answers with old code has not been rolled out."""
    app.version = "v1"

    error = _refused(targets, policy=Policy(allow_degraded=True))

    assert error.verdict.kind == "fail"
    assert "app.version: 'v1' runs, 'v2' was rolled out" in str(error)


def test_answers_with_5xx_fail(app: Service, targets: Targets) -> None:
    """Well by its own word, but one of ten requests fails."""
    app.requests, app.errors = 50, 5

    error = _refused(targets)

    assert error.verdict.kind == "fail"
    assert "(10.0%), at most 1.0% may be" in str(error)


def test_errors_beside_a_failing_neighbour_are_asked(app: Service, targets: Targets) -> None:
    """Degraded passes here, and what the neighbour is needed for fails with any release: that is no proof."""
    app.requests, app.errors = 50, 5
    app.change = lambda document: document.update(status="degraded", checks={"auth": GONE})

    error = _refused(targets, policy=Policy(allow_degraded=True))

    assert error.verdict.kind == "inconclusive"
    assert "(10.0%), at most 1.0% may be" in str(error)


def test_what_an_instance_counted_before_the_window_is_not_of_it(app: Service, targets: Targets) -> None:
    """It started while the gate watched, and gave errors; then a window begins in which it is well."""
    turns = iter(["old", "old", "new", "away"])

    def changing(document: dict[str, Any]) -> None:
        turn = next(turns, "well")
        if turn == "new":
            app.restart()
            app.requests, app.errors = 50, 40
        elif turn == "away":
            app.errors = 0
            document.update(status="unhealthy", checks={"database": GONE})

    app.change = changing

    assert _prove(targets, times=Times(30, 1.5)).verdict == "pass"


def test_slow_answers_fail_where_the_stack_has_a_limit(app: Service, targets: Targets) -> None:
    """A fifth of the requests is slow: that is nothing until a limit says so."""
    app.requests, app.slow = 50, 10

    error = _refused(targets, policy=Policy(max_latency_s=0.1))

    assert "(20.0%) took longer than 0.1 s" in str(error)
    assert _prove(targets).verdict == "pass"


def test_a_crash_loop_fails(app: Service, targets: Targets) -> None:
    """Well at every look, and another process each time."""
    app.crashes = True

    error = _refused(targets)

    assert error.verdict.kind == "fail"
    assert "so its instances keep ending" in str(error)


def test_replicas_that_answer_in_turn_are_no_crash_loop(app: Service, targets: Targets) -> None:
    """Several old processes behind one address are as many instances, and none has started."""
    app.age(hours=1)
    names = [f"replica-{place % 3}" for place in range(90)]
    app.change = lambda document: document.update(instance=names.pop())

    assert _prove(targets).verdict == "pass"


def test_a_probe_that_does_not_come_through_fails(app: Service, targets: Targets) -> None:
    """All are well by their own word, and no request reaches the database."""
    app.probe, app.requests = 502, 0

    error = _refused(targets)

    assert error.verdict.kind == "fail"
    assert "/api/probe answers 502: the agent answers 500" in str(error)


def test_a_short_window_has_looks_enough_all_the_same(app: Service, targets: Targets) -> None:
    """On a slow machine there is time for one look only, by which nobody can tell once from always."""
    app.probe, app.requests = 502, 0

    assert _refused(targets, times=Times(timeout_s=0, window_s=0)).verdict.kind == "fail"


def test_services_without_a_probe_and_counters_pass(app: Service, agent: Service, targets: Targets) -> None:
    """What a service does not say is not held against it."""
    app.probe = 404
    for service in (app, agent):
        service.change = lambda document: [document.pop(name) for name in ("traffic", "instance")]

    assert _prove(targets).verdict == "pass"


def test_degraded_is_asked_unless_it_is_allowed(app: Service, targets: Targets) -> None:
    """A side service's failure proves nothing: the update asks, and says how to go on."""
    app.change = lambda document: document.update(status="degraded", checks={"auth": GONE})

    error = _refused(targets)

    assert error.verdict.kind == "inconclusive"
    assert "app.auth: refused" in str(error)
    assert f"groundwork:health.accept {ID}" in str(error)
    assert _prove(targets, policy=Policy(allow_degraded=True)).status == "degraded"


def test_what_is_out_of_reach_is_asked(targets: Targets, nowhere: str) -> None:
    """Nobody answers, and nobody says whether it runs: that is no proof against the release."""
    error = _refused(replace(targets, app_url=nowhere, agent_url=nowhere))

    assert error.verdict.kind == "inconclusive"
    assert f"{nowhere}/api/health cannot be reached" in str(error)
    assert f"{nowhere}/health cannot be reached" in str(error)


def test_an_accepted_release_passes_and_no_other(targets: Targets, nowhere: str) -> None:
    """The id lets this very release pass; what is proven bad stays refused."""
    away = replace(targets, agent_url=nowhere)
    lines: list[str] = []

    found = _prove(away, lines, accept=ID)

    assert (found.verdict, found.status) == ("accepted", "unhealthy")
    assert lines[-1].startswith("accepted: agent.answer")
    assert _refused(away, accept="ba9876543210").verdict.kind == "inconclusive"
    assert _refused(replace(targets, app_version="v3"), accept=ID).verdict.kind == "fail"


def test_an_engine_out_of_reach_is_said_and_the_verdict_stands(
    app: Service, targets: Targets, nowhere: str
) -> None:
    """A release that is bad fails though its Swarm does not answer; a good one passes."""
    endpoint = nowhere.replace("http", "tcp")
    away = {"app": SwarmService(endpoint, "gate-app")}
    app.errors = 5
    lines: list[str] = []

    error = _refused(targets, services=away)
    app.errors = 0
    _prove(targets, lines, services=away)

    assert f"app: not rolled back: the Docker engine at {endpoint}" in str(error)
    assert "runs now: agent v2 (healthy), app v2 (healthy)" in str(error)
    assert f"the Docker engine at {endpoint}" in lines[0]
