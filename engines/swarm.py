"""What a Docker Swarm says of a service's rollout, and the way back to the release before.

Swarm keeps the spec before the last one as `PreviousSpec`. A rollback puts it in force and keeps the spec
that it replaced as the previous one, so that a later update can put that back; a rollback that Swarm did by
itself keeps none (measured with Docker 20.10). Which release a spec is of, its label says
(`content.RELEASE`): other differences of a spec (a commit's name, a limit) make no other release of it.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engines import content
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
    """A service of a Swarm.

    Attributes:
        endpoint: its engine's address (unix, tcp or ssh).
        name: the service's.
        release: which release of it should run.
    """

    endpoint: str
    name: str
    release: str = ""


@dataclass(frozen=True)
class State:
    """How a service is.

    Attributes:
        release: the one that runs, as its label says; empty: it says nothing.
        previous: the one that ran before; empty: Swarm has kept nothing that says so.
        is_wanted: what runs is what should run.
        is_kept: Swarm has kept what ran before.
        update: state of the last rollout (`updating`, `completed`, `rollback_completed`, …); empty: none was.
        message: what Swarm says of it.
        tasks: how many instances run, and why others do not.
        fallen: ids of all tasks that failed, as far as Swarm remembers.
    """

    release: str
    previous: str
    is_wanted: bool
    is_kept: bool
    update: str
    message: str
    tasks: Tasks
    fallen: frozenset[str] = frozenset()

    @property
    def complete(self) -> bool:
        """All instances run, and none is about to be replaced."""
        return not self.tasks.moving and self.tasks.running >= self.tasks.wanted

    @property
    def given_up(self) -> bool:
        """Swarm does not try any more to run what was asked for."""
        return self.went_back or self.update.endswith("paused")

    @property
    def went_back(self) -> bool:
        """What should run was taken back, and what runs is another release."""
        return self.update.startswith("rollback") and not self.is_wanted


@contextmanager
def _engine(service: Service) -> Iterator[Any]:
    """Open an engine; whatever goes wrong with it is one kind of error."""
    # Loaded on demand: the SDK takes longer to import than everything else here.
    import docker  # noqa: PLC0415
    from requests.exceptions import RequestException  # noqa: PLC0415

    client = None
    try:
        client = _connect(service.endpoint)
        yield client
    except (docker.errors.DockerException, RequestException, OSError, ValueError) as error:
        text = f"the Docker engine at {service.endpoint} does not do it for {service.name}: {error}"
        raise SwarmError(text[:_LONGEST_TEXT]) from error
    finally:
        if client is not None:
            client.close()


def _connect(endpoint: str) -> Any:
    # Loaded on demand, as above.
    if endpoint.startswith("ssh:"):
        from engines import ssh  # noqa: PLC0415

        return ssh.connect(endpoint, _REQUEST_TIMEOUT_S)
    import docker  # noqa: PLC0415

    return docker.APIClient(base_url=endpoint, version="auto", timeout=_REQUEST_TIMEOUT_S)


def look(service: Service, known: frozenset[str] = frozenset()) -> State:
    """Say how a service is.

    Args:
        service: the service.
        known: ids of tasks whose failure says nothing any more.

    Raises:
        SwarmError: the engine is not reached, or has no such service.
    """
    with _engine(service) as client:
        found, tasks = client.inspect_service(service.name), client.tasks({"service": service.name})
    return _state(service, found, tasks, known)


def _state(
    service: Service, found: dict[str, Any], tasks: list[dict[str, Any]], known: frozenset[str] = frozenset()
) -> State:
    status, previous = found.get("UpdateStatus") or {}, found.get("PreviousSpec") or {}
    release = _release(found["Spec"])
    is_wanted = release == service.release
    stopped = _stopped(status, is_wanted=is_wanted, is_kept=bool(previous))
    return State(
        release=release,
        previous=_release(previous),
        is_wanted=is_wanted,
        is_kept=bool(previous),
        update=str(status.get("State", "")),
        message=str(status.get("Message", "")),
        tasks=_tasks(found, [one for one in tasks if one["ID"] not in known], stopped),
        fallen=frozenset(one["ID"] for one in tasks if _has_failed(one)),
    )


def _release(spec: dict[str, Any]) -> str:
    return str((spec.get("Labels") or {}).get(content.RELEASE, ""))


def _tasks(found: dict[str, Any], tasks: list[dict[str, Any]], stopped: str) -> Tasks:
    status = found.get("UpdateStatus") or {}
    # Both times are the manager's; RFC 3339 in UTC sorts as text down to the second.
    since = str(status.get("StartedAt") or found["CreatedAt"])[:19]
    recent = sorted((one for one in tasks if one["CreatedAt"][:19] >= since), key=_created, reverse=True)
    failures = [_failure(one) for one in recent if _has_failed(one)]
    running = [one for one in tasks if one["Status"]["State"] == one["DesiredState"] == "running"]
    return Tasks(
        wanted=_wanted(found["Spec"]["Mode"], tasks),
        running=len(running),
        failures=tuple(dict.fromkeys(failures))[:_SHOWN],
        failed=len(failures),
        stopped=stopped,
        moving=status.get("State") in {"updating", "rollback_started"},
    )


def _has_failed(task: dict[str, Any]) -> bool:
    return task["Status"]["State"] in {"failed", "rejected"}


def _stopped(status: dict[str, Any], *, is_wanted: bool, is_kept: bool) -> str:
    """Say why a rollout is not under way any more though it was not completed; empty: that is not so."""
    state = str(status.get("State", ""))
    # Who asks for what runs has nothing against the rollback that brought it.
    if not state.endswith("paused") and (is_wanted or not state.startswith("rollback")):
        return ""
    text = f"Swarm gave the rollout up ({state}: {status.get('Message', '')})"
    # Pulumi believes that it was rolled out, and nothing is left here to put in force again.
    hint = "; `scripts/pulumi refresh` makes the next update roll it out again"
    return text if is_wanted or is_kept else text + hint


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
    is_silent = state.is_kept and not state.update
    return state.tasks.moving or (is_silent and waited_s < _TO_BEGIN_S)


def go_back(service: Service, passed: str) -> bool:
    """Begin to put what ran before in force again, if that is what passed last; tell whether it is.

    Args:
        service: the service.
        passed: the release that passed.

    Raises:
        SwarmError: the engine is not reached, or refuses.
    """
    return _change(service, lambda state: state.previous == passed != state.release, {"rollback": "previous"})


def go_forth(service: Service) -> bool:
    """Begin to put in force again what should run, if a rollback has replaced it; tell whether it is.

    A rollout like any other, no rollback: afterwards Swarm says that it is completed.

    Raises:
        SwarmError: the engine is not reached, or refuses.
    """
    return _change(
        service,
        lambda state: state.went_back and state.previous == service.release,
        {"registryAuthFrom": "previous-spec"},
    )


def _change(service: Service, wanted: Callable[[State], bool], params: dict[str, str]) -> bool:
    """Change to the previous spec; when somebody else was quicker, look and decide anew."""
    for _ in range(_CONFLICTS):
        with _engine(service) as client:
            found = client.inspect_service(service.name)
            if not wanted(_state(service, found, client.tasks({"service": service.name}))):
                return False
            # With `rollback`, Swarm takes the spec from its own memory, and reads this one only.
            spec = found["Spec"] if "rollback" in params else found["PreviousSpec"]
            answer = client.post(
                f"{client.base_url}/v{client.api_version}/services/{found['ID']}/update",
                params={**params, "version": found["Version"]["Index"]},
                json=spec,
                timeout=_REQUEST_TIMEOUT_S,
            )
            if answer.ok:
                return True
            if _SEQUENCE not in answer.text:
                raise SwarmError(
                    f"Swarm refuses to change {service.name}: {answer.text[:_LONGEST_TEXT].strip()}"
                )
    raise SwarmError(f"{service.name} is changed by others all the time; update again when they are done")
