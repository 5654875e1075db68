"""Where services run. One interface, chosen per stack: processes of this machine, or containers.

A host is told what to run and answers with a URL and a version; it knows nothing of Supabase, app or agent.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pulumi

from components._base import Component
from engines import content

if TYPE_CHECKING:
    from collections.abc import Mapping

Text = pulumi.Input[str]


class DockerSpec(Protocol):
    """Where containers run."""

    @property
    def endpoint(self) -> str | None:
        """Docker engine, such as ssh://deploy@host; None: the default one."""

    @property
    def registry(self) -> str | None:
        """Prefix of image names, for engines that pull; None: images stay where they are built."""

    @property
    def network(self) -> str:
        """Name of the network that joins the containers."""


class HostSpec(Protocol):
    """What a stack says of its host."""

    @property
    def kind(self) -> str:
        """`process` or `docker`."""

    @property
    def docker(self) -> DockerSpec | None:
        """Where containers run; None: the default engine."""


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
        resource: what dies when the service does, for things that live inside it.
    """

    url: pulumi.Output[str]
    inside: pulumi.Output[str]
    version: pulumi.Output[str]
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


def place(spec: HostSpec) -> Host:
    """Declare the host that the stack asks for."""
    # Loaded on demand: the Docker SDK alone takes longer to import than everything else here.
    if spec.kind == "docker":
        from components import docker  # noqa: PLC0415

        return docker.DockerHost("host", spec.docker)
    from components import process  # noqa: PLC0415

    return process.ProcessHost("host")


def as_json(values: pulumi.Output[dict[str, str]]) -> pulumi.Output[str]:
    """Write a secret's values by version as the JSON object that services read."""
    return values.apply(lambda found: json.dumps(found, sort_keys=True))
