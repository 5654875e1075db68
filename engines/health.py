"""Asks app and agent how they are, and holds an update until both are well with what was rolled out.

Both answer with a document: `status` (`healthy`, `degraded`, `unhealthy`), `checks` by name (`ok`,
`latency_ms`, `error`), `version`. The app's check `agent` proves that both hold the same secret.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx

from engines.errors import GroundworkError

if TYPE_CHECKING:
    from collections.abc import Callable

APP_PATH = "/api/health"
AGENT_PATH = "/health"
_HEALTHY, _DEGRADED, _UNHEALTHY = "healthy", "degraded", "unhealthy"
_STATES = (_HEALTHY, _DEGRADED, _UNHEALTHY)
_REQUEST_TIMEOUT_S = 10.0
_POLL_S = 0.5


class UnhealthyError(GroundworkError):
    """What was rolled out is not well; the text names each failing check and its error.

    Attributes:
        report: what was found at last.
    """

    def __init__(self, message: str, report: Report) -> None:
        """Keep the last report beside the text."""
        super().__init__(message)
        self.report = report


@dataclass(frozen=True)
class Targets:
    """What to ask, and what must run there.

    Attributes:
        app_url: base URL of the app.
        agent_url: base URL of the agent.
        app_version: what the app must report as its version; None: any.
        agent_version: what the agent must report; None: any.
        allow_degraded: whether failing checks of side services pass.
    """

    app_url: str
    agent_url: str
    app_version: str | None = None
    agent_version: str | None = None
    allow_degraded: bool = False


@dataclass(frozen=True)
class Check:
    """One check; `name` is `SERVICE.CHECK`, and `error` says what is wrong when it is not `ok`."""

    name: str
    ok: bool
    error: str | None = None
    latency_ms: float | None = None


@dataclass(frozen=True)
class Report:
    """What all checks add up to.

    Attributes:
        status: `healthy`, `degraded` or `unhealthy`: the worst of both services.
        checks: of the agent, then of the app.
        timestamp: when it was found, ISO 8601, UTC.
    """

    status: str
    checks: tuple[Check, ...]
    timestamp: str

    def failures(self) -> str:
        """Say which checks fail, and why."""
        return "; ".join(f"{check.name}: {check.error}" for check in self.checks if not check.ok)


def check(targets: Targets, *, transport: httpx.BaseTransport | None = None) -> Report:
    """Ask both services once.

    Args:
        targets: what to ask.
        transport: what carries the requests; None: the network.
    """
    with httpx.Client(transport=transport, timeout=_REQUEST_TIMEOUT_S, trust_env=False) as client:
        agent = _ask(client, "agent", targets.agent_url + AGENT_PATH, targets.agent_version)
        app = _ask(client, "app", targets.app_url + APP_PATH, targets.app_version)
    status = max(agent.status, app.status, key=_STATES.index)
    return Report(status, (*agent.checks, *app.checks), datetime.now(UTC).isoformat())


def wait_until_healthy(targets: Targets, *, timeout_s: float, report: Callable[[str], None]) -> Report:
    """Ask until both are well, and report what is still missing whenever that changes.

    Raises:
        UnhealthyError: they are not within `timeout_s` seconds.
    """
    deadline, last = time.monotonic() + timeout_s, ""
    while True:
        found = check(targets)
        if found.status == _HEALTHY or (targets.allow_degraded and found.status == _DEGRADED):
            return found
        if found.failures() != last:
            last = found.failures()
            report(f"waiting for {last}")
        if time.monotonic() >= deadline:
            raise UnhealthyError(
                f"{found.status} after {timeout_s:g} s: {last}; see the logs of the services", found
            )
        time.sleep(_POLL_S)


@dataclass(frozen=True)
class _Answer:
    status: str
    checks: tuple[Check, ...]


def _ask(client: httpx.Client, service: str, url: str, version: str | None) -> _Answer:
    """Ask one service; whatever is wrong becomes a failing check."""
    try:
        document = client.get(url).json()
        return _read(service, document, version)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return _failed(service, f"{url} cannot be reached: {error or type(error).__name__}")
    except (ValueError, KeyError, TypeError, AttributeError):
        return _failed(service, f"{url} answers without a health document; something else listens there")


def _failed(service: str, error: str) -> _Answer:
    return _Answer(_UNHEALTHY, (Check(f"{service}.answer", ok=False, error=error),))


def _read(service: str, document: dict[str, Any], version: str | None) -> _Answer:
    checks = tuple(_check(service, name, raw) for name, raw in document["checks"].items())
    if version is not None and document["version"] != version:
        # The old instance still answers, or the new one was not started.
        error = f"{document['version']!r} runs, {version!r} was rolled out"
        return _Answer(_UNHEALTHY, (*checks, Check(f"{service}.version", ok=False, error=error)))
    status = document["status"] if document["status"] in _STATES else _UNHEALTHY
    if status != _HEALTHY and all(one.ok for one in checks):
        checks += (Check(f"{service}.status", ok=False, error=f"reports {document['status']!r}"),)
    return _Answer(status, checks)


def _check(service: str, name: str, raw: dict[str, Any]) -> Check:
    error = None if raw["ok"] else str(raw.get("error") or "failed")
    return Check(f"{service}.{name}", ok=bool(raw["ok"]), error=error, latency_ms=raw.get("latency_ms"))
