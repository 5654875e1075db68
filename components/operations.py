"""The proof, at the end of a rollout, that it works; and the way back that is kept before it begins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pulumi

from components._base import Component
from components.database import digests
from providers.backup import RestorePoint as KeptPoint
from providers.health import HealthGate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.database import SchemaSpec
    from components.supabase import Project


class BackupSpec(Protocol):
    """What a stack says of its backups."""

    @property
    def before_migrations(self) -> str:
        """`none` or `restore-point`."""


@dataclass(frozen=True, kw_only=True)
class RestorePointArgs:
    """What is kept before migrations.

    Attributes:
        spec: the stack's settings of its backups; None: it has none.
        migrations: the stack's settings of its migrations.
    """

    spec: BackupSpec | None
    migrations: SchemaSpec

    @property
    def is_wanted(self) -> bool:
        """The stack asks for a restore point."""
        return self.spec is not None and self.spec.before_migrations == "restore-point"


class RestorePoint(Component):
    """A restore point of the platform's before files are applied, where the stack asks for it.

    Attributes:
        is_wanted: the stack asks for a restore point.
    """

    token = "groundwork:operations:RestorePoint"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self, name: str, args: RestorePointArgs, project: Project, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare it, where the stack asks for it."""
        super().__init__(name, opts)
        self.is_wanted = args.is_wanted
        if args.is_wanted:
            self._declare(args.migrations, project)
        self.finish()

    def _declare(self, spec: SchemaSpec, project: Project) -> None:
        child = self.named("point")
        props = {
            **project.access,
            "folder": spec.dir,
            "layout": spec.layout,
            "files": digests(Path(spec.dir)),
            "contract_after_s": spec.contract_after,
            "stack": pulumi.get_stack(),
            "log_urn": self.log_urn("RestorePoint", child),
        }
        KeptPoint(child, props, self.under(project.inside()))


class Released(Protocol):
    """A service that was rolled out, such as `components.runtime.App`."""

    @property
    def url(self) -> pulumi.Output[str]:
        """Where the outside reaches it."""

    @property
    def version(self) -> pulumi.Output[str]:
        """Version of its code."""

    @property
    def release(self) -> pulumi.Output[str]:
        """Digest of all that was rolled out: code, settings, secrets."""

    @property
    def way_back(self) -> Mapping[str, pulumi.Input[str]]:
        """`endpoint` and `service` of a Swarm that can roll it back; empty: nothing can."""


class GateSpec(Protocol):
    """What a stack says of its health gate."""

    @property
    def timeout(self) -> float:
        """Seconds that everything may take to become healthy."""

    @property
    def allow_degraded(self) -> bool:
        """Let an update pass while something that is not critical fails."""

    @property
    def window(self) -> float:
        """Seconds for which it is watched then."""

    @property
    def max_error_rate(self) -> float:
        """Share of requests that may be answered with 5xx, from 0 to 1."""

    @property
    def max_latency(self) -> float | None:
        """Seconds within which 95 % of the app's requests are answered; None: any time."""

    @property
    def min_requests(self) -> int:
        """How many requests the app must serve meanwhile."""

    @property
    def accept(self) -> str | None:
        """Id of a release to let pass although nobody can tell; None: of none."""


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
    """Fails the update when app or agent do not work with what runs now.

    Attributes:
        agent_url: the agent's URL, known once it works.
        status: `healthy` or, where allowed, `degraded`.
        released_at: when this pair of app and agent passed first, ISO 8601 UTC.
        summary: of the verdict, for the stack's outputs.
    """

    token = "groundwork:operations:Gate"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self,
        name: str,
        args: GateArgs,
        app: Released,
        agent: Released,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the gate; its inputs are what runs, so it acts when that changed."""
        super().__init__(name, opts)
        child = self.named("gate")
        props = {
            "app_url": app.url,
            "app_version": app.version,
            "agent_url": agent.url,
            "agent_version": agent.version,
            "app_release": app.release,
            "agent_release": agent.release,
            "app_way_back": app.way_back,
            "agent_way_back": agent.way_back,
            "schema": args.schema,
            "secret_versions": dict(args.secret_versions),
            **_manners(args.spec),
            "log_urn": self.log_urn("HealthGate", child),
        }
        gate = HealthGate(child, props, self.under())
        self.agent_url, self.status, self.released_at = gate.agent_url, gate.status, gate.released_at
        self.summary = {
            "status": gate.status,
            "verdict": gate.verdict,
            "checked_at": gate.checked_at,
            "released_at": gate.released_at,
        }
        self.finish(**self.summary)


def _manners(spec: GateSpec) -> dict[str, object]:
    """Say how the gate looks; an input cannot be null."""
    return {
        "timeout_s": spec.timeout,
        "allow_degraded": spec.allow_degraded,
        "window_s": spec.window,
        "max_error_rate": spec.max_error_rate,
        "max_latency_s": spec.max_latency or 0,
        "min_requests": spec.min_requests,
        "accept": spec.accept or "",
    }
