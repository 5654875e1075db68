"""Where services run: as processes of this machine, or as containers of a Docker engine.

One interface, chosen per stack. A host is told what to run and answers with a URL and a version; it knows
nothing of Supabase, app or agent.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pulumi
import pulumi_docker as docker

from components._base import Component
from engines import content
from providers.process import Process

if TYPE_CHECKING:
    from collections.abc import Mapping

Text = pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class HostArgs:
    """How a stack's host is set up.

    Attributes:
        kind: `process` or `docker`.
        home: folder for what processes leave behind, relative to the program.
        registry: prefix of image names, for an engine that pulls its images.
    """

    kind: str = "process"
    home: str = ".local"
    registry: str = ""


@dataclass(frozen=True, kw_only=True)
class ServiceArgs:
    """One service to run.

    Attributes:
        source: folder of its code, relative to the program.
        command: how to start it; `{python}` and `{port}` are filled in by the process host.
        directory: working folder, relative to the program.
        environment: plain settings.
        secrets: name → value; delivered as files in the folder that SECRETS_DIR names.
        port: a fixed TCP port; 0: one is found.
        public_url: where others reach it, if that differs from where it listens.
        health_path: answers 2xx once the service can be used.
        wipe_on_delete: folders to remove when the service is removed.
    """

    source: str
    command: tuple[str, ...]
    directory: str
    environment: Mapping[str, Text] = field(default_factory=dict)
    secrets: Mapping[str, Text] = field(default_factory=dict)
    port: int = 0
    public_url: str = ""
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
        url: where it is reached.
        version: the version that runs.
        resource: what dies when the service does, for things that live inside it.
    """

    url: pulumi.Output[str]
    version: pulumi.Output[str]
    resource: pulumi.Resource


class Host(Component):
    """Runs services."""

    @abstractmethod
    def run(self, name: str, args: ServiceArgs) -> Service:
        """Declare a service and say where it is reached."""


class ProcessHost(Host):
    """Runs services as processes under a supervisor, which restarts them and keeps their logs."""

    token = "groundwork:host:ProcessHost"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Choose the folder of this stack below `args.home`."""
        super().__init__(name, opts)
        self.home = f"{args.home}/{pulumi.get_stack()}"
        self.finish(home=self.home)

    def run(self, name: str, args: ServiceArgs) -> Service:
        """Declare a process."""
        props = {
            "home": self.home,
            "program": name,
            "command": list(args.command),
            "directory": args.directory,
            "environment": {**args.environment, "SERVICE_VERSION": args.version},
            "secrets": dict(args.secrets),
            "fixed_port": args.port,
            "health_path": args.health_path,
            "version": args.version,
            "wipe_on_delete": list(args.wipe_on_delete),
        }
        process = Process(name, props, self.under())
        url = pulumi.Output.from_input(args.public_url) if args.public_url else process.url
        return Service(url=url, version=process.version, resource=process)


class DockerHost(Host):
    """Runs services as containers of one Docker engine, from images built of the services' Dockerfiles."""

    token = "groundwork:host:DockerHost"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the network that the services share."""
        super().__init__(name, opts)
        self._registry = args.registry
        self._prefix = f"{pulumi.get_project()}-{pulumi.get_stack()}"
        network = self.named("network")
        self._network = docker.Network(network, name=f"{self._prefix}-net", opts=self.under())
        self.finish(network=self._network.name)

    def run(self, name: str, args: ServiceArgs) -> Service:
        """Declare an image and a container of it."""
        image = self._image(name, args)
        container = self._container(name, args, image)
        url = pulumi.Output.from_input(args.public_url or f"http://127.0.0.1:{args.port}")
        # The URL waits for the container: who is given it runs afterwards.
        reached = pulumi.Output.all(url, container.id).apply(lambda parts: str(parts[0]))
        version = container.id.apply(lambda _: args.version)
        return Service(url=reached, version=version, resource=container)

    def _image(self, name: str, args: ServiceArgs) -> docker.Image:
        label = f"{self._prefix}-{name}:{args.version}"
        return docker.Image(
            f"{name}-image",
            image_name=f"{self._registry}/{label}" if self._registry else label,
            build=docker.DockerBuildArgs(context=args.source, args={"SERVICE_VERSION": args.version}),
            skip_push=not self._registry,
            opts=self.under(),
        )

    def _container(self, name: str, args: ServiceArgs, image: docker.Image) -> docker.Container:
        environment = {**args.environment, "SERVICE_VERSION": args.version, "SECRETS_DIR": "/run/secrets"}
        return docker.Container(
            name,
            name=f"{self._prefix}-{name}",
            image=image.image_name,
            envs=[pulumi.Output.concat(key, "=", value) for key, value in environment.items()],
            uploads=[
                docker.ContainerUploadArgs(file=f"/run/secrets/{key}", content=value)
                for key, value in args.secrets.items()
            ],
            ports=[docker.ContainerPortArgs(internal=8000, external=args.port, ip="127.0.0.1")],
            networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=self._network.name, aliases=[name])],
            restart="unless-stopped",
            wait=True,
            opts=self.under(),
        )


_KINDS: dict[str, type[ProcessHost | DockerHost]] = {"process": ProcessHost, "docker": DockerHost}


def place(args: HostArgs) -> Host:
    """Declare the host that the stack asks for."""
    return _KINDS[args.kind]("host", args)


def as_json(values: pulumi.Output[dict[str, str]]) -> pulumi.Output[str]:
    """Write a secret's values by version as the JSON object that services read."""
    return values.apply(lambda found: json.dumps(found, sort_keys=True))
