"""App and agent: what each needs to run, on whatever host the stack has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pulumi

from components._base import Component
from components.host import Host, ServiceArgs, as_json

if TYPE_CHECKING:
    from collections.abc import Mapping

_UVICORN = (
    "{python}",
    "-m",
    "uvicorn",
    "main:app",
    "--host",
    "127.0.0.1",
    "--port",
    "{port}",
    "--no-access-log",
)


@dataclass(frozen=True, kw_only=True)
class AgentArgs:
    """What the agent service is told.

    Attributes:
        database_url: its own login.
        schema: version of the schema it runs against; a new one restarts it after the migrations.
        shared_secrets: accepted versions of the secret that callers present.
        ai_provider: `echo`, `openai` or `anthropic`.
        ai_base_url: where the model's API is; empty: the provider's own.
        ai_model: the model's name.
        ai_api_key: key of the model's API, None for `echo`.
        port: a fixed TCP port, 0: one is found.
        public_url: where callers outside the host reach it; empty: where it listens.
        environment: more plain settings.
    """

    database_url: pulumi.Output[str]
    schema: pulumi.Output[str]
    shared_secrets: pulumi.Output[dict[str, str]]
    ai_provider: str
    ai_base_url: str
    ai_model: str
    ai_api_key: pulumi.Output[str] | None
    port: int
    public_url: str
    environment: Mapping[str, str] = field(default_factory=dict)


class Agent(Component):
    """The AI-agent service."""

    token = "groundwork:runtime:Agent"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self, name: str, args: AgentArgs, host: Host, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Run the agent."""
        super().__init__(name, opts)
        secrets = {"database_url": args.database_url, "agent_shared_secret": as_json(args.shared_secrets)}
        if args.ai_api_key is not None:
            secrets["ai_api_key"] = args.ai_api_key
        environment = {
            "ENVIRONMENT": pulumi.get_stack(),
            "SCHEMA_VERSION": args.schema,
            "AI_PROVIDER": args.ai_provider,
            "AI_BASE_URL": args.ai_base_url,
            "AI_MODEL": args.ai_model,
            **args.environment,
        }
        service = host.run(
            name, _service(name, environment, secrets, (args.port, args.public_url), "/health")
        )
        self.url, self.version = service.url, service.version
        self.finish(url=self.url, version=self.version)


@dataclass(frozen=True, kw_only=True)
class AppArgs:
    """What the app is told.

    Attributes:
        database_url: its own login.
        schema: version of the schema it runs against.
        agent_url: where the agent listens; the app follows the agent in every update.
        shared_secret: the secret in force for the agent, by version.
        session_key: signs the app's cookies.
        supabase_url: the project's API.
        supabase_anon_key: the key that may reach browsers.
        demo_accounts: offer a demo sign-in.
        port: a fixed TCP port, 0: one is found.
        public_url: where users reach it; empty: where it listens.
        environment: more plain settings.
    """

    database_url: pulumi.Output[str]
    schema: pulumi.Output[str]
    agent_url: pulumi.Output[str]
    shared_secret: pulumi.Output[dict[str, str]]
    session_key: pulumi.Output[str]
    supabase_url: pulumi.Output[str]
    supabase_anon_key: pulumi.Output[str]
    demo_accounts: bool
    port: int
    public_url: str
    environment: Mapping[str, str] = field(default_factory=dict)


class App(Component):
    """The web app."""

    token = "groundwork:runtime:App"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self, name: str, args: AppArgs, host: Host, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Run the app."""
        super().__init__(name, opts)
        secrets = {
            "database_url": args.database_url,
            "agent_shared_secret": as_json(args.shared_secret),
            "session_key": args.session_key,
        }
        environment = {
            "ENVIRONMENT": pulumi.get_stack(),
            "SCHEMA_VERSION": args.schema,
            "AGENT_URL": args.agent_url,
            "SUPABASE_URL": args.supabase_url,
            "SUPABASE_ANON_KEY": args.supabase_anon_key,
            "DEMO_ACCOUNTS": str(args.demo_accounts).lower(),
            **args.environment,
        }
        # Liveness here; the gate asks /api/health, which answers for the agent and the database too.
        service = host.run(name, _service(name, environment, secrets, (args.port, args.public_url), "/livez"))
        self.url, self.version = service.url, service.version
        self.finish(url=self.url, version=self.version)


def _service(
    name: str,
    environment: Mapping[str, pulumi.Input[str]],
    secrets: Mapping[str, pulumi.Input[str]],
    address: tuple[int, str],
    health_path: str,
) -> ServiceArgs:
    folder = f"workloads/{name}"
    return ServiceArgs(
        source=folder,
        command=_UVICORN,
        directory=folder,
        environment=environment,
        secrets=secrets,
        port=address[0],
        public_url=address[1],
        health_path=health_path,
    )
