"""The health gate: an update fails when what it rolled out is not healthy."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, Resource, UpdateResult

import engines
from providers._crud import EngineProvider, Props, plain, reporter


class HealthGateProvider(EngineProvider):
    """Acts when something it depends on changed, so that an update without changes stays one."""

    def create(self, props: Props) -> CreateResult:
        """Wait until everything is healthy."""
        return CreateResult("health", _passed(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Wait until everything is healthy with what runs now."""
        return UpdateResult(_passed(news))


def _passed(props: Props) -> dict[str, Any]:
    targets = engines.health.Targets(
        app_url=props["app_url"],
        agent_url=props["agent_url"],
        app_version=props["app_version"],
        agent_version=props["agent_version"],
        allow_degraded=bool(props["allow_degraded"]),
    )
    report = engines.health.wait_until_healthy(
        targets, timeout_s=float(props["timeout_s"]), report=reporter(props)
    )
    return {**plain(props), "status": report.status, "checked_at": report.timestamp}


class HealthGate(Resource, module="groundwork", name="HealthGate"):
    """The proof that what was rolled out works.

    Attributes:
        status: `healthy` or, where allowed, `degraded`.
        checked_at: when that was found, ISO 8601 UTC.
        agent_url: the agent's URL, for those who may only use a proven one.
    """

    status: pulumi.Output[str]
    checked_at: pulumi.Output[str]
    agent_url: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the gate; see `components.operations.GateArgs` for the properties."""
        super().__init__(HealthGateProvider(), name, {**props, "status": None, "checked_at": None}, opts)
