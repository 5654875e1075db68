"""One service as the product's Swarm host declares it: image, secret, network, and the proxy before it."""

from __future__ import annotations

import pulumi

from components.host import Containers, HostArgs, ServiceArgs
from components.swarm import SwarmHost
from settings.hosting import Docker, Host, Proxy
from settings.sections import App

config = pulumi.Config()
base, token = config.require("base"), config.require_secret("token")
served = {"app": App(port=config.require_int("port"))}
replicas = config.get_int("replicas") or 1
engine = Docker(
    endpoint=config.get("endpoint"),
    base_image=base,
    monitor=1.0,
    registry=config.require("registry"),
    registry_username=config.get("username"),
)
# Encrypted in the stack file, and secret before anything else can see it, as the product's settings have it.
engine = engine.model_copy(update={"registry_password": config.get_secret("password")})
# One proxy for each container: with as many of both as nodes, each node has one.
spec = Host(kind="swarm", docker=engine, proxy=Proxy(image=config.get("proxy") or base, replicas=replicas))
service = SwarmHost("host", HostArgs(spec=spec, served=served, fingerprint_key=token)).run(
    "app",
    ServiceArgs(
        source="image",
        command=(),
        directory="image",
        environment={"GREETING": config.get("greeting") or "hello"},
        secrets={"token": token},
        containers=Containers(replicas=replicas, drain=0),
    ),
)
pulumi.export("url", service.url)
