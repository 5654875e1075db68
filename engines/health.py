"""Asks app and agent how they are.

Both answer with a document: `status` (`healthy`, `degraded`, `unhealthy`), `checks` by name (`ok`,
`latency_ms`, `error`), `version`. The app's check `agent` proves that both hold the same secret. What a
document may say beside that (`instance`, `started_at`, `traffic`) is read where it is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx

from engines.release.traffic import Traffic, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

APP_PATH = "/api/health"
AGENT_PATH = "/health"
_HEALTHY, _DEGRADED, _UNHEALTHY = "healthy", "degraded", "unhealthy"
_STATES = (_HEALTHY, _DEGRADED, _UNHEALTHY)
_REQUEST_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Targets:
    """What to ask, and what must run there.

    Attributes:
        app_url: base URL of the app.
        agent_url: base URL of the agent.
        app_version: what the app must report as its version; None: any.
        agent_version: what the agent must report; None: any.
    """

    app_url: str
    agent_url: str
    app_version: str | None = None
    agent_version: str | None = None


@dataclass(frozen=True)
class Check:
    """One check; `name` is `SERVICE.CHECK`, and `error` says what is wrong when it is not `ok`."""

    name: str
    ok: bool
    error: str | None = None
    latency_ms: float | None = None


@dataclass(frozen=True)
class Look:
    """What one look at one service showed.

    Attributes:
        service: `app` or `agent`.
        status: `healthy`, `degraded` or `unhealthy`; a service that runs another version is unhealthy.
        checks: its checks, and one more for what is wrong beside them.
        answered: it gave a health document.
        version: what runs; empty where it does not say.
        is_wanted: it runs what was rolled out.
        instance: the process that answered; empty where it does not say.
        age_s: seconds since that process started, by its own clock; None where it does not say.
        traffic: what it counted since then; None where it does not say.
    """

    service: str
    status: str
    checks: tuple[Check, ...]
    answered: bool = False
    version: str = ""
    is_wanted: bool = True
    instance: str = ""
    age_s: float | None = None
    traffic: Traffic | None = None

    def failures(self) -> str:
        """Say which checks fail, and why."""
        return "; ".join(f"{check.name}: {check.error}" for check in self.checks if not check.ok)


@dataclass(frozen=True)
class Report:
    """What all checks add up to.

    Attributes:
        status: `healthy`, `degraded` or `unhealthy`: the worst of both services.
        checks: of the agent, then of the app.
        timestamp: when it was found, ISO 8601, UTC.
        looks: at the agent, then at the app.
    """

    status: str
    checks: tuple[Check, ...]
    timestamp: str
    looks: tuple[Look, ...] = ()

    def failures(self) -> str:
        """Say which checks fail, and why."""
        return "; ".join(f"{check.name}: {check.error}" for check in self.checks if not check.ok)


def check(targets: Targets, *, transport: httpx.BaseTransport | None = None) -> Report:
    """Ask both services once, over connections of its own: replicas behind one address are met in turn.

    Args:
        targets: what to ask.
        transport: what carries the requests; None: the network.
    """
    with httpx.Client(transport=transport, timeout=_REQUEST_TIMEOUT_S, trust_env=False) as client:
        agent = _ask(client, "agent", targets.agent_url + AGENT_PATH, targets.agent_version)
        app = _ask(client, "app", targets.app_url + APP_PATH, targets.app_version)
    status = max(agent.status, app.status, key=_STATES.index)
    return Report(status, (*agent.checks, *app.checks), datetime.now(UTC).isoformat(), (agent, app))


def _ask(client: httpx.Client, service: str, url: str, version: str | None) -> Look:
    """Ask one service; whatever is wrong becomes a failing check."""
    status = 0
    try:
        answer = client.get(url)
        status = answer.status_code
        return _read(service, answer.json(), version)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return _failed(service, f"{url} cannot be reached: {error or type(error).__name__}")
    except (ValueError, KeyError, TypeError, AttributeError):
        # A proxy answers 503 while nothing runs behind it.
        who = "nothing runs behind it" if status == 503 else "something else listens there"
        return _failed(service, f"{url} answers without a health document (status {status}); {who}")


def _failed(service: str, error: str) -> Look:
    return Look(service, _UNHEALTHY, (Check(f"{service}.answer", ok=False, error=error),))


def _read(service: str, document: Mapping[str, Any], version: str | None) -> Look:
    checks = tuple(_check(service, name, raw) for name, raw in document["checks"].items())
    status = document["status"] if document["status"] in _STATES else _UNHEALTHY
    is_wanted = version is None or document["version"] == version
    if not is_wanted:
        # The old instance still answers, or the new one was not started.
        error = f"{document['version']!r} runs, {version!r} was rolled out"
        status, checks = _UNHEALTHY, (*checks, Check(f"{service}.version", ok=False, error=error))
    elif status != _HEALTHY and all(one.ok for one in checks):
        checks += (Check(f"{service}.status", ok=False, error=f"reports {document['status']!r}"),)
    return Look(
        service,
        status,
        checks,
        answered=True,
        version=str(document.get("version") or ""),
        is_wanted=is_wanted,
        instance=str(document.get("instance") or ""),
        age_s=_age_s(document),
        traffic=parse(document.get("traffic")),
    )


def _age_s(document: Mapping[str, Any]) -> float | None:
    """Say for how long the process runs; both times are the service's, so that no clocks are compared."""
    try:
        now, begun = (datetime.fromisoformat(document[name]) for name in ("timestamp", "started_at"))
        return (now - begun).total_seconds()
    except (KeyError, TypeError, ValueError):
        return None


def _check(service: str, name: str, raw: Mapping[str, Any]) -> Check:
    error = None if raw["ok"] else str(raw.get("error") or "failed")
    return Check(f"{service}.{name}", ok=bool(raw["ok"]), error=error, latency_ms=raw.get("latency_ms"))
