"""Waiting until Swarm has done what a service's specification says, and telling why it did not.

A service is there when as many tasks of its newest specification run as it wants, and no update is under way.
The official provider counts running tasks of any specification and first looks 7 seconds after an update
(resource_docker_service_funcs.go), so it can be content earlier, between the updates of two tasks.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.docker.plugin.engine import DockerError, patiently

if TYPE_CHECKING:
    from tests.docker.plugin.engine import Engine

Task = dict[str, Any]
_UNDER_WAY = {"updating", "rollback_started"}
_GIVEN_UP = {"paused", "rollback_paused", "rollback_completed"}
# Enough to see what is wrong; with many replicas it is the same every time.
_TOLD = 3


@dataclass(frozen=True)
class Patience:
    """How long to wait.

    Attributes:
        delay_s: before the first look.
        timeout_s: for everything after it.
    """

    delay_s: float
    timeout_s: float


def tasks_of(engine: Engine, service_id: str, **filters: list[str]) -> list[Task]:
    """List a service's tasks, also those that have ended."""
    found = engine.call("GET", "/tasks", filters={"service": [service_id], **filters})
    return list(found)


def task_ids(engine: Engine, service_id: str) -> set[str]:
    """Name the tasks of a service: those that come later are of a later specification, or repeat one."""
    return {task["ID"] for task in tasks_of(engine, service_id)}


def wait(engine: Engine, service_id: str, patience: Patience, known: set[str]) -> None:
    """Wait until the service is as specified.

    Args:
        engine: where it runs.
        service_id: the service.
        patience: how long.
        known: tasks from before the change; the others are blamed when it fails.

    Raises:
        DockerError: rolled back, paused, or not there in time; the text says which tasks failed and why.
    """
    threading.Event().wait(patience.delay_s)
    if patiently(lambda: _has_converged(engine, service_id, known), patience.timeout_s):
        return
    raise DockerError(
        f"did not converge within {patience.timeout_s:g} s: {_blame(engine, service_id, known)}"
    )


def _has_converged(engine: Engine, service_id: str, known: set[str]) -> bool:
    service = engine.call("GET", f"/services/{service_id}")
    status = service.get("UpdateStatus", {})
    state = status.get("State", "")
    if state in _GIVEN_UP:
        word = state.replace("_", " ")
        reason = f"{status.get('Message', '')}; {_blame(engine, service_id, known)}"
        raise DockerError(f"the update failed ({word}): {reason}")
    # The command line client asks for tasks of the newest specification by the same filter.
    current = tasks_of(engine, service_id, **{"desired-state": ["running"], "_up-to-date": ["true"]})
    running = [task for task in current if task["Status"]["State"] == "running"]
    wanted = service["Spec"]["Mode"]["Replicated"]["Replicas"]
    return state not in _UNDER_WAY and len(running) == wanted


def _blame(engine: Engine, service_id: str, known: set[str]) -> str:
    """Say what became of the tasks that came after the change."""
    new = [task for task in tasks_of(engine, service_id) if task["ID"] not in known]
    wrong = [task for task in new if task["Status"].get("Err")]
    shown = wrong or [task for task in new if task["Status"]["State"] != "running"]
    newest_first = sorted(shown, key=lambda task: task["Status"]["Timestamp"], reverse=True)
    return "; ".join(_describe(task) for task in newest_first[:_TOLD]) or "no task failed"


def _describe(task: Task) -> str:
    status = task["Status"]
    code = status.get("ContainerStatus", {}).get("ExitCode", 0)
    ended = f" with exit code {code}" if code else ""
    why = f": {status['Err']}" if status.get("Err") else ""
    return f"task {task['ID'][:12]} (slot {task.get('Slot', 0)}) is {status['State']}{ended}{why}"
