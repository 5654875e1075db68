"""The HAProxy before a Swarm's services: one address for containers that come and go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi_docker as docker

from components import _containers, _stored
from components._base import Component
from engines import proxy

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from components.host import Placement, ProxySpec, Text

# HAProxy 3.2 is maintained until 2030; the digest is that of an image in Docker's official repository.
_IMAGE = "haproxy:3.2-alpine@sha256:79799e8b2977e60802774fa53d29e6b54e045402cdd8a8b9fe43923e7095a047"
_CERTIFICATE, _CONFIGURATION = "certificate.pem", "haproxy.cfg"
_FIRST_PORT, _FIRST_TLS_PORT, _REDIRECT_PORT = 8000, 8443, 8080


@dataclass(frozen=True, kw_only=True)
class BalancerArgs:
    """What is reached through the proxy.

    Attributes:
        spec: the stack's settings of it; None: all defaults.
        served: the services, by name.
        prefix: what the names of all things of the stack begin with.
        network: id of the network that the services are on.
    """

    spec: ProxySpec | None
    served: Mapping[str, Placement]
    prefix: str
    network: pulumi.Output[str]


class Balancer(Component):
    """Takes requests for services, and gives each to a container that is ready.

    Attributes:
        service: the Swarm service.
        scheme: `https` where the proxy ends TLS, else `http`.
    """

    token = "groundwork:balancer:Balancer"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(self, name: str, args: BalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Run the proxy; `opts` bring the provider of its engine."""
        super().__init__(name, opts)
        self._args, self._names = args, list(args.served)
        certificate = args.spec.certificate if args.spec else None
        self.scheme = "http" if certificate is None else "https"
        self.service = self._service({} if certificate is None else {_CERTIFICATE: certificate})
        self.finish(service=self.service.name)

    def inside(self, name: str) -> str:
        """Give the address at which other containers reach a service."""
        return f"http://{self._args.prefix}-proxy:{self._port(name)}"

    def _service(self, certificates: Mapping[str, pulumi.Output[str]]) -> docker.Service:
        text = self._text()
        contents: dict[str, Text] = {_CONFIGURATION: text, **certificates}
        names = _stored.named("proxy", self._args.prefix, contents, self.under())
        configuration = docker.ServiceConfig(
            self.named("configuration"),
            name=names[_CONFIGURATION],
            data=_stored.encoded(text),
            opts=self.under(),
        )
        spec = self._args.spec
        container = _containers.balancer(
            (spec and spec.image) or _IMAGE,
            configuration,
            _stored.secrets("proxy", names, certificates, self.under()),
        )
        return docker.Service(
            "proxy",
            name=f"{self._args.prefix}-proxy",
            task_spec=_containers.task(container, self._args.network),
            mode=_containers.replicated(spec.replicas if spec else 1),
            endpoint_spec=_containers.endpoint(self._published()),
            # Two cannot have the same ports of a node.
            update_config=_containers.update("stop-first"),
            rollback_config=_containers.rollback("stop-first"),
            converge_config=_containers.converged(),
            opts=self.under(),
        )

    def _text(self) -> str:
        """Write the configuration."""
        tls = self.scheme == "https"
        routes = [
            proxy.Route(
                name=name,
                tasks=f"tasks.{self._args.prefix}-{name}",
                port=_containers.PORT,
                listen=self._port(name),
                listen_tls=self._tls_port(name) if tls else None,
            )
            for name in self._names
        ]
        certificate = f"/run/secrets/{_CERTIFICATE}" if tls else None
        return proxy.configuration(routes, certificate=certificate, redirect=self._redirect())

    def _redirect(self) -> proxy.Redirect | None:
        """Send callers who come without TLS to the first service."""
        to = self._args.served[self._names[0]].public_url
        if not (self._args.spec and self._args.spec.redirect_port and to):
            return None
        return proxy.Redirect(listen=_REDIRECT_PORT, to=to)

    def _published(self) -> dict[int, int]:
        """Give the port inside the container for each port of the node."""
        inside = self._tls_port if self.scheme == "https" else self._port
        ports = {placement.port: inside(name) for name, placement in self._args.served.items()}
        if self._args.spec and self._redirect():
            ports[self._args.spec.redirect_port] = _REDIRECT_PORT
        return ports

    def _port(self, name: str) -> int:
        return _FIRST_PORT + self._names.index(name)

    def _tls_port(self, name: str) -> int:
        return _FIRST_TLS_PORT + self._names.index(name)
