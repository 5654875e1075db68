"""Waits until a supervised program is healthy, and tells what it printed if it never is."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from engines.redaction import redact
from engines.supervision import Daemon, ProcessError

if TYPE_CHECKING:
    from pathlib import Path

# States of supervisord in which a process exists (supervisord.org/subprocess.html).
RUNNING = frozenset({"RUNNING", "STARTING"})
_POLL_S = 0.1
_LOG_LINES = 20
_LOG_BYTES = 64 * 1024


@dataclass(frozen=True)
class Watch:
    """A start that is waited for.

    Attributes:
        daemon: who runs the program.
        name: the program.
        health_url: what answers 2xx when it is ready; None: it is ready when it runs.
        secrets: values that its output must not show.
        deadline: by time.monotonic().
        log: its log.
        log_offset: where in the log this start begins.
    """

    daemon: Daemon
    name: str
    health_url: str | None
    secrets: tuple[str, ...] = field(repr=False)
    deadline: float
    log: Path
    log_offset: int


def wait(watch: Watch) -> None:
    """Wait until the program is healthy.

    Raises:
        ProcessError: it ends again and again, or is not healthy in time; the text ends with its last output.
    """
    launches: set[int] = set()
    while True:
        info = _info(watch)
        launches |= {int(info["pid"])} - {0}
        complaint = _complaint(watch, info)
        if complaint is None:
            return
        if _is_hopeless(str(info["statename"]), len(launches)):
            raise _failure(watch, "ends by itself again and again")
        if time.monotonic() >= watch.deadline:
            raise _failure(watch, f"is not healthy in time ({complaint})")
        time.sleep(_POLL_S)


def _is_hopeless(state: str, launches: int) -> bool:
    """Tell whether a program ended twice since the start; once may be bad luck."""
    return state == "FATAL" or launches > 2 or (launches == 2 and state not in RUNNING)


def _info(watch: Watch) -> dict[str, Any]:
    found: dict[str, Any] = watch.daemon.call("getProcessInfo", watch.name)
    return found


def _complaint(watch: Watch, info: dict[str, Any]) -> str | None:
    """Say what is missing; None: the program is ready."""
    state = str(info["statename"])
    if watch.health_url is None:
        return None if state == "RUNNING" else state
    if state not in RUNNING:
        return state
    complaint = _probe(watch.health_url)
    # If it ended meanwhile, the answer was not that of what runs now.
    return complaint if complaint or _info(watch)["pid"] == info["pid"] else "it ended"


def _probe(url: str) -> str | None:
    try:
        answer = httpx.get(url, timeout=5, trust_env=False)
    except httpx.HTTPError as error:
        return f"{url}: {error}"
    return None if answer.is_success else f"{url} answers {answer.status_code}"


def _failure(watch: Watch, reason: str) -> ProcessError:
    text = f"{watch.name} {reason}. The end of {watch.log}:\n{_log_end(watch) or '(nothing)'}"
    return ProcessError(redact(text, watch.secrets))


def _log_end(watch: Watch) -> str:
    """Give the last lines that the program printed since the start."""
    with suppress(FileNotFoundError), watch.log.open("rb") as log:
        size = log.seek(0, 2)
        # A rotated log is shorter than it was.
        first = watch.log_offset if watch.log_offset <= size else 0
        log.seek(max(first, size - _LOG_BYTES))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-_LOG_LINES:])
    return ""
