"""What a Docker Swarm says of a service's rollout, and the way back to the release before.

Swarm keeps the spec before the last one as `PreviousSpec`. A rollback puts it in force and keeps the spec
that it replaced as the previous one, so that a later update can put that back; a rollback that Swarm did by
itself keeps none (measured with Docker 20.10). What runs is compared by a digest of its task template, which
names secrets and never holds their values.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engines.errors import GroundworkError
from engines.release.verdict import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_POLL_S = 0.5
_TO_BEGIN_S = 2.0
_REQUEST_TIMEOUT_S = 30
_CONFLICTS = 5
_SEQUENCE = "out of sequence"
_LONGEST_TEXT = 300
_SHOWN = 3


class SwarmError(GroundworkError):
    """An engine cannot be asked, or does not do what it is asked for."""


@dataclass(frozen=True)
class Service:
    """A service of a Swarm; `endpoint` is its engine's address (unix, tcp or ssh), `name` the service's."""

    endpoint: str
    name: str


@dataclass(frozen=True)
class State:
    """How a service is.

    Attributes:
        digest: of what runs; the same for the same image, settings and secrets.
        previous: digest of what ran before; empty: Swarm has kept nothing.
        update: state of the last rollout (`updating`, `completed`, `rollback_completed`, …); empty: none was.
        message: what Swarm says of it.
        tasks: how many instances run, and why others do not.
    """

    digest: str
    previous: str
    update: str
    message: str
    tasks: Tasks

    @property
    def moving(self) -> bool:
        """A rollout is under way."""
        return self.update in {"updating", "rollback_started"}

    @property
    def complete(self) -> bool:
        """All instances run, and none is about to be replaced."""
        return not self.moving and self.tasks.running >= self.tasks.wanted

    @property
    def given_up(self) -> bool:
        """Swarm does not try any more to run what was asked for."""
        return self.went_back or self.update.startswith("paused")

    @property
    def went_back(self) -> bool:
        """What runs is not what was asked for last."""
        return self.update.startswith("rollback")


@contextmanager
def _engine(service: Service) -> Iterator[Any]:
    """Open an engine; whatever goes wrong with it is one kind of error."""
    # Loaded on demand: the SDK takes longer to import than everything else here.
    import docker  # noqa: PLC0415
    from requests.exceptions import RequestException  # noqa: PLC0415

    client = None
    try:
        client = docker.APIClient(
            base_url=service.endpoint,
            version="auto",
            timeout=_REQUEST_TIMEOUT_S,
            use_ssh_client=service.endpoint.startswith("ssh:"),
        )
        yield client
    except (docker.errors.DockerException, RequestException, OSError, ValueError) as error:
        text = f"the Docker engine at {service.endpoint} does not do it for {service.name}: {error}"
        raise SwarmError(text[:_LONGEST_TEXT]) from error
    finally:
        if client is not None:
            client.close()


def look(service: Service) -> State:
    """Say how a service is.

    Raises:
        SwarmError: the engine is not reached, or has no such service.
    """
    with _engine(service) as client:
        return _state(client.inspect_service(service.name), client.tasks({"service": service.name}))


def _state(found: dict[str, Any], tasks: list[dict[str, Any]]) -> State:
    status = found.get("UpdateStatus") or {}
    previous = found.get("PreviousSpec")
    return State(
        digest=_digest(found["Spec"]),
        previous=_digest(previous) if previous else "",
        update=str(status.get("State", "")),
        message=str(status.get("Message", "")),
        tasks=_tasks(found, tasks),
    )


def _digest(spec: dict[str, Any]) -> str:
    """Tell what runs from what ran; a count that only forces tasks to be made anew changes nothing of it."""
    template = {key: value for key, value in spec["TaskTemplate"].items() if key != "ForceUpdate"}
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:16]


def _tasks(found: dict[str, Any], tasks: list[dict[str, Any]]) -> Tasks:
    status = found.get("UpdateStatus") or {}
    wanted = _wanted(found["Spec"]["Mode"], tasks)
    # Both times are the manager's; RFC 3339 in UTC sorts as text down to the second.
    since = str(status.get("StartedAt") or found["CreatedAt"])[:19]
    recent = sorted((one for one in tasks if one["CreatedAt"][:19] >= since), key=_created, reverse=True)
    failures = [_failure(one) for one in recent if one["Status"]["State"] in {"failed", "rejected"}]
    running = [one for one in tasks if one["Status"]["State"] == one["DesiredState"] == "running"]
    stopped = _stopped(status, is_kept=bool(found.get("PreviousSpec")))
    return Tasks(wanted, len(running), tuple(dict.fromkeys(failures))[:_SHOWN], len(failures), stopped)


def _stopped(status: dict[str, Any], *, is_kept: bool) -> str:
    """Say why a rollout is not under way any more though it was not completed; empty: that is not so."""
    state = str(status.get("State", ""))
    if not state.startswith(("rollback", "paused")):
        return ""
    text = f"Swarm gave the rollout up ({state}: {status.get('Message', '')})"
    # Pulumi believes that it was rolled out, and nothing is left here to put in force again.
    hint = "; `scripts/pulumi refresh` makes the next update roll it out again"
    return text if is_kept else text + hint


def _wanted(mode: dict[str, Any], tasks: list[dict[str, Any]]) -> int:
    """Count the instances that should run; of a global service, one on each node that has a task."""
    if "Replicated" in mode:
        return int(mode["Replicated"].get("Replicas", 1))
    return len({one.get("NodeID") for one in tasks if one["DesiredState"] == "running"})


def _created(task: dict[str, Any]) -> str:
    return str(task["CreatedAt"])


def _failure(task: dict[str, Any]) -> str:
    status = task["Status"]
    text = status.get("Err") or status.get("Message") or "no reason is given"
    return f"a task {status['State']}: {text}"


def settle(service: Service, timeout_s: float) -> State:
    """Wait until no rollout is under way, or the time is over; say how it is then.

    Raises:
        SwarmError: the engine is not reached, or has no such service.
    """
    began = time.monotonic()
    while _waits(state := look(service), waited_s := time.monotonic() - began) and waited_s < timeout_s:
        time.sleep(_POLL_S)
    return state


def _waits(state: State, waited_s: float) -> bool:
    """Say whether a rollout is under way, or may be: Swarm needs a moment to begin one, and says nothing."""
    is_silent = bool(state.previous) and not state.update
    return state.moving or (is_silent and waited_s < _TO_BEGIN_S)


def go_back(service: Service, passed: str) -> bool:
    """Begin to put what ran before in force again, if that is what passed last; tell whether it is.

    Args:
        service: the service.
        passed: digest of what passed.

    Raises:
        SwarmError: the engine is not reached, or refuses.
    """
    return _change(service, lambda state: state.previous == passed != state.digest, {"rollback": "previous"})


def go_forth(service: Service) -> bool:
    """Begin to put in force again what a rollback has replaced; tell whether there was something.

    A rollout like any other, no rollback: afterwards Swarm says that it is completed.

    Raises:
        SwarmError: the engine is not reached, or refuses.
    """
    return _change(
        service, lambda state: state.went_back and bool(state.previous), {"registryAuthFrom": "previous-spec"}
    )


def _change(service: Service, wanted: Callable[[State], bool], params: dict[str, str]) -> bool:
    """Change to the previous spec; when somebody else was quicker, look and decide anew."""
    for _ in range(_CONFLICTS):
        with _engine(service) as client:
            found = client.inspect_service(service.name)
            if not wanted(_state(found, client.tasks({"service": service.name}))):
                return False
            # With `rollback`, Swarm takes the spec from its own memory, and reads this one only.
            spec = found["Spec"] if "rollback" in params else found["PreviousSpec"]
            answer = client.post(
                f"{client.base_url}/v{client.api_version}/services/{found['ID']}/update",
                params={**params, "version": found["Version"]["Index"]},
                json=spec,
            )
            if answer.ok:
                return True
            if _SEQUENCE not in answer.text:
                raise SwarmError(
                    f"Swarm refuses to change {service.name}: {answer.text[:_LONGEST_TEXT].strip()}"
                )
    raise SwarmError(f"{service.name} is changed by others all the time; update again when they are done")
