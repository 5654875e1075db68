"""What the stand-in does on a real Swarm, without Pulumi: failures, waiting, and what is in use."""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.docker.fix_docker import drop_sockets
from tests.docker.leftovers import left_by
from tests.docker.plugin import engine as engine_calls
from tests.docker.plugin.engine import DockerError, Engine
from tests.docker.plugin.kinds import Network, Secret
from tests.docker.plugin.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import docker

pytestmark = pytest.mark.docker
ENCODED = base64.b64encode(b"CANARY-value").decode()
# A task counts as running when it is found healthy, which one that ends at once never is.
NEVER_HEALTHY = {"tests": ["CMD", "false"], "interval": "30s"}
SLEEP = ["python", "-c", "import signal; signal.pause()"]


@pytest.fixture
def calls(engine: docker.DockerClient) -> Iterator[Engine]:  # noqa: ARG001 - skips where there is no engine
    """Give the plugin's own access to the engine."""
    with contextlib.closing(Engine()) as made:
        yield made


@pytest.fixture
def described(prefix: str, base_image: str) -> Callable[..., dict[str, Any]]:
    """Give a function that writes down a service of one task with some command."""

    def describe(command: list[str], **more: Any) -> dict[str, Any]:
        container = {"image": base_image, "commands": command, "init": True, "stopGracePeriod": "1s"}
        return {
            "name": f"{prefix}-one",
            "taskSpec": {
                "containerSpec": {**container, **more},
                "restartPolicy": {"condition": "any", "delay": "200ms"},
            },
            "updateConfig": {"failureAction": "rollback", "monitor": "1s", "order": "start-first"},
            "convergeConfig": {"delay": "0s", "timeout": "20s"},
        }

    return describe


def test_service_that_never_runs_is_removed_again(
    engine: docker.DockerClient, calls: Engine, prefix: str, described: Callable[..., dict[str, Any]]
) -> None:
    """The error says which task failed and how; nothing is left, so that the next update can create it."""
    given = described(["python", "-c", "raise SystemExit(3)"], healthcheck=NEVER_HEALTHY)
    given["convergeConfig"]["timeout"] = "4s"

    with pytest.raises(DockerError, match=rf"{prefix}-one: did not converge within 4 s: task .* exit code 3"):
        Service().create(calls, given)

    assert left_by(engine, prefix) == []


def test_update_that_fails_is_rolled_back(
    engine: docker.DockerClient, calls: Engine, described: Callable[..., dict[str, Any]]
) -> None:
    """The error names the task's own; the service is as it was, and another update goes through."""
    identity, _ = Service().create(calls, described(SLEEP))
    broken = described(["python", "-c", "raise SystemExit(4)"], healthcheck=NEVER_HEALTHY)
    with pytest.raises(DockerError, match=r"the update failed \(rollback completed\): .* exit code 4"):
        Service().update(calls, identity, broken)
    after = engine.services.get(identity).attrs["Spec"]["TaskTemplate"]["ContainerSpec"]["Command"]

    assert after == SLEEP
    assert Service().update(calls, identity, described(SLEEP, env={"A": "1"})) == {}


def test_scaled_service_has_all_its_tasks(
    engine: docker.DockerClient, calls: Engine, described: Callable[..., dict[str, Any]]
) -> None:
    """More replicas are waited for, without touching those that run."""
    identity, _ = Service().create(calls, described(SLEEP))
    before = {task["ID"] for task in engine.services.get(identity).tasks({"desired-state": "running"})}
    Service().update(calls, identity, {**described(SLEEP), "mode": {"replicated": {"replicas": 3}}})
    running = engine.services.get(identity).tasks({"desired-state": "running"})

    assert [task["Status"]["State"] for task in running] == ["running"] * 3
    assert {task["ID"] for task in running} > before


def test_read_tells_what_others_changed(
    engine: docker.DockerClient, calls: Engine, described: Callable[..., dict[str, Any]]
) -> None:
    """Image, variables, replicas and labels come from the service; the rest stays as given."""
    given = described(SLEEP, env={"A": "1"})
    identity, _ = Service().create(calls, given)
    same = Service().read(calls, identity, given)
    engine.services.get(identity).update(
        env=["A=2"], labels={"by": "hand"}, mode={"Replicated": {"Replicas": 2}}
    )
    changed = Service().read(calls, identity, given)

    assert same == given
    assert changed is not None
    assert changed["taskSpec"]["containerSpec"]["env"] == {"A": "2"}
    assert changed["labels"] == [{"label": "by", "value": "hand"}]
    assert changed["mode"] == {"replicated": {"replicas": 2}}


def test_secret_in_use_is_not_deleted(
    calls: Engine, prefix: str, described: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some patience the error says who uses it, and not what it holds; without the service it goes."""
    given = {"name": f"{prefix}-secret", "data": ENCODED}
    secret, _ = Secret().create(calls, given)
    used = [{"secretId": secret, "secretName": given["name"], "fileName": "secret"}]
    service, _ = Service().create(calls, described(SLEEP, secrets=used))
    monkeypatch.setattr(engine_calls, "IN_USE_PATIENCE_S", 1)

    with pytest.raises(DockerError, match=rf"1 s long it was in use: .*{prefix}-one") as caught:
        Secret().delete(calls, secret, given)
    assert ENCODED not in str(caught.value)
    Service().delete(calls, service, described(SLEEP))
    Secret().delete(calls, secret, given)
    assert Secret().read(calls, secret, given) is None


def test_what_is_gone_already_is_deleted(calls: Engine, described: Callable[..., dict[str, Any]]) -> None:
    """Deleting again, as after a kill, is no error."""
    Service().delete(calls, "gwt-none", described(SLEEP))
    Secret().delete(calls, "gwt-none", {"name": "gwt-none"})
    Network().delete(calls, "gwt-none", {"name": "gwt-none"})


def test_absent_engine_is_named() -> None:
    """Without an engine the error says so."""
    with pytest.raises(DockerError, match="no Docker engine answers: "):
        Network().read(Engine("unix:///nowhere.sock"), "any", {})
    drop_sockets()


def test_machine_is_reached_from_a_container(
    engine: docker.DockerClient, prefix: str, base_image: str, machine_address: str
) -> None:
    """A container has Python and HAProxy, and the machine's address is on its way."""
    command = ["sh", "-c", f"haproxy -v && python -V && getent ahosts {machine_address}"]
    told = engine.containers.run(base_image, command, name=f"{prefix}-reach", remove=True).decode()

    assert "HAProxy version" in told
    assert "Python 3" in told
    assert machine_address in told
