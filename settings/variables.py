"""Every variable that the services get, declared once.

The one place for a new one: add it to CATALOGUE, run `scripts/lint`, set its value. `scripts/lint` writes the
page docs/variables.md and the lists workloads/*/variables.json, by which a service knows what it must have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from settings.kinds import Kind, written

Service = Literal["app", "agent"]
BOTH: tuple[Service, ...] = ("app", "agent")
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One variable, as the services that get it see it.

    Attributes:
        name: name in the environment; a secret one is a file of this name in small letters, in SECRETS_DIR.
        kind: what a value may be.
        services: who gets it.
        description: what it is for, in one line.
        secret: encrypted in the stack file, and delivered as a file.
        default: value where a stack sets none, as text.
        required: without a value, a preview is refused and a service does not start; a default is a value.
        source: who sets it: the stack by `groundwork:variables.NAME`, or Groundwork itself.
    """

    name: str
    kind: Kind = "text"
    services: tuple[Service, ...]
    description: str
    secret: bool = False
    default: str | None = None
    required: bool = True
    source: Literal["stack", "groundwork"] = "stack"

    def __post_init__(self) -> None:
        """Refuse a declaration that could not be delivered.

        Raises:
            ValueError: naming the variable and what is wrong with it.
        """
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"variable {self.name}: must be named by A-Z, 0-9 and _, a letter first")
        if not self.services or not set(self.services) <= set(BOTH):
            raise ValueError(
                f"variable {self.name}: must name the services that get it, of {', '.join(BOTH)}"
            )
        if self.secret and self.default is not None:
            raise ValueError(f"variable {self.name}: must have no default, because it is secret")
        if self.default is not None and written(self.kind, self.default) != self.default:
            raise ValueError(f"variable {self.name}: must have its default as a service gets it")

    @property
    def needed(self) -> bool:
        """Whether somebody must give a value."""
        return self.required and self.default is None

    @property
    def file(self) -> str:
        """Name of its file in SECRETS_DIR, if it is secret."""
        return self.name.lower()


CATALOGUE: tuple[Variable, ...] = (
    # What stacks decide, by groundwork:variables.NAME.
    Variable(
        name="AI_MAX_TOKENS",
        kind="integer",
        services=("agent",),
        description="Upper limit of one reply, in tokens",
        default="1024",
    ),
    Variable(
        name="REPLY_PRICE",
        kind="integer",
        services=("agent",),
        description="Credits that one reply costs",
        default="1",
    ),
    # What Groundwork sets from the rest of the settings; a stack cannot.
    Variable(
        name="DATABASE_URL",
        services=BOTH,
        secret=True,
        source="groundwork",
        description="The service's own login to the database, which changes with its password",
    ),
    Variable(
        name="AGENT_SHARED_SECRET",
        services=BOTH,
        secret=True,
        source="groundwork",
        description="Values by version: the agent has all that are accepted, the app the one that it shows",
    ),
    Variable(
        name="SESSION_KEY",
        services=("app",),
        secret=True,
        source="groundwork",
        description="Keys of the app's sessions by version, and which of them signs",
    ),
    Variable(
        name="AI_API_KEY",
        services=("agent",),
        secret=True,
        required=False,
        source="groundwork",
        description="Key of the AI provider, `groundwork:secrets.ai_api_key`",
    ),
    Variable(
        name="MAIL_API_KEY",
        services=("app",),
        secret=True,
        required=False,
        source="groundwork",
        description="Key of the mail provider, `groundwork:secrets.mail_api_key`",
    ),
    Variable(
        name="BILLING_WEBHOOK_SECRET",
        services=("app",),
        secret=True,
        required=False,
        source="groundwork",
        description="Values by version that sign the billing provider's events, "
        "`groundwork:secrets.billing_webhook_secret`",
    ),
    Variable(
        name="AGENT_URL",
        kind="url",
        services=("app",),
        source="groundwork",
        description="Where the app reaches the agent",
    ),
    Variable(
        name="SUPABASE_URL",
        kind="url",
        services=("app",),
        source="groundwork",
        description="The project's API",
    ),
    Variable(
        name="SUPABASE_ANON_KEY",
        services=("app",),
        source="groundwork",
        description="The project's key that may reach browsers",
    ),
    Variable(
        name="DEMO_ACCOUNTS",
        kind="boolean",
        services=("app",),
        default="false",
        source="groundwork",
        description="Offer to continue as the demo user, `groundwork:app.demo_accounts`",
    ),
    Variable(
        name="AI_PROVIDER",
        services=("agent",),
        default="echo",
        source="groundwork",
        description="Which protocol the model speaks, `groundwork:agent.ai_provider`",
    ),
    Variable(
        name="AI_BASE_URL",
        kind="url",
        services=("agent",),
        required=False,
        source="groundwork",
        description="Address of the model's API, `groundwork:agent.ai_base_url`",
    ),
    Variable(
        name="AI_MODEL",
        services=("agent",),
        required=False,
        source="groundwork",
        description="Name of the model, `groundwork:agent.ai_model`",
    ),
    Variable(
        name="ENVIRONMENT",
        services=BOTH,
        default="local",
        source="groundwork",
        description="Name that the service reports, `groundwork:environment`",
    ),
    Variable(
        name="SCHEMA_VERSION",
        services=BOTH,
        required=False,
        source="groundwork",
        description="Latest migration before the service was rolled out; a new one restarts it",
    ),
    Variable(
        name="SERVICE_VERSION",
        services=BOTH,
        default="unknown",
        source="groundwork",
        description="Digest of the service's own files",
    ),
    Variable(
        name="SECRETS_DIR",
        services=BOTH,
        required=False,
        source="groundwork",
        description="Folder of the files of the secret variables",
    ),
    Variable(
        name="DRAIN_S",
        kind="number",
        services=BOTH,
        default="0",
        source="groundwork",
        description="Seconds that a service goes on serving after it was told to stop",
    ),
    Variable(
        name="PORT",
        kind="integer",
        services=BOTH,
        required=False,
        source="groundwork",
        description="Where the service listens inside its container",
    ),
)

RESERVED_VARIABLES = frozenset(one.name for one in CATALOGUE if one.source == "groundwork")
