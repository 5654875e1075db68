"""One model per key below `groundwork:`; the text under a field says what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from settings.cloud import Cloud
from settings.section import Section
from settings.values import (
    ImageByDigest,
    JsonObject,
    Memory,
    Number,
    Port,
    Schedule,
    Seconds,
    Secret,
    SigningSecret,
    Text,
    Url,
    Version,
    Versions,
    below,
    like,
    seconds,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# Enumerations of the Management API's create-project body (api.supabase.com/api/v1).
Region = Literal[
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1",
    "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1", "eu-central-1", "eu-central-2",
    "ap-east-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ap-northeast-2",
]  # fmt: skip
InstanceSize = Literal[
    "nano", "micro", "small", "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge",
    "16xlarge", "24xlarge", "24xlarge_optimized_memory", "24xlarge_optimized_cpu", "24xlarge_high_memory",
    "48xlarge", "48xlarge_optimized_memory", "48xlarge_optimized_cpu", "48xlarge_high_memory",
]  # fmt: skip

# What the project and the platform's settings are made with.
PLATFORM_SECRETS = frozenset({"database_password", "fingerprint_key"})


class Supabase(Cloud):
    """`groundwork:supabase`: which project, where, and what becomes of it."""

    api_url: Url | None = None
    """Management API, https://api.supabase.com; absent, a stand-in runs (host.kind process only)."""
    access_token: Secret | None = None
    """Personal or service access token of the API; needed with api_url."""
    ref: Annotated[str, like("[a-z]{20}", "the 20 small letters of a project's reference")] | None = None
    """Reference of an existing project to adopt; absent, a project named project_name is found or created."""
    adopt: bool = False
    """Let the stack set the owner's password of a project that exists already."""
    region: Region = "us-east-1"
    """Region of a project that is created."""
    instance_size: InstanceSize | None = None
    """Compute size of a project that is created; absent, the service chooses."""
    owner_password: Literal["keep", "forget"] = "keep"  # noqa: S105 - what to do with one
    """keep: the stack has the password of the database's owner, encrypted; forget: nobody knows it."""
    paused: bool = False
    """Let the project sleep: its data stays, and nothing runs."""
    on_destroy: Literal["keep", "delete"] = "keep"
    """What `pulumi destroy` does to the project and its data."""
    protect: bool = False
    """Refuse `pulumi destroy` and every replacement of the project."""


class Workload(Section):
    """What app and agent have in common."""

    port: Port = 0
    """Port to listen on; 0 finds a free one and keeps it."""
    public_url: Url | None = None
    """Address that the outside reaches it at; absent, its local one."""
    replicas: Annotated[int, Field(ge=1, le=16)] | None = None
    """How many containers run; absent, 2."""
    image: ImageByDigest | None = None
    """A built image by its digest; absent, one is built of the service's Dockerfile."""
    memory: Memory | None = None
    """What each container may use; absent, 512MiB."""
    cpus: Annotated[Number, Field(ge=0.05, le=256)] | None = None
    """How many processors' time each container may use; absent, 1."""
    drain: Annotated[Seconds, Field(le=600)] | None = None
    """How long a container still serves after it was told to end; absent, 5s."""


class App(Workload):
    """`groundwork:app`: the web application."""

    demo_accounts: bool = False
    """Offer accounts with a known login, to try the product; refused on a protected project."""


class Agent(Workload):
    """`groundwork:agent`: the agent service."""

    ai_provider: Literal["echo", "openai", "anthropic"] = "echo"
    """Which protocol the model speaks; echo answers locally and needs no key."""
    ai_base_url: Url | None = None
    """Address of the model's API; absent, the provider's own."""
    ai_model: Text | None = None
    """Name of the model; needed unless ai_provider is echo."""


def _none_or_seconds(value: object) -> float:
    """Accept a duration, or 0 for none."""
    return 0.0 if value == 0 and not isinstance(value, bool) else seconds(value)


class Migrations(Section):
    """`groundwork:migrations`: which files, and how they are applied."""

    dir: Text = "migrations"
    """Folder of the SQL files, relative to Pulumi.yaml."""
    layout: Literal["auto", "numbered", "supabase", "drizzle"] = "auto"
    """How the files are named; auto detects it."""
    lock_wait: Seconds = 300.0
    """How long, in all, one migration may try to get its locks."""
    lock_timeout: Seconds = 0.1
    """How long one of these tries may wait, and so make the product wait; a file may say otherwise."""
    disposable: bool = False
    """Mark the database as one that `scripts/db reset` may empty."""
    verify: bool = True
    """Compare the database with the files and with checks/ after every update."""
    allow_out_of_order: bool = False
    """Apply a file that sorts before one already applied, instead of refusing it."""
    contract_after: Annotated[float, BeforeValidator(_none_or_seconds)] = 0.0
    """How long contract files wait after the first healthy release with them; 0: they run in its update."""


class CronJob(Section):
    """`groundwork:cron.<name>`: a call that the database makes to the agent on a schedule."""

    schedule: Schedule
    """Five cron fields in UTC, or "N seconds" with N from 1 to 59."""
    path: Annotated[str, like(r"/[^\s?#]*", "a path that begins with / and has no blank, ? or #")]
    """Path on the agent."""
    body: JsonObject = Field(default_factory=dict)
    """JSON object to send."""
    timeout: Annotated[Seconds, Field(le=600)] = 5.0
    """How long to wait for the answer."""
    active: bool = True
    """Whether the job runs; false keeps it defined and silent."""


