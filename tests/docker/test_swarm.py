"""The way back, on a real Swarm of one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from engines import swarm
from engines.health import Targets
from engines.release import Passed, Policy, Release, ReleaseError, Times, prove
from tests.docker.fix_gate import ENDPOINT, Rolled

if TYPE_CHECKING:
    import docker

pytestmark = pytest.mark.docker


@pytest.fixture
def rolled(engine: docker.DockerClient, base_image: str, prefix: str) -> Rolled:
    """Give a service of the test's own, which is not there yet; it goes with its prefix."""
    return Rolled(engine.api, base_image, f"{prefix}-gate")


def _prove(rolled: Rolled, version: str, lines: list[str] | None = None, **changes: Any) -> Passed:
    url = f"http://127.0.0.1:{rolled.port}"
    targets = Targets(url, url, version, version)
    services = {"app": rolled.service}
    release = Release("0123456789ab", targets, Policy(), Times(20, 0.6), services=services)
    return prove(replace(release, **changes), ([] if lines is None else lines).append)


def _refused(rolled: Rolled, version: str, **changes: Any) -> ReleaseError:
    with pytest.raises(ReleaseError) as caught:
        _prove(rolled, version, **changes)
    return caught.value


def test_the_digest_says_what_runs(rolled: Rolled) -> None:
    """Another setting is another digest, and the one before is kept."""
    first = rolled.create("v1")
    rolled.update("v2")
    second = rolled.arrived()

    assert (first.previous, second.previous) == ("", first.digest)
    assert second.digest != first.digest
    assert (first.tasks.wanted, first.tasks.running, first.tasks.failures) == (1, 1, ())


def test_back_and_forth(rolled: Rolled) -> None:
    """What passed comes back; what it replaced can be rolled out again, as a rollout like any other."""
    first = rolled.create("v1")
    rolled.update("v2")
    second = rolled.arrived()

    assert not swarm.go_back(rolled.service, "another")
    assert not swarm.go_forth(rolled.service)
    assert swarm.go_back(rolled.service, first.digest)
    back = rolled.arrived()
    assert (back.digest, back.update) == (first.digest, "rollback_completed")

    assert swarm.go_forth(rolled.service)
    forth = rolled.arrived()
    assert (forth.digest, forth.update, forth.previous) == (second.digest, "completed", first.digest)


def test_two_that_roll_back_at_once(rolled: Rolled) -> None:
    """One does it, the other finds it done; nobody rolls back the rollback."""
    first = rolled.create("v1")
    rolled.update("v2")
    rolled.arrived()

    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: swarm.go_back(rolled.service, first.digest), range(2)))

    assert sorted(done) == [False, True]
    assert rolled.arrived().digest == first.digest


def test_a_bad_release_goes_back_and_is_judged_again(rolled: Rolled) -> None:
    """It fails and what passed runs again; the same release again is rolled out and judged anew."""
    rolled.create("v1")
    passed = _prove(rolled, "v1").digests
    rolled.update("v2", errors=20)

    error = _refused(rolled, "v2", passed=passed)
    assert "(20.0%), at most 1.0% may be" in str(error)
    assert "app: rolled back to what passed before; 1 of 1 instances run" in str(error)
    assert "runs now: agent v1 (healthy), app v1 (healthy)" in str(error)

    lines: list[str] = []
    found = _prove(rolled, "v2", lines, passed=passed, policy=Policy(max_error_rate=0.5))
    assert "app was rolled back before; it is rolled out again" in lines
    assert found.digests["app"] not in {passed["app"], ""}
    assert swarm.look(rolled.service).update == "completed"


def test_a_first_release_has_no_way_back(rolled: Rolled) -> None:
    """Nothing has passed before: it stays, and the message says why."""
    rolled.create("v1", errors=20)

    error = _refused(rolled, "v1")

    assert "app: no release of it has passed yet" in str(error)
    assert swarm.look(rolled.service).update == ""


def test_what_passed_long_ago_is_not_guessed(rolled: Rolled) -> None:
    """Two rollouts later Swarm has forgotten it: the release that nobody proved is not put in force."""
    passed = {"app": rolled.create("v1").digest}
    rolled.update("v2", errors=20)
    rolled.arrived()
    rolled.update("v3", errors=20)

    error = _refused(rolled, "v3", passed=passed)

    assert "app: the engine no longer has what passed before" in str(error)
    assert "runs now: agent v3" in str(error)


def test_a_crash_loop_goes_back_with_the_reason(rolled: Rolled) -> None:
    """Tasks that end are named with their exit code, and what passed before serves again."""
    rolled.create("v1")
    passed = _prove(rolled, "v1").digests
    rolled.update("crash", FailureAction="pause")

    error = _refused(rolled, "crash", passed=passed)

    assert "Swarm gave the rollout up (paused" in str(error)
    assert "a task failed: task: non-zero exit (3)" in str(error)
    assert "runs now: agent v1 (healthy), app v1 (healthy)" in str(error)


def test_a_rollout_that_swarm_took_back_fails(rolled: Rolled) -> None:
    """Swarm was quicker: the release failed all the same, and the message says how to have it again."""
    rolled.create("v1")
    passed = _prove(rolled, "v1").digests
    rolled.update("crash", FailureAction="rollback", MaxFailureRatio=0)

    error = _refused(rolled, "crash", passed=passed)

    assert "Swarm gave the rollout up (rollback_completed" in str(error)
    assert "`scripts/pulumi refresh` makes the next update roll it out again" in str(error)
    assert "app: what runs is what passed before" in str(error)


def test_a_service_that_is_not_there(engine: docker.DockerClient) -> None:
    """The engine, the service and the reason are named."""
    assert engine.ping()
    with pytest.raises(swarm.SwarmError, match=rf"at {ENDPOINT} does not do it for gate-none"):
        swarm.look(swarm.Service(ENDPOINT, "gate-none"))
