"""What is left of a test on the Docker engine, found by the prefix of its names, and its removal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import docker

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def left_by(client: docker.DockerClient, prefix: str) -> list[str]:
    """Name every service, secret, config, network and container whose name starts with `prefix`."""
    return [f"{kind} {name}" for kind, name, _ in _find(client, prefix)]


def remove(client: docker.DockerClient, prefix: str) -> None:
    """Remove all of them, and the images: at first what uses the others, then these."""
    for service in client.services.list(filters={"name": prefix}):
        _try(service.remove)
    until(lambda: not _attempt(client, prefix), what=f"everything named {prefix}… to go")
    for image in client.images.list():
        for tag in (one for one in image.tags if one.startswith(prefix)):
            client.images.remove(tag, force=True)


def _attempt(client: docker.DockerClient, prefix: str) -> list[str]:
    for kind, _, one in _find(client, prefix):
        # Containers of a service go by themselves; those that a test started go here.
        if kind != "container" or "com.docker.swarm.service.id" not in one.labels:
            _try(lambda one=one: one.remove(force=True) if hasattr(one, "exec_run") else one.remove())
    return left_by(client, prefix)


def _find(client: docker.DockerClient, prefix: str) -> Iterator[tuple[str, str, Any]]:
    found: dict[str, list[Any]] = {
        "service": client.services.list(),
        "secret": client.secrets.list(),
        "config": client.configs.list(),
        "container": client.containers.list(all=True, ignore_removed=True),
        "network": client.networks.list(),
    }
    for kind, things in found.items():
        named = ((str(one.name), one) for one in things)
        yield from ((kind, name, one) for name, one in named if name.startswith(prefix))


def _try(action: Any) -> None:
    """Do it; what is in use or gone is for the next attempt to see."""
    try:
        action()
    except docker.errors.APIError:
        return
