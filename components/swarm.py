"""Services as containers of a Docker Swarm, of one engine or many, behind one HAProxy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pulumi
import pulumi_docker as docker

from components import _containers, _stored, balancer
from components.host import Host, HostArgs, Service, ServiceArgs, after, released
from engines import content

if TYPE_CHECKING:
    from components.host import DockerSpec, Text

# Label of a service: a digest of the login by which its nodes pull.
_LOGIN = "groundwork.login"
# The engine of this machine. DOCKER_HOST does not count: all who update a stack must reach the same one.
_HERE = "unix:///var/run/docker.sock"


class SwarmHost(Host):
    """Runs services as Swarm services; callers, the app among them, reach them through the proxy only."""

    token = "groundwork:swarm:SwarmHost"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Reach the engine, make the network, and put the proxy on it."""
        super().__init__(name, opts)
        self._prefix = f"{pulumi.get_project()}-{pulumi.get_stack()}"
        self._key, self._served, self._spec = args.fingerprint_key, args.served, args.spec.docker
        self._endpoint = (self._spec and self._spec.endpoint) or _HERE
        self.home = f".local/{pulumi.get_stack()}"
        self.logs = f"docker -H {self._endpoint} service logs -f {self._prefix}-app"
        engine = docker.Provider(
            self.named("engine"),
            host=self._endpoint,
            registry_auth=_pulling(self._spec),
            opts=self.under(),
        )
        self._on_engine = pulumi.ResourceOptions(provider=engine)
        self._network = self._overlay()
        self._proxy = balancer.Balancer(
            self.named("balancer"),
            balancer.BalancerArgs(
                spec=args.spec.proxy, served=args.served, prefix=self._prefix, network=self._network.id
            ),
            self.under(pulumi.ResourceOptions(providers=[engine])),
        )
        self.finish(network=self._network.name)

    def run(self, name: str, args: ServiceArgs) -> Service:
        """Declare an image and a service of it."""
        release = released(args, self._key, *_ground(self._spec))
        service = self._service(name, args, release)
        both = (service, self._proxy.service)
        return Service(
            url=after(args.public_url or self._published(name), *both),
            inside=after(self._proxy.inside(name), *both),
            version=after(args.version, service),
            release=after(release, service),
            way_back={"endpoint": self._endpoint, "service": f"{self._prefix}-{name}"},
            resource=service,
        )

    def _monitored(self) -> tuple[float, ...]:
        return (self._spec.monitor,) if self._spec else ()

    def _checked(self) -> tuple[float, ...]:
        return (self._spec.check_interval,) if self._spec else ()

    def _child(self) -> pulumi.ResourceOptions:
        return self.under(self._on_engine)

    def _published(self, name: str) -> str:
        """Give the address at which the proxy is reached from outside for a service."""
        machine = urlsplit(self._endpoint).hostname or "127.0.0.1"
        return f"{self._proxy.scheme}://{machine}:{self._served[name].port}"

    def _overlay(self) -> docker.Network:
        """Make the network; an encrypted one is another one, for none can be changed."""
        kind = "encrypted-network" if self._spec and self._spec.encrypt_network else "network"
        names = {"network": self._prefix, "encrypted-network": f"{self._prefix}-encrypted"}
        # The engine adds options of its own; the provider would take them for a change, and replace it.
        settled = pulumi.ResourceOptions(ignore_changes=["options"])
        return docker.Network(
            self.named(kind),
            name=(self._spec and self._spec.network) or names[kind],
            driver="overlay",
            attachable=True,
            options={"encrypted": "true"} if kind == "encrypted-network" else None,
            opts=pulumi.ResourceOptions.merge(self._child(), settled),
        )

    def _service(self, name: str, args: ServiceArgs, release: pulumi.Output[str]) -> docker.Service:
        commit, size = content.commit(Path(args.source)), args.containers
        names = _stored.named(name, self._prefix, args.secrets, self.under())
        labels = {
            "org.opencontainers.image.version": args.version,
            "org.opencontainers.image.revision": commit,
        }
        container = _containers.workload(
            size.image or self._image(name, args, commit),
            size,
            {**args.environment, "SERVICE_VERSION": args.version},
            _stored.secrets(name, names, args.secrets, self._child()),
            labels,
            *self._checked(),
        )
        return docker.Service(
            name,
            name=f"{self._prefix}-{name}",
            # Of the service only: another release's name starts no container anew.
            labels=_containers.service_labels({**labels, content.RELEASE: release, **self._login()}),
            task_spec=_containers.task(container, self._network.id, memory=size.memory, cpus=size.cpus),
            mode=_containers.replicated(size.replicas),
            endpoint_spec=_containers.endpoint({}),
            # A new container serves before an old one ends.
            update_config=_containers.update("start-first", *self._monitored()),
            rollback_config=_containers.rollback("start-first"),
            converge_config=_containers.converged(),
            opts=self._child(),
        )

    def _login(self) -> dict[str, Text]:
        """Tell another login apart, or nodes would pull with the old one until the next release.

        A Swarm keeps what came with a service's last change. A new login starts no container anew.
        """
        if not (self._spec and self._spec.registry_password):
            return {}
        login = {"username": self._spec.registry_username, "password": self._spec.registry_password}
        told = pulumi.Output.all(key=self._key, login=login)
        digest = told.apply(lambda found: content.fingerprint(found["key"], found["login"]))
        return {_LOGIN: pulumi.Output.unsecret(digest)}

    def _image(self, name: str, args: ServiceArgs, commit: str) -> pulumi.Output[str]:
        """Build an image, push it where there is a registry, and give its digest; without one, its id."""
        registry = self._spec.registry if self._spec else None
        base = {"BASE": self._spec.base_image} if self._spec and self._spec.base_image else {}
        # Repositories have small letters only; a stack's name may have others.
        repository = "/".join(filter(None, (registry, f"{self._prefix}-{name}".lower())))
        image = docker.Image(
            f"{name}-image",
            image_name=f"{repository}:{args.version}",
            build=docker.DockerBuildArgs(
                context=args.source,
                args={"VERSION": args.version, "COMMIT": commit, **base},
                platform=self._spec.platform if self._spec else None,
            ),
            registry=_pushing(self._spec),
            skip_push=not registry,
            opts=self._child(),
        )
        return (
            image.repo_digest.apply(lambda digest: _own(repository, digest))
            if registry
            else image.repo_digest
        )


