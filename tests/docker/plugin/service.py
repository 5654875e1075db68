"""docker:index/service:Service on a Swarm: made, changed in place, and waited for."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tests.docker.plugin import convergence, properties
from tests.docker.plugin.convergence import Patience
from tests.docker.plugin.engine import DockerError, patiently
from tests.docker.plugin.servicespec import env_of, labels_of, nanoseconds, seconds, service_spec
from tests.docker.plugin.shapes import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.docker.plugin.engine import Engine
    from tests.docker.plugin.kinds import Given
    from tests.docker.plugin.logins import Login
    from tests.docker.plugin.shapes import Record

# The official provider's defaults of convergeConfig.
_DELAY, _TIMEOUT = "7s", "3m"
# Docker's own default of stopGracePeriod, and what removing a container takes after it.
_GRACE, _REMOVAL_S = "10s", 20.0


class Service:
    """The tasks of one image."""

    shape: Record = properties.SERVICE
    # As the official provider has it; everything else is changed in place.
    replacing = frozenset({"name"})
    unseen: frozenset[str] = frozenset()
    computed: tuple[str, ...] = ()

    def derive(self, _given: Given) -> Given:
        """Add nothing."""
        return {}

    def problems(self, given: Given) -> Iterator[str]:
        """Find durations that are none."""
        for path, text in _durations(given):
            try:
                nanoseconds(text)
            except ValueError as error:
                yield f"{path}: {error}"

    def create(self, engine: Engine, given: Given) -> tuple[str, Given]:
        """Make the service; without convergence it is removed again.

        Raises:
            DockerError: refused, or not there in time.
        """
        login = _login(engine, given)
        identity = str(engine.call("POST", "/services/create", service_spec(given), login.headers)["ID"])
        try:
            self._wait(engine, identity, given, set())
        except DockerError:
            self.delete(engine, identity, given)
            raise
        return identity, {}

    def update(self, engine: Engine, identity: str, given: Given) -> Given:
        """Change the service; Swarm replaces its tasks as `updateConfig` says.

        Raises:
            DockerError: refused, rolled back, paused, or not there in time.
        """
        known = convergence.task_ids(engine, identity)
        version = engine.call("GET", f"/services/{identity}")["Version"]["Index"]
        login = _login(engine, given)
        engine.call(
            "POST", f"/services/{identity}/update", service_spec(given), login.headers, version=version
        )
        self._wait(engine, identity, given, known)
        return {}

    def _wait(self, engine: Engine, identity: str, given: Given, known: set[str]) -> None:
        wanted = given.get("convergeConfig")
        if wanted is None:
            return
        patience = Patience(seconds(wanted.get("delay", _DELAY)), seconds(wanted.get("timeout", _TIMEOUT)))
        try:
            convergence.wait(engine, identity, patience, known)
        except DockerError as error:
            raise DockerError(f"service {given['name']}: {error}") from error

    def read(self, engine: Engine, identity: str, given: Given) -> Given | None:
        """See what others changed: image, variables, replicas and labels."""
        live = engine.find(f"/services/{identity}")
        return _as_found(given, live["Spec"]) if live else None

    def delete(self, engine: Engine, identity: str, given: Given) -> None:
        """Remove the service and wait for its containers on this node: they use its networks.

        Raises:
            DockerError: a container is still there after the grace period.
        """
        engine.remove(f"/services/{identity}", f"service {given.get('name', identity)}")
        container = given["taskSpec"]["containerSpec"]
        patience_s = seconds(container.get("stopGracePeriod", _GRACE)) + _REMOVAL_S
        label = {"label": [f"com.docker.swarm.service.id={identity}"]}
        if not patiently(
            lambda: not engine.call("GET", "/containers/json", filters=label, all=True), patience_s
        ):
            raise DockerError(f"service {given['name']}: its containers do not end within {patience_s:g} s")


def _login(engine: Engine, given: Given) -> Login:
    """Give what the nodes pull with: always one, for without the header Swarm keeps the one before."""
    return engine.logins.of(given["taskSpec"]["containerSpec"]["image"])


def _durations(given: Given) -> Iterator[tuple[str, str]]:
    task = given["taskSpec"] if given["taskSpec"] != UNKNOWN else {}
    container = task.get("containerSpec", {})
    container = container if container != UNKNOWN else {}
    places = {
        "convergeConfig": (given.get("convergeConfig", {}), ("delay", "timeout")),
        "updateConfig": (given.get("updateConfig", {}), ("delay", "monitor")),
        "rollbackConfig": (given.get("rollbackConfig", {}), ("delay", "monitor")),
        "taskSpec.restartPolicy": (task.get("restartPolicy", {}), ("delay", "window")),
        "taskSpec.containerSpec": (container, ("stopGracePeriod",)),
        "taskSpec.containerSpec.healthcheck": (
            container.get("healthcheck", {}),
            ("interval", "timeout", "startPeriod"),
        ),
    }
    for path, (holder, names) in places.items():
        present = (name for name in names if holder != UNKNOWN and holder.get(name, UNKNOWN) != UNKNOWN)
        yield from ((f"{path}.{name}", holder[name]) for name in present)


def _as_found(given: Given, spec: Given) -> Given:
    """Give the properties with those parts exchanged in which the service differs from them."""
    found = copy.deepcopy(given)
    container, live = found["taskSpec"]["containerSpec"], spec["TaskTemplate"]["ContainerSpec"]
    container["image"] = live["Image"]
    if env_of(container.get("env")) != live.get("Env", []):
        container["env"] = dict(one.partition("=")[::2] for one in live.get("Env", []))
    _exchange(found, spec, "labels", labels_of(found.get("labels")))
    _exchange(container, live, "labels", labels_of(container.get("labels")))
    replicas = spec["Mode"]["Replicated"]["Replicas"]
    if replicas != found.get("mode", {}).get("replicated", {}).get("replicas", 1):
        found["mode"] = {"replicated": {"replicas": replicas}}
    return found


def _exchange(target: dict[str, Any], live: Given, name: str, known: dict[str, str]) -> None:
    labels = live.get("Labels") or {}
    if labels != known:
        target[name] = [{"label": key, "value": value} for key, value in sorted(labels.items())]
