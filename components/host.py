"""Where services run. One interface, chosen per stack: processes of this machine, or containers of a Swarm.

A host is told what to run and answers with a URL and a version; it knows nothing of Supabase, app or agent.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import pulumi

from components._base import Component
from engines import content

if TYPE_CHECKING:
    from collections.abc import Mapping

Text = pulumi.Input[str]


class DockerSpec(Protocol):
    """The engine and its images."""

    @property
    def endpoint(self) -> str | None:
        """Manager of the Swarm, such as ssh://deploy@host; None: this machine's engine."""

    @property
    def registry(self) -> str | None:
        """Prefix of image names, for engines that pull; None: images stay where they are built."""

    @property
    def registry_username(self) -> str | None:
        """Who pushes and pulls; None: whoever `docker login` was done as."""

    @property
    def registry_password(self) -> pulumi.Output[str] | None:
        """The password of that one."""

    @property
    def network(self) -> str | None:
        """Name of the network that joins the services; None: that of the stack."""

    @property
    def encrypt_network(self) -> bool:
        """Encrypt what goes from node to node."""

    @property
    def monitor(self) -> float:
        """Seconds that each new container is watched."""

    @property
    def check_interval(self) -> float:
        """Seconds between two questions whether a container is ready, and before the first one."""

    @property
    def platform(self) -> str | None:
        """What the engines run, such as linux/amd64; None: what the machine of the update is."""

    @property
    def base_image(self) -> str | None:
        """What images are built on; None: what their Dockerfiles say."""


class ProxySpec(Protocol):
    """What stands before the containers."""

    @property
    def image(self) -> str | None:
        """HAProxy 2.6 or later; None: an official image."""

    @property
    def certificate(self) -> pulumi.Output[str] | None:
        """Key and certificate chain in PEM; None: no TLS."""

    @property
    def redirect_port(self) -> int:
        """Port for plain HTTP that sends callers on; 0: none."""

    @property
    def replicas(self) -> int:
        """How many run."""


class HostSpec(Protocol):
    """What a stack says of its host."""

    @property
    def kind(self) -> str:
        """`process`, `docker` or `swarm`."""

    @property
    def docker(self) -> DockerSpec | None:
        """The engine and its images; None: the default engine."""

    @property
    def proxy(self) -> ProxySpec | None:
        """What stands before the containers; None: all defaults."""


class Placement(Protocol):
    """What a stack says of where and how a service runs; None always means the default."""

    @property
    def port(self) -> int:
        """A fixed TCP port; 0: one is found."""

    @property
    def public_url(self) -> str | None:
        """Where callers outside the host reach it; None: where it listens."""

    @property
    def replicas(self) -> int | None:
        """How many containers run."""

    @property
    def image(self) -> str | None:
        """A built image, by digest."""

    @property
    def memory(self) -> int | None:
        """Bytes that a container may use."""

    @property
    def cpus(self) -> float | None:
        """Processors' time that a container may use."""

    @property
    def drain(self) -> float | None:
        """Seconds that a container still serves after it was told to end."""


@dataclass(frozen=True, kw_only=True)
class HostArgs:
    """What a host is told.

    Attributes:
        spec: the stack's settings of it.
        served: the services that callers outside reach, by name; they get their ports in this order.
        fingerprint_key: keys the digests by which a change of secrets shows.
    """

    spec: HostSpec
    served: Mapping[str, Placement]
    fingerprint_key: pulumi.Output[str]


@dataclass(frozen=True, kw_only=True)
class Containers:
    """How a service runs where it runs in containers.

    Attributes:
        replicas: how many.
        image: a built image by its digest; None: one is built of the service's Dockerfile.
        memory: bytes that each may use.
        cpus: processors' time that each may use.
        drain: seconds that one still serves after it was told to end.
    """

    replicas: int = 2
    image: str | None = None
    memory: int = 512 << 20
    cpus: float = 1.0
    drain: float = 5.0

    @classmethod
    def of(cls, placement: Placement) -> Self:
        """Take what a stack says, and the defaults for the rest."""
        said = {one.name: getattr(placement, one.name) for one in fields(cls)}
        return cls(**{name: value for name, value in said.items() if value is not None})


@dataclass(frozen=True, kw_only=True)
class ServiceArgs:
    """One service to run.

    Attributes:
        source: folder of its code, relative to the program.
        command: how to start it; the process host fills in `{python}` and `{port}`.
        directory: working folder, relative to the program.
        environment: plain settings; the process host fills in `{secrets}`, the folder of the secret files.
        secrets: name → value; delivered as files in the folder that SECRETS_DIR names.
        port: a fixed TCP port; 0: one is found.
        public_url: where others reach it; None: where it listens.
        health_path: answers 2xx once the service can be used.
        wipe_on_delete: folders to remove when the service is removed.
        containers: how it runs where it runs in containers.
    """

    source: str
    command: tuple[str, ...]
    directory: str
    environment: Mapping[str, Text] = field(default_factory=dict)
    secrets: Mapping[str, Text] = field(default_factory=dict)
    port: int = 0
    public_url: str | None = None
    health_path: str = "/health"
    wipe_on_delete: tuple[str, ...] = ()
    containers: Containers = field(default_factory=Containers)

    @property
    def version(self) -> str:
        """The version of the code: a digest of its files."""
        return content.digest([Path(self.source)])


@dataclass(frozen=True, kw_only=True)
class Service:
    """A running service.

    Attributes:
        url: where it is reached from outside the host.
        inside: where other services of the host reach it.
        version: the version that runs.
        release: a keyed digest of all that was rolled out: code, settings, secrets.
        way_back: where the previous release can be brought back (`endpoint`, `service`); nothing: nowhere.
        resource: what dies when the service does, for things that live inside it.
    """

    url: pulumi.Output[str]
    inside: pulumi.Output[str]
    version: pulumi.Output[str]
    release: pulumi.Output[str]
    way_back: dict[str, Text]
    resource: pulumi.Resource


class Host(Component):
    """Runs services.

    Attributes:
        logs: how to see what the services write.
        home: folder of what services keep on this machine, relative to the program.
    """

    logs: str
    home: str

    @abstractmethod
    def run(self, name: str, args: ServiceArgs) -> Service:
        """Declare a service and say where it is reached."""


def released(args: ServiceArgs, key: pulumi.Output[str], *ground: str | None) -> pulumi.Output[str]:
    """Give the digest of what is to be rolled out; of inputs only: a refresh changes nothing.

    Args:
        args: the service.
        key: keys the digest, for it is of secrets, too.
        ground: what its image is built on and for, beyond its Dockerfile.
    """
    told = pulumi.Output.all(key=key, environment=dict(args.environment), secrets=dict(args.secrets))
    code = {"version": args.version, "ground": ground, "containers": asdict(args.containers)}
    return pulumi.Output.unsecret(
        told.apply(
            lambda found: content.fingerprint(
                found["key"], {**code, "environment": found["environment"], "secrets": found["secrets"]}
            )
        )
    )


def after(value: Text, *resources: pulumi.CustomResource) -> pulumi.Output[str]:
    """Give a value once these resources are there: who takes it runs after them."""
    return pulumi.Output.all(value, *[one.id for one in resources]).apply(lambda found: str(found[0]))


def as_json(values: pulumi.Output[dict[str, str]]) -> pulumi.Output[str]:
    """Write a secret's values by version as the JSON object that services read."""
    return values.apply(lambda found: json.dumps(found, sort_keys=True))