def _own(repository: str, digest: str) -> str:
    """Name an image in its own repository.

    The provider gives the first name that the engine knows the image by: another stack's, when that one is
    built of the same files, or one without docker.io, for which it finds no login.
    """
    return f"{repository}@{digest.rpartition('@')[2]}"


def _ground(spec: DockerSpec | None) -> tuple[str | None, ...]:
    return (spec.base_image, spec.platform) if spec else ()


def _pulling(spec: DockerSpec | None) -> list[docker.ProviderRegistryAuthArgs] | None:
    """Say how nodes log in to pull: a Swarm gives them the login with the service; their own do not count.

    Without a name, the provider looks the address up where `docker login` of this machine has written it.
    """
    if not (spec and spec.registry):
        return None
    address = spec.registry.partition("/")[0]
    return [
        docker.ProviderRegistryAuthArgs(
            address=address, username=spec.registry_username, password=spec.registry_password
        )
    ]


def _pushing(spec: DockerSpec | None) -> docker.RegistryArgs | None:
    """Say how to log in to push; None: as `docker login` did."""
    if not (spec and spec.registry and spec.registry_username):
        return None
    server = spec.registry.partition("/")[0]
    return docker.RegistryArgs(
        server=server, username=spec.registry_username, password=spec.registry_password
    )
