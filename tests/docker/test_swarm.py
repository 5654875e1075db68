"""The way back, on a real Swarm of one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from engines import ports, swarm
from engines.health import Targets
from engines.release import Passed, Policy, Release, ReleaseError, Times, prove
from tests.docker.fix_gate import ENDPOINT, Rolled
from tests.polling import until

if TYPE_CHECKING:
    import docker

PASSED = {"app": "v1"}
# A busy machine takes its time until a program ends; Swarm acts on it as soon as it does.
LONG = 20_000_000_000
pytestmark = pytest.mark.docker


@pytest.fixture
def rolled(engine: docker.DockerClient, base_image: str, prefix: str) -> Rolled:
    """Give a service of the test's own, which is not there yet; it goes with its prefix."""
    return Rolled(engine.api, base_image, f"{prefix}-gate")


@pytest.fixture
def other(engine: docker.DockerClient, base_image: str, prefix: str) -> Rolled:
    """Give a second one."""
    return Rolled(engine.api, base_image, f"{prefix}-other")


@pytest.fixture
def nowhere() -> str:
    """Give a URL where nothing listens."""
    return f"http://127.0.0.1:{ports.free_port()}"


def _prove(rolled: Rolled, version: str, lines: list[str] | None = None, **changes: Any) -> Passed:
    url = f"http://127.0.0.1:{rolled.port}"
    targets = Targets(url, url, version, version)
    services = {"app": replace(rolled.service, release=version)}
    release = Release("0123456789ab", targets, Policy(), Times(20, 0.6), services=services)
    return prove(replace(release, **changes), ([] if lines is None else lines).append)


def _refused(rolled: Rolled, version: str, **changes: Any) -> ReleaseError:
    with pytest.raises(ReleaseError) as caught:
        _prove(rolled, version, **changes)
    return caught.value


def test_a_service_says_which_release_runs(rolled: Rolled) -> None:
    """Its label does, and the one before is kept."""
    first = rolled.create("v1")
    rolled.update("v2")
    second = rolled.arrived()

    assert (first.release, first.previous) == ("v1", "")
    assert (second.release, second.previous) == ("v2", "v1")
    assert (first.tasks.wanted, first.tasks.running, first.tasks.failures) == (1, 1, ())


def test_back_and_forth(rolled: Rolled) -> None:
    """What passed comes back; what it replaced can be rolled out again, as a rollout like any other."""
    rolled.create("v1")
    rolled.update("v2")
    rolled.arrived()
    service = replace(rolled.service, release="v2")

    assert not swarm.go_back(service, "another")
    assert not swarm.go_forth(service)
    assert swarm.go_back(service, "v1")
    back = rolled.arrived()
    assert (back.release, back.update) == ("v1", "rollback_completed")

    assert not swarm.go_forth(replace(service, release="v3"))
    assert swarm.go_forth(service)
    forth = rolled.arrived()
    assert (forth.release, forth.update, forth.previous) == ("v2", "completed", "v1")


def test_two_that_roll_back_at_once(rolled: Rolled) -> None:
    """One does it, the other finds it done; nobody rolls back the rollback."""
    rolled.create("v1")
    rolled.update("v2")
    rolled.arrived()

    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: swarm.go_back(rolled.service, "v1"), range(2)))

    assert sorted(done) == [False, True]
    assert rolled.arrived().release == "v1"


def test_a_bad_release_goes_back_and_is_judged_again(rolled: Rolled) -> None:
    """It fails and what passed runs again; the same release again is rolled out and judged anew."""
    rolled.create("v1")
    _prove(rolled, "v1")
    rolled.update("v2", errors=20)

    error = _refused(rolled, "v2", passed=PASSED)
    assert "(20.0%), at most 1.0% may be" in str(error)
    assert "app: rolled back to what passed before; 1 of 1 instances run" in str(error)
    assert "runs now: agent v1 (healthy), app v1 (healthy)" in str(error)

    lines: list[str] = []
    _prove(rolled, "v2", lines, passed=PASSED, policy=Policy(max_error_rate=0.5))
    assert "app was rolled back before; it is rolled out again" in lines
    state = swarm.look(rolled.service)
    assert (state.release, state.update) == ("v2", "completed")


def test_an_update_that_was_killed_while_it_rolled_back(rolled: Rolled) -> None:
    """The next one lets Swarm end it, rolls the release out again, and judges that, not what ran before."""
    rolled.create("v1")
    rolled.update("v2")
    rolled.arrived()
    swarm.go_back(rolled.service, "v1")

    assert _prove(rolled, "v2", passed=PASSED).verdict == "pass"
    assert swarm.look(rolled.service).release == "v2"


def test_a_first_release_has_no_way_back(rolled: Rolled) -> None:
    """Nothing has passed before: it stays, and the message says why."""
    rolled.create("v1", errors=20)

    error = _refused(rolled, "v1")

    assert "app: no release of it has passed yet" in str(error)
    assert swarm.look(rolled.service).update == ""


