"""The health gate: the proof, at the end of a rollout, that it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from components._base import Component
from providers.health import HealthGate

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from components.runtime import Agent, App


class GateSpec(Protocol):
    """What a stack says of its health gate."""

    @property
    def timeout(self) -> float:
        """Seconds that everything may take to become healthy."""

    @property
    def allow_degraded(self) -> bool:
        """Let an update pass while something that is not critical fails."""


@dataclass(frozen=True, kw_only=True)
class GateArgs:
    """What is proven.

    Attributes:
        spec: the stack's settings of it.
        schema: version of the schema.
        secret_versions: version of each generated secret.
    """

    spec: GateSpec
    schema: pulumi.Output[str]
    secret_versions: Mapping[str, int]


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
            "timeout_s": args.spec.timeout,
            "allow_degraded": args.spec.allow_degraded,
            "log_urn": self.log_urn("HealthGate", child),
        }
        gate = HealthGate(child, props, self.under())
        self.agent_url, self.status = gate.agent_url, gate.status
        self.summary = {"status": gate.status, "checked_at": gate.checked_at}
        self.finish(**self.summary)
