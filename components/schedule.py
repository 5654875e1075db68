"""Scheduled calls of the agent's background jobs, made by the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from components._base import Component
from providers.database import VaultSecret
from providers.schedule import CronJob, CronRoster

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from components.supabase import Project

_SECRET = "agent_shared_secret"  # noqa: S105 - the name of a Vault entry


class Call(Protocol):
    """One scheduled call, as a stack describes it."""

    @property
    def schedule(self) -> str:
        """Five cron fields in UTC, or `N seconds`."""

    @property
    def path(self) -> str:
        """What to call on the agent."""

    @property
    def body(self) -> Mapping[str, Any]:
        """JSON object to send."""

    @property
    def timeout(self) -> float:
        """Seconds to wait for the answer."""

    @property
    def active(self) -> bool:
        """False keeps the job but does not run it."""


@dataclass(frozen=True, kw_only=True)
class CronArgs:
    """All scheduled calls of a stack.

    Attributes:
        calls: name → call.
        agent_url: the agent, proven healthy.
        shared_secret: what the calls present to the agent.
    """

    calls: Mapping[str, Call]
    agent_url: pulumi.Output[str]
    shared_secret: pulumi.Output[str]


class Cron(Component):
    """The cron jobs of a project, with the secret that they use in its vault."""

    token = "groundwork:schedule:Cron"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self, name: str, args: CronArgs, project: Project, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the secret and one resource per job."""
        super().__init__(name, opts)
        entry = {
            **project.access,
            "secret_name": _SECRET,
            "value": args.shared_secret,
            "description": "what scheduled calls present to the agent; written by Groundwork",
        }
        secret = VaultSecret("agent-shared-secret", entry, self.under(project.inside()))
        self._jobs = [
            CronJob(
                f"cron-{key}", self._props(key, call, args, project, secret), self.under(project.inside())
            )
            for key, call in args.calls.items()
        ]
        self.jobs = [job.job for job in self._jobs]
        roster = {**project.access, "jobs": list(args.calls)}
        CronRoster(self.named("roster"), roster, self.under(project.inside()))
        self.finish(jobs=self.jobs)

    def _props(
        self, key: str, call: Call, args: CronArgs, project: Project, secret: VaultSecret
    ) -> dict[str, Any]:
        return {
            **project.access,
            "job": key,
            "schedule": call.schedule,
            "url": args.agent_url.apply(lambda url: f"{url}{call.path}"),
            "secret_name": secret.secret_name,
            "body": dict(call.body),
            "timeout_s": call.timeout,
            "active": call.active,
        }