def test_what_passed_long_ago_is_not_guessed(rolled: Rolled) -> None:
    """Two rollouts later Swarm has forgotten it: the release that nobody proved is not put in force."""
    rolled.create("v1")
    rolled.update("v2", errors=20)
    rolled.arrived()
    rolled.update("v3", errors=20)

    error = _refused(rolled, "v3", passed=PASSED)

    assert "app: the engine no longer has what passed before" in str(error)
    assert "runs now: agent v3" in str(error)


def test_a_program_that_ends_at_once_goes_back_with_the_reason(rolled: Rolled) -> None:
    """Tasks that end are named with their exit code, and what passed before serves again."""
    rolled.create("v1")
    _prove(rolled, "v1")
    rolled.update("crash", Monitor=LONG, FailureAction="pause")

    error = _refused(rolled, "crash", passed=PASSED)

    assert "Swarm gave the rollout up (paused" in str(error)
    assert "a task failed: task: non-zero exit (3)" in str(error)
    assert "runs now: agent v1 (healthy), app v1 (healthy)" in str(error)


def test_a_rollout_that_swarm_took_back_fails(rolled: Rolled) -> None:
    """Swarm was quicker: the release failed all the same, and the message says how to have it again."""
    rolled.create("v1")
    _prove(rolled, "v1")
    rolled.update("crash", Monitor=LONG, FailureAction="rollback", MaxFailureRatio=0)

    error = _refused(rolled, "crash", passed=PASSED)

    assert "Swarm gave the rollout up (rollback_completed" in str(error)
    assert "`scripts/pulumi refresh` makes the next update roll it out again" in str(error)
    assert "app: what runs is what passed before" in str(error)


def test_a_way_back_is_that_of_the_release_not_of_its_commit(rolled: Rolled) -> None:
    """The same code, rolled out again because its files were committed, is still what passed."""
    rolled.create("v1")
    rolled.update("v1", commit="c0ffee")
    rolled.arrived()
    rolled.update("v2", errors=20)

    error = _refused(rolled, "v2", passed=PASSED)

    assert "app: rolled back to what passed before" in str(error)
    assert swarm.look(rolled.service).release == "v1"


def test_who_asks_for_what_ran_before_does_not_get_the_bad_release_again(rolled: Rolled) -> None:
    """The gate took it back, a refresh told Pulumi so, and then another service is released."""
    rolled.create("v1")
    rolled.update("v2", errors=20)
    _refused(rolled, "v2", passed=PASSED)

    assert _prove(rolled, "v1", passed=PASSED).verdict == "pass"
    assert swarm.look(rolled.service).release == "v1"


def test_a_rollback_of_swarm_says_nothing_against_what_was_asked_for(rolled: Rolled) -> None:
    """It took a bad release back, the code was reverted, and then another service is released."""
    rolled.create("v1")
    rolled.update("crash", Monitor=LONG, FailureAction="rollback", MaxFailureRatio=0)
    until(lambda: swarm.look(rolled.service).update == "rollback_completed", what="Swarm's rollback")

    assert _prove(rolled, "v1", passed=PASSED).verdict == "pass"


def test_what_failed_before_a_release_says_nothing_of_it(rolled: Rolled, nowhere: str) -> None:
    """The service was left as it was, and one of its tasks had failed; nobody can tell why it is silent."""
    rolled.create("v1")
    rolled.end()
    away = Targets(nowhere, nowhere, "v1", "v1")

    same = _refused(rolled, "v1", passed=PASSED, targets=away, times=Times(0, 0))
    new = _refused(rolled, "v1", targets=away, times=Times(0, 0))

    assert same.verdict.kind == "inconclusive"
    assert "1 of 1 instances run, 1 failed: a task failed" in str(new)


def test_the_agent_goes_forth_first_and_back_last(rolled: Rolled, other: Rolled) -> None:
    """An app needs what its agent gives; the agent that an app came with stays as long as the app does."""
    services = {"app": replace(rolled.service, release="v2"), "agent": replace(other.service, release="v2")}
    for one in (rolled, other):
        one.create("v1")
        one.update("v2", errors=20)
        one.arrived()
    stays = _refused(rolled, "v2", services=services, passed={"agent": "v1"})
    back = _refused(rolled, "v2", services=services, passed={"app": "v1", "agent": "v1"})
    lines: list[str] = []
    _prove(rolled, "v2", lines, services=services, policy=Policy(max_error_rate=0.5))

    assert "agent: not rolled back, because the app that runs may need it" in str(stays)
    assert str(back).index("app: rolled back") < str(back).index("agent: rolled back")
    assert [line.split()[0] for line in lines if "rolled out again" in line] == ["agent", "app"]


def test_a_service_that_is_not_there(engine: docker.DockerClient) -> None:
    """The engine, the service and the reason are named."""
    assert engine.ping()
    with pytest.raises(swarm.SwarmError, match=rf"at {ENDPOINT} does not do it for gate-none"):
        swarm.look(swarm.Service(ENDPOINT, "gate-none"))
