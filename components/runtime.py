"""App and agent: what each needs to run, on whatever host the stack has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from components._base import Component
from components.host import Containers, Host, Placement, ServiceArgs, Text, as_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

_COMMAND = ("{python}", "serve.py", "--host", "127.0.0.1", "--port", "{port}")


class Variables(Protocol):
    """The variables that the stack itself sets, and who gets them."""

    def environment(self, service: str) -> Mapping[str, str]:
        """Give a service's plain ones by name."""

    def secrets(self, service: str) -> Mapping[str, pulumi.Output[str]]:
        """Give a service's secret ones by the names of their files."""


class AgentSpec(Placement, Protocol):
    """What a stack says of its agent."""

    @property
    def ai_provider(self) -> str:
        """`echo`, `openai` or `anthropic`."""

    @property
    def ai_base_url(self) -> str | None:
        """Where the model's API is; None: the provider's own."""

    @property
    def ai_model(self) -> str | None:
        """The model's name."""


@dataclass(frozen=True, kw_only=True)
class AgentArgs:
    """What the agent service is told.

    Attributes:
        spec: the stack's settings of it.
        environment: name of the environment.
        database_url: its own login.
        schema: version of the schema it runs against; a new one restarts it after the migrations.
        shared_secrets: accepted versions of the secret that callers present.
        ai_api_key: key of the model's API, None for `echo`.
        variables: what the stack sets beyond that.
    """

    spec: AgentSpec
    environment: str
    database_url: pulumi.Output[str]
    schema: pulumi.Output[str]
    shared_secrets: pulumi.Output[dict[str, str]]
    ai_api_key: pulumi.Output[str] | None
    variables: Variables


class Agent(Component):
    """The AI-agent service.

    Attributes:
        url: where the outside reaches it.
        inside: where the app reaches it.
        version: the version that runs.
        release: a digest of all that was rolled out.
        way_back: where the previous release can be brought back.
    """

    token = "groundwork:runtime:Agent"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self, name: str, args: AgentArgs, host: Host, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Run the agent."""
        super().__init__(name, opts)
        secrets = {"database_url": args.database_url, "agent_shared_secret": as_json(args.shared_secrets)}
        key = {"ai_api_key": args.ai_api_key} if args.ai_api_key is not None else {}
        model = {
            "AI_PROVIDER": args.spec.ai_provider,
            "AI_BASE_URL": args.spec.ai_base_url,
            "AI_MODEL": args.spec.ai_model,
        }
        environment: dict[str, Text] = {
            "ENVIRONMENT": args.environment,
            "SCHEMA_VERSION": args.schema,
            **{key: value for key, value in model.items() if value},
        }
        needs = _Needs(environment, {**secrets, **key}, "/health")
        service = host.run(name, _service(name, args.spec, needs, args.variables))
        self.url, self.inside, self.version = service.url, service.inside, service.version
        self.release, self.way_back = service.release, service.way_back
        self.finish(url=self.url, version=self.version)


@dataclass(frozen=True, kw_only=True)
class AppArgs:
    """What the app is told.

    Attributes:
        spec: the stack's settings of it.
        environment: name of the environment.
        demo_accounts: offer a demo sign-in.
        database_url: its own login.
        schema: version of the schema it runs against.
        agent_url: where the agent listens; the app follows the agent in every update.
        shared_secret: the secret in force for the agent, by version.
        session_key: signs the app's cookies: JSON with the version to use, and all values that are good.
        billing_webhook_secret: accepted versions of what signs the billing provider's events; None: there is
            none.
        mail_api_key: key of the mail provider; None: there is none.
        supabase_url: the project's API.
        supabase_anon_key: the key that may reach browsers.
        variables: what the stack sets beyond that.
    """

    spec: Placement
    environment: str
    demo_accounts: pulumi.Output[bool]
    database_url: pulumi.Output[str]
    schema: pulumi.Output[str]
    agent_url: pulumi.Output[str]
    shared_secret: pulumi.Output[dict[str, str]]
    session_key: pulumi.Output[str]
    billing_webhook_secret: pulumi.Output[dict[str, str]] | None
    mail_api_key: pulumi.Output[str] | None
    supabase_url: pulumi.Output[str]
    supabase_anon_key: pulumi.Output[str]
    variables: Variables


class App(Component):
    """The web app.

    Attributes:
        url: where the outside reaches it.
        version: the version that runs.
        release: a digest of all that was rolled out.
        way_back: where the previous release can be brought back.
    """

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
            **_given(args),
        }
        environment: dict[str, Text] = {
            "ENVIRONMENT": args.environment,
            "SCHEMA_VERSION": args.schema,
            "AGENT_URL": args.agent_url,
            "SUPABASE_URL": args.supabase_url,
            "SUPABASE_ANON_KEY": args.supabase_anon_key,
            "DEMO_ACCOUNTS": args.demo_accounts.apply(lambda allowed: str(bool(allowed)).lower()),
        }
        # 200 while it serves; the gate reads what it says of the agent, auth and storage.
        needs = _Needs(environment, secrets, "/api/health")
        service = host.run(name, _service(name, args.spec, needs, args.variables))
        self.url, self.version = service.url, service.version
        self.release, self.way_back = service.release, service.way_back
        self.finish(url=self.url, version=self.version)


def _given(args: AppArgs) -> dict[str, pulumi.Output[str]]:
    """Give those secrets from outside that the stack has."""
    billing, mail = args.billing_webhook_secret, args.mail_api_key
    signed = {} if billing is None else {"billing_webhook_secret": as_json(billing)}
    return signed if mail is None else {**signed, "mail_api_key": mail}


@dataclass(frozen=True)
class _Needs:
    environment: Mapping[str, Text]
    secrets: Mapping[str, Text]
    health_path: str


def _service(name: str, spec: Placement, needs: _Needs, variables: Variables) -> ServiceArgs:
    folder = f"workloads/{name}"
    return ServiceArgs(
        source=folder,
        command=_COMMAND,
        directory=folder,
        environment={**needs.environment, **variables.environment(name)},
        secrets={**needs.secrets, **variables.secrets(name)},
        port=spec.port,
        public_url=spec.public_url,
        health_path=needs.health_path,
        containers=Containers.of(spec),
    )