class Health(Section):
    """`groundwork:health`: the gate at the end of an update."""

    timeout: Seconds = 60.0
    """How long the product may take to become healthy."""
    allow_degraded: bool = False
    """Let an update end well when a check that the product can live without fails."""
    window: Seconds = 5.0
    """How long the product is watched once it is healthy, before it is judged."""
    max_error_rate: Annotated[Number, Field(ge=0, le=1)] = 0.01
    """Share of requests that may be answered with 5xx while it is watched."""
    max_latency: Seconds | None = None
    """Within that time 95 % of the app's requests must be answered; absent, any time passes."""
    min_requests: Annotated[int, Field(ge=0)] = 0
    """How many requests the app must serve while it is watched; fewer say nothing, and the update asks."""
    accept: (
        Annotated[str, like("r[0-9a-f]{12}", "the id of a release, as a failed update shows it")] | None
    ) = None
    """The release to let pass although nobody can tell whether it works; of no use for any other."""


class Backup(Section):
    """`groundwork:backup`: what is kept before migrations, and the S3-compatible store of backups."""

    before_migrations: Literal["none", "restore-point"] = "none"
    """restore-point: the platform makes one before files are applied to a database that has a history."""
    bucket: (
        Annotated[str, like("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "3 to 63 of a-z, 0-9, . and -")] | None
    ) = None
    """Name of the bucket; absent, nothing goes to a store."""
    endpoint: Url | None = None
    """Address of the store; absent, Amazon S3 of the region."""
    region: Text = "us-east-1"
    """Region of the bucket."""
    retention: Seconds = 30 * 86400.0
    """How long a backup is kept."""

    @field_validator("bucket")
    @classmethod
    def _has_a_use(cls, value: str | None, info: Any) -> str | None:
        """Refuse a section that asks for nothing."""
        if value is None and info.data.get("before_migrations") == "none":
            message = "is needed"
            raise ValueError(message)
        return value


class Versioned(Section):
    """What all secrets have in common: a version, and older ones that may still be accepted."""

    version: Version = 1
    """Version in use."""
    accept: Versions = None
    """Older versions that are still accepted; absent, the previous one; [] retires it."""
    compromised: bool = False
    """Retire the old versions without waiting until nobody uses them."""

    @property
    def accepted(self) -> tuple[int, ...]:
        """All versions that are accepted now, newest first."""
        return (self.version, *self.older)

    @property
    def older(self) -> tuple[int, ...]:
        """The versions before the one in use that are still accepted; none once it is compromised."""
        chosen = (self.version - 1,) if self.accept is None else self.accept
        return () if self.compromised else tuple(sorted({one for one in chosen if one >= 1}, reverse=True))

    @field_validator("accept")
    @classmethod
    def _older(cls, value: tuple[int, ...] | None, info: Any) -> tuple[int, ...] | None:
        """Refuse accepted versions that do not exist yet."""
        return below(value, info.data.get("version", 0))


class Generated(Versioned):
    """A secret that Groundwork makes: raise `version` to rotate it."""


class Given(Versioned):
    """A secret that comes from outside: with a new value, raise `version`."""

    value: Secret
    """The value, encrypted: `pulumi config set --secret --path groundwork:secrets.NAME.value`."""


class GivenSigning(Given):
    """A secret from outside that signs what comes from there."""

    value: SigningSecret
    """The value, encrypted; random, 16 characters or more."""


class Secrets(Section):
    """`groundwork:secrets`: versions of the generated ones, values of the given ones."""

    retire_after: Seconds = 300.0
    """How long an old version must have been unused before it may be retired."""
    agent_shared_secret: Generated = Field(default_factory=Generated)
    """What the app and the scheduled jobs show to the agent."""
    app_database_password: Generated = Field(default_factory=Generated)
    """Password of the app's database login; logins alternate."""
    agent_database_password: Generated = Field(default_factory=Generated)
    """Password of the agent's database login; logins alternate."""
    database_password: Generated = Field(default_factory=Generated)
    """Password of the database's owner, which only the deployment uses."""
    session_key: Generated = Field(default_factory=Generated)
    """Key that signs the app's sessions."""
    fingerprint_key: Generated = Field(default_factory=Generated)
    """Key of the fingerprints by which a change of a secret is seen."""
    ai_api_key: Given | None = None
    """Key of the AI provider."""
    mail_api_key: Given | None = None
    """Key of the mail provider."""
    billing_webhook_secret: GivenSigning | None = None
    """Secret that signs the billing provider's events."""

    @property
    def platform(self) -> dict[str, Generated]:
        """The secrets that the deployment itself needs before there is a database, by name."""
        return {name: value for name, value in self._generated() if name in PLATFORM_SECRETS}

    @property
    def generated(self) -> dict[str, Generated]:
        """The secrets that Groundwork makes for the services, by name."""
        return {name: value for name, value in self._generated() if name not in PLATFORM_SECRETS}

    @property
    def given(self) -> dict[str, Given]:
        """The secrets that come from outside, by name."""
        return {name: value for name, value in self if isinstance(value, Given)}

    def _generated(self) -> Iterator[tuple[str, Generated]]:
        return ((name, value) for name, value in self if isinstance(value, Generated))
