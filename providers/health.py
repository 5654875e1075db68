"""The health gate: an update fails when what it rolled out does not work."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

import engines
from providers._crud import EngineProvider, Props, changed_keys, plain, reporter

if TYPE_CHECKING:
    from engines.release import Release

# How the gate looks, not what it looks at: another limit does not put a release to the proof again.
_MANNERS = frozenset(
    {
        "accept", "allow_degraded", "app_way_back", "agent_way_back", "max_error_rate", "max_latency_s",
        "min_requests", "timeout_s", "window_s",
    }
)  # fmt: skip
_SERVICES = ("app", "agent")


class HealthGateProvider(EngineProvider):
    """Acts when something it depends on changed, so that an update without changes stays one."""

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Ask for an update when something else was rolled out."""
        changed = set(changed_keys(olds, news, self.soft)) - _MANNERS
        return DiffResult(changes=bool(changed), replaces=[])

    def create(self, props: Props) -> CreateResult:
        """Wait until everything is healthy, and judge it."""
        return CreateResult("health", _passed({}, props))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Wait until everything is healthy with what runs now, and judge it."""
        return UpdateResult(_passed(olds, news))


def _passed(olds: Props, props: Props) -> dict[str, Any]:
    release = _release(olds, props)
    passed = engines.release.prove(release, reporter(props))
    return {
        **plain(props),
        "status": passed.status,
        "verdict": passed.verdict,
        "checked_at": passed.checked_at,
        "released_at": _released_at(olds, props),
        "release": release.id,
    }


def _released_at(olds: Props, props: Props) -> str:
    """Say when this pair of services passed first; other things that make the gate act do not count."""
    is_same = all(olds.get(f"{name}_release") == props[f"{name}_release"] for name in _SERVICES)
    return str((olds.get("released_at") if is_same else None) or datetime.now(UTC).isoformat())


def _release(olds: Props, props: Props) -> Release:
    policy = engines.release.Policy(
        max_error_rate=float(props["max_error_rate"]),
        max_latency_s=float(props["max_latency_s"]) or None,
        min_requests=int(props["min_requests"]),
        allow_degraded=bool(props["allow_degraded"]),
    )
    return engines.release.Release(
        id=release_id(props),
        targets=_targets(props),
        policy=policy,
        times=engines.release.Times(timeout_s=float(props["timeout_s"]), window_s=float(props["window_s"])),
        accept=props["accept"],
        services=_services(props),
        passed={name: str(olds[f"{name}_release"]) for name in _SERVICES if f"{name}_release" in olds},
    )


def release_id(props: Props) -> str:
    """Name what was rolled out, and the schema that it runs on: r and 12 hexadecimal digits."""
    names = ("app_release", "agent_release", "app_version", "agent_version", "schema")
    text = "\n".join(str(props[name]) for name in names)
    # A letter first: `pulumi config set --path` takes digits alone for a number.
    return "r" + hashlib.sha256(text.encode()).hexdigest()[:12]


def _targets(props: Props) -> engines.health.Targets:
    names = ("app_url", "agent_url", "app_version", "agent_version")
    return engines.health.Targets(**{name: props[name] for name in names})


def _services(props: Props) -> dict[str, engines.swarm.Service]:
    ways = {name: props[f"{name}_way_back"] for name in _SERVICES}
    return {
        name: engines.swarm.Service(way["endpoint"], way["service"], props[f"{name}_release"])
        for name, way in ways.items()
        if way
    }


class HealthGate(Resource, module="groundwork", name="HealthGate"):
    """The proof that what was rolled out works.

    Attributes:
        status: `healthy` or, where allowed, `degraded`.
        verdict: `pass`, or `accepted` where somebody let it pass.
        checked_at: when that was found, ISO 8601 UTC.
        released_at: when this pair of app and agent passed first, ISO 8601 UTC.
        agent_url: the agent's URL, for those who may only use a proven one.
    """

    status: pulumi.Output[str]
    verdict: pulumi.Output[str]
    checked_at: pulumi.Output[str]
    released_at: pulumi.Output[str]
    agent_url: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the gate; see `components.operations.GateArgs` for the properties."""
        results = dict.fromkeys(("status", "verdict", "checked_at", "released_at"))
        super().__init__(HealthGateProvider(), name, {**props, **results}, opts)
