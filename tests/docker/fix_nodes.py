"""A Swarm of two engines of its own, each in a network namespace that stands for a machine.

They share nothing with this machine's engine but the kernel, and the folder of trusted registries. Their
network is a bridge in a third namespace, where no engine has a firewall; this machine has an address on it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import pytest

from tests.docker.fix_registry import Registry, running_registry
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOOLS = ("dockerd", "ip", "nsenter", "setpriv")
_SWARM_PORT = 2377


@dataclass
class Node:
    """One engine, and the machine that it believes to be alone on.

    Attributes:
        name: of its namespace and its interface.
        address: on the network of all.
        folder: what the engine keeps.
        client: a client of the engine.
    """

    name: str
    address: str
    folder: Path
    client: docker.DockerClient

    @property
    def endpoint(self) -> str:
        """Where the engine is reached."""
        return f"unix://{self.folder}/socket"

    def cut(self) -> None:
        """Take the machine off the network, with all that runs on it."""
        _ip("-n", self.name, "link", "set", self.name, "down")

    def plug(self) -> None:
        """Put the machine on the network."""
        _ip("-n", self.name, "link", "set", self.name, "up")


@dataclass(frozen=True)
class Nodes:
    """A Swarm of two.

    Attributes:
        manager: the first, to which Pulumi speaks.
        worker: the other.
        registry: where both pull from; they have no login of their own.
    """

    manager: Node
    worker: Node
    registry: Registry

    def tasks(self, node: Node, service: str) -> int:
        """Count a service's tasks that run on a node, as the manager sees it."""
        here = node.client.info()["Swarm"]["NodeID"]
        wanted = {"node": here, "desired-state": "running"}
        found = self.manager.client.services.get(service).tasks(wanted)
        return len([one for one in found if one["Status"]["State"] == "running"])

    def are_ready(self) -> bool:
        """Say whether the manager hears from all."""
        found = [one.attrs["Status"]["State"] for one in self.manager.client.nodes.list()]
        return found == ["ready", "ready"]


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _wire(name: str, switch: str, address: str, namespace: str | None) -> None:
    """Give a namespace (or this machine) an interface on the switch."""
    far = f"{name}-s"
    _ip("link", "add", name, "type", "veth", "peer", "name", far)
    _ip("link", "set", far, "netns", switch)
    _ip("-n", switch, "link", "set", far, "master", "switch", "up")
    inside = ["-n", namespace] if namespace else []
    if namespace:
        _ip("link", "set", name, "netns", namespace)
        _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "addr", "add", f"{address}/24", "dev", name)
    _ip(*inside, "link", "set", name, "up")


@contextlib.contextmanager
def _network(prefix: str) -> Iterator[list[str]]:
    """Make the namespaces; give this machine's address, and those of the nodes."""
    names = [f"{prefix}s", f"{prefix}a", f"{prefix}b"]
    # For tests of network devices (RFC 2544): nobody routes these.
    net = f"198.18.{secrets.randbelow(256)}"
    addresses = [f"{net}.254", f"{net}.1", f"{net}.2"]
    try:
        for name in names:
            _ip("netns", "add", name)
        _ip("-n", names[0], "link", "add", "switch", "type", "bridge")
        _ip("-n", names[0], "link", "set", "switch", "up")
        # What joins the nodes' containers; kernels may lack it.
        _ip("-n", names[0], "link", "add", "probe", "type", "vxlan", "id", "1", "dstport", "4789")
        _wire(f"{prefix}h", names[0], addresses[0], None)
        for name, address in zip(names[1:], addresses[1:], strict=True):
            _wire(name, names[0], address, name)
        yield addresses
    finally:
        for name in names:
            with contextlib.suppress(OSError):
                _ip("netns", "del", name)


@contextlib.contextmanager
def _engine(name: str, address: str) -> Iterator[Node]:
    """Run an engine in a namespace; it ends with this process, if that is killed."""
    folder = Path(tempfile.mkdtemp(prefix="gw-node-"))
    socket, log = folder / "socket", folder / "log"
    flags = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/run", "--pidfile", f"{folder}/pid"]
    # Not `ip netns exec`: it hides /sys/fs/cgroup.
    inside = ["setpriv", "--pdeathsig", "TERM", "nsenter", f"--net=/run/netns/{name}"]
    with log.open("wb") as output:
        command = [*inside, "dockerd", *flags, "--host", f"unix://{socket}", "--shutdown-timeout", "2"]
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        until(lambda: _listens(process, socket, log), what=f"the engine {name}")
        # It answers when it is ready.
        with contextlib.closing(docker.DockerClient(f"unix://{socket}")) as client:
            yield Node(name, address, folder, client)
    finally:
        process.terminate()
        process.wait(timeout=60)
        _sweep(folder)


def _listens(process: subprocess.Popen[bytes], socket: Path, log: Path) -> bool:
    assert process.poll() is None, log.read_text()[-2000:]
    return socket.exists()


def _sweep(folder: Path) -> None:
    """Remove a folder, and unmount what an engine left in it."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for point in sorted((one for one in mounted if one.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", point], check=True)
    shutil.rmtree(folder)


def _joined(manager: Node, worker: Node) -> None:
    manager.client.swarm.init(advertise_addr=manager.address, listen_addr=manager.address)
    token = manager.client.swarm.attrs["JoinTokens"]["Worker"]
    address = {"advertise_addr": worker.address, "listen_addr": worker.address}
    worker.client.swarm.join([f"{manager.address}:{_SWARM_PORT}"], token, **address)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """Give a Swarm of two engines, and a registry that both reach."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if os.geteuid() != 0:
        missing.append("root")
    if missing:
        pytest.skip(f"a second node needs {', '.join(missing)}")
    with contextlib.ExitStack() as stack:
        prefix = f"gwt{secrets.token_hex(3)}"
        try:
            here, first, second = stack.enter_context(_network(prefix))
        except OSError as error:
            pytest.skip(f"no network for a second node: {error}")
        running = stack.enter_context(running_registry(here))
        manager = stack.enter_context(_engine(f"{prefix}a", first))
        worker = stack.enter_context(_engine(f"{prefix}b", second))
        _joined(manager, worker)
        yield Nodes(manager, worker, running)
