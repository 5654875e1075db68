"""The product's Swarm host on two nodes: who pulls what, how requests go, and a node that goes away."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.docker.fix_hosted import Hosted, open_hosted
from tests.docker.plugin.logins import Login
from tests.polling import until

if TYPE_CHECKING:
    import docker

    from tests.docker.fix_nodes import Node, Nodes

pytestmark = [pytest.mark.docker, pytest.mark.engine]


@pytest.fixture(scope="module")
def hosted(
    engine: docker.DockerClient, base_image: str, nodes: Nodes, tmp_path_factory: pytest.TempPathFactory
) -> Hosted:
    """Give a stack of two containers with a proxy on each node; it goes with its engines."""
    manager = nodes.manager.client
    manager.images.load(engine.images.get(base_image).save(named=True))
    prefix, logged_in = f"gwt-{secrets.token_hex(4)}", tmp_path_factory.mktemp("logged-in")
    made = open_hosted(manager, prefix, base_image, nodes.registry, logged_in)
    made.configure("endpoint", nodes.manager.endpoint)
    made.configure("replicas", "2")
    made.configure("proxy", _pushed(nodes, base_image))
    # Which container answers: Swarm fills it in.
    made.configure("greeting", "{{.Task.Slot}}")
    made.up()
    return made


def _pushed(nodes: Nodes, base: str) -> str:
    """Push the base image, and give its name and digest."""
    client, registry = nodes.manager.client, nodes.registry
    name, login = f"{registry.address}/hosted/base", Login(registry.address, registry.user, registry.password)
    client.images.get(base).tag(name, "1")
    client.images.push(name, "1", auth_config=login.fields)
    return str(client.images.get(f"{name}:1").attrs["RepoDigests"][0])


@pytest.fixture
def spread(hosted: Hosted, nodes: Nodes) -> Hosted:
    """Give the stack with a container on each node, whatever became of the nodes before."""
    nodes.worker.plug()
    until(nodes.are_ready, what="the worker")
    until(lambda: nodes.tasks(nodes.worker, f"{hosted.prefix}-proxy") == 1, what="its proxy")
    if nodes.tasks(nodes.worker, f"{hosted.prefix}-app") == 0:
        # Swarm moves nothing back; a new container goes where there are fewer.
        hosted.scale(1)
        hosted.scale(2)
    return hosted


def _answers(hosted: Hosted, node: Node) -> set[str]:
    """Ask at a node's port several times which container answers."""
    url = f"http://{node.address}:{hosted.get('port')}"
    return {httpx.get(url, timeout=10).raise_for_status().text.split()[0] for _ in range(4)}


def test_a_node_pulls_with_the_login_of_the_service(spread: Hosted, nodes: Nodes) -> None:
    """A worker without a login of its own gets the app's and the proxy's image from the registry."""
    images = [spread.image(), spread.get("proxy")]

    assert nodes.tasks(nodes.worker, f"{spread.prefix}-app") == 1
    assert nodes.tasks(nodes.worker, f"{spread.prefix}-proxy") == 1
    assert nodes.registry.pulled(nodes.worker.address) == {image.partition("@")[2] for image in images}


def test_each_proxy_reaches_the_containers_of_both_nodes(spread: Hosted, nodes: Nodes) -> None:
    """DNS names all of them, and the overlay network leads there."""
    assert until(lambda: _answers(spread, nodes.manager) == {"1", "2"})
    assert until(lambda: _answers(spread, nodes.worker) == {"1", "2"})


def test_what_ran_on_a_node_that_goes_away_runs_on_the_other(spread: Hosted, nodes: Nodes) -> None:
    """Each request is answered meanwhile: what cannot reach the lost container goes to the one left."""
    name = f"{spread.prefix}-app"
    nodes.worker.cut()

    assert until(lambda: _answers(spread, nodes.manager) and nodes.tasks(nodes.manager, name) == 2)
    assert until(lambda: _answers(spread, nodes.manager) == {"1", "2"})
