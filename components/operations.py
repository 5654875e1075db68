"""The health gate: the proof, at the end of a rollout, that it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from components._base import Component
from providers.health import HealthGate

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from components.runtime import Agent, App


@dataclass(frozen=True, kw_only=True)
class GateArgs:
    """What is proven.

    Attributes:
        schema: version of the schema.
        secret_versions: version of each generated secret.
        timeout_s: seconds that everything may take to become healthy.
        allow_degraded: let an update pass while something that is not critical fails.
    """

    schema: pulumi.Output[str]
    secret_versions: Mapping[str, int]
    timeout_s: float
    allow_degraded: bool


class Gate(Component):
    """Fails the update when app or agent are not healthy with what runs now."""

    token = "groundwork:operations:Gate"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self, name: str, args: GateArgs, app: App, agent: Agent, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the gate; its inputs are what runs, so it acts when that changed."""
        super().__init__(name, opts)
        child = self.named("gate")
        props = {
            "app_url": app.url,
            "app_version": app.version,
            "agent_url": agent.url,
            "agent_version": agent.version,
            "schema": args.schema,
            "secret_versions": dict(args.secret_versions),
            "timeout_s": args.timeout_s,
            "allow_degraded": args.allow_degraded,
            "log_urn": self.log_urn("HealthGate", child),
        }
        gate = HealthGate(child, props, self.under())
        self.agent_url = gate.agent_url
        self.summary = {"status": gate.status, "checked_at": gate.checked_at}
        self.finish(**self.summary)
