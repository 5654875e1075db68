"""Services as containers of one Docker engine, from images built of the services' Dockerfiles."""

from __future__ import annotations

import pulumi
import pulumi_docker as docker

from components.host import DockerSpec, Host, Service, ServiceArgs

# Where services listen inside their containers; their images read it from PORT (workloads/*/Dockerfile).
_PORT = 8000


class DockerHost(Host):
    """Runs services as containers that share a network."""

    token = "groundwork:docker:DockerHost"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self, name: str, spec: DockerSpec | None, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Reach the engine and make the network."""
        super().__init__(name, opts)
        self._prefix = f"{pulumi.get_project()}-{pulumi.get_stack()}"
        self._registry = spec.registry if spec else None
        self.home, self.logs = f".local/{pulumi.get_stack()}", f"docker logs -f {self._prefix}-app"
        engine = docker.Provider(
            self.named("engine"), host=spec.endpoint if spec else None, opts=self.under()
        )
        self._on_engine = pulumi.ResourceOptions(provider=engine)
        network = f"{self._prefix}-{spec.network if spec else 'net'}"
        self._network = docker.Network(self.named("network"), name=network, opts=self._child())
        self.finish(network=self._network.name)

    def run(self, name: str, args: ServiceArgs) -> Service:
        """Declare an image and a container of it."""
        container = self._container(name, args, self._image(name, args))
        address = args.public_url or f"http://127.0.0.1:{args.port}"
        # All wait for the container: who is given them runs after it.
        return Service(
            url=container.id.apply(lambda _: address),
            inside=container.id.apply(lambda _: f"http://{name}:{_PORT}"),
            version=container.id.apply(lambda _: args.version),
            resource=container,
        )

    def _child(self) -> pulumi.ResourceOptions:
        return self.under(self._on_engine)

    def _image(self, name: str, args: ServiceArgs) -> docker.Image:
        label = f"{self._prefix}-{name}:{args.version}"
        return docker.Image(
            f"{name}-image",
            image_name=f"{self._registry}/{label}" if self._registry else label,
            build=docker.DockerBuildArgs(context=args.source, args={"VERSION": args.version}),
            skip_push=not self._registry,
            opts=self._child(),
        )

    def _container(self, name: str, args: ServiceArgs, image: docker.Image) -> docker.Container:
        ours = {"SERVICE_VERSION": args.version, "SECRETS_DIR": "/run/secrets", "PORT": str(_PORT)}
        environment = {**args.environment, **ours}
        return docker.Container(
            name,
            name=f"{self._prefix}-{name}",
            image=image.image_name,
            envs=[pulumi.Output.concat(key, "=", value) for key, value in environment.items()],
            uploads=[
                docker.ContainerUploadArgs(file=f"/run/secrets/{key}", content=value)
                for key, value in args.secrets.items()
            ],
            ports=[docker.ContainerPortArgs(internal=_PORT, external=args.port, ip="127.0.0.1")],
            networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=self._network.name, aliases=[name])],
            restart="unless-stopped",
            wait=True,
            opts=self._child(),
        )
