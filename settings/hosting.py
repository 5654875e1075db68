"""What runs the services: `groundwork:host` and what is below it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from settings.section import Section
from settings.values import Port, Registry, Seconds, Secret, Text, like

# ssh asks its agent for keys, and takes a name that begins with a dash for an option.
_ENDPOINT = r"(unix|tcp|npipe)://[^@]+|ssh://([^-:@/][^:@/]*@)?[^-:@/][^@]*"


class Docker(Section):
    """`groundwork:host.docker`: the engine and its images; for the kinds docker and swarm."""

    endpoint: (
        Annotated[
            str, like(_ENDPOINT, "a ssh://USER@HOST, unix://, tcp:// or npipe:// address, without a password")
        ]
        | None
    ) = None
    """Manager of the Swarm, such as ssh://deploy@host.example.com; absent, this machine's engine."""
    registry: Registry | None = None
    """Where images are pushed, such as registry.example.com/product; absent, they stay on the engine."""
    registry_username: Text | None = None
    """Who pushes, and who pulls on every node; absent, whoever `docker login` was done as here."""
    registry_password: Secret | None = None
    """The password of registry_username, encrypted."""
    network: (
        Annotated[str, like(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "named by letters, digits, _, . and -")] | None
    ) = None
    """Name of the network that joins the services; absent, groundwork-STACK (-encrypted)."""
    encrypt_network: bool = False
    """Encrypt what goes from node to node (IPsec; costs throughput)."""
    monitor: Seconds = 5.0
    """How long each new container has to stay healthy before an update counts it as good."""
    check_interval: Annotated[Seconds, Field(ge=0.5, le=60)] = 5.0
    """How often the engine asks whether a container is ready; it first does so this long after its start."""
    platform: Annotated[str, like("linux/[a-z0-9]+(/v[0-9]+)?", "a platform such as linux/amd64")] | None = (
        None
    )
    """What the engines run; absent, images are built for what the machine of the update is."""
    base_image: Text | None = None
    """What images are built on, best by digest; absent, what their Dockerfiles say."""


class Proxy(Section):
    """`groundwork:host.proxy`: the HAProxy before the containers."""

    image: Text | None = None
    """HAProxy 2.6 or later, best by digest; absent, an official one."""
    certificate: Secret | None = None
    """Key and certificate chain as one PEM text, encrypted; absent, the proxy ends no TLS."""
    redirect_port: Port = 0
    """Port for plain HTTP that sends callers on to app.public_url; 0, none."""
    replicas: Annotated[int, Field(ge=1, le=64)] = 1
    """How many run, each on a node of its own, whose ports it takes."""


class Host(Section):
    """`groundwork:host`: what runs the app and the agent."""

    kind: Literal["process", "docker", "swarm"] = "process"
    """process: supervised processes on this machine; docker: a Swarm of one engine; swarm: one of many."""
    docker: Docker | None = None
    """The engine and its images; only for docker and swarm."""
    proxy: Proxy | None = None
    """What stands before the containers; only for docker and swarm."""


def _host_from_kind(value: object) -> object:
    """Let `host: process` stand for `host: {kind: process}`."""
    return {"kind": value} if isinstance(value, str) else value


HostFromText = Annotated[Host, BeforeValidator(_host_from_kind)]
