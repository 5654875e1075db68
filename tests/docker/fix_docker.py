"""A Docker engine with a Swarm for the tests that have the marker `docker`, and stacks on it.

Without an engine these tests are skipped, with the reason: docs/docker-tests.md says how to get one.
"""

from __future__ import annotations

import contextlib
import gc
import os
import secrets
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import pytest
from pulumi import automation as auto

from tests.docker import base, leftovers
from tests.fix_program import Program, environment, open_stack, scratch

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parent
# The network by which containers of a Swarm reach their machine (docs.docker.com, "Customize the
# docker_gwbridge").
_BRIDGE = "docker_gwbridge"
_BRIDGE_OPTIONS = {
    "com.docker.network.bridge.name": _BRIDGE,
    "com.docker.network.bridge.enable_icc": "false",
    "com.docker.network.bridge.enable_ip_masquerade": "true",
}


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """Give a client of this machine's Docker engine, which is part of a Swarm, made of one if it was none."""
    client, reason = _connect()
    drop_sockets()
    if client is None:
        pytest.skip(f"no Docker engine answers: {reason}")
    with contextlib.closing(client):
        with base.alone():
            if client.info()["Swarm"]["LocalNodeState"] != "active":
                client.swarm.init(advertise_addr="127.0.0.1")
        yield client


def _connect() -> tuple[docker.DockerClient | None, str]:
    try:
        return docker.from_env(), ""
    except docker.errors.DockerException as error:
        return None, str(error)


def drop_sockets() -> None:
    """Let go of the socket that the Docker SDK leaves open when nobody answers, without its warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session")
def base_image(engine: docker.DockerClient) -> str:
    """Give the name of an image with Python and HAProxy that is on the engine; made at the first use."""
    try:
        return base.ensure(engine)
    except FileNotFoundError:
        pytest.skip("the base image needs debootstrap")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"debootstrap failed: {error.stdout[-300:]}{error.stderr[-300:]}")


@pytest.fixture(scope="session")
def machine_address(engine: docker.DockerClient) -> str:
    """Give the address by which containers reach servers of this machine that listen on it."""
    with base.alone():
        return address_of_this_machine(engine)


def address_of_this_machine(engine: docker.DockerClient) -> str:
    """Give the machine's address on the network that a Swarm's containers share; made if it is missing."""
    try:
        bridge = engine.networks.get(_BRIDGE)
    except docker.errors.NotFound:
        # A Swarm makes it with its first service; made before, it is used.
        bridge = engine.networks.create(_BRIDGE, driver="bridge", options=_BRIDGE_OPTIONS)
        bridge.reload()
    return str(bridge.attrs["IPAM"]["Config"][0]["Gateway"])


@pytest.fixture
def prefix(engine: docker.DockerClient) -> Iterator[str]:
    """Give the start of names for one test; what has such a name is removed afterwards."""
    with new_prefix(engine) as made:
        yield made


@contextlib.contextmanager
def new_prefix(engine: docker.DockerClient) -> Iterator[str]:
    """Give the start of names, and remove what has such a name afterwards."""
    made = f"gwt-{secrets.token_hex(4)}"
    try:
        yield made
    finally:
        leftovers.remove(engine, made)


def with_plugin(env: dict[str, str]) -> dict[str, str]:
    """Give an environment in which the engine finds the Docker plugin's stand-in.

    The engine says at every run that it uses a plugin from PATH; that is meant to be.
    """
    return {**env, "PATH": os.pathsep.join([str(FOLDER / "plugin"), env["PATH"]])}


class Standin(Program):
    """A stack of tests/docker/standin; config names are its own."""

    def set(self, path: str, value: str) -> None:
        """Set one config value."""
        self.stack.set_config(f"standin:{path}", auto.ConfigValue(value))

    def unset(self, path: str) -> None:
        """Remove one config value."""
        self.stack.remove_config(f"standin:{path}")


def open_standin(prefix: str, image: str) -> Standin:
    """Copy the program and create its stack; `image` is what its own image is built from."""
    folder = scratch()
    shutil.copytree(FOLDER / "standin", folder)
    (folder / ".local" / "state").mkdir(parents=True)
    env = with_plugin(environment(folder, f"file://{folder / '.local' / 'state'}"))
    made = Standin(folder, open_stack(folder, "test", env), env)
    made.set("prefix", prefix)
    made.set("base", image)
    # A token of its own: it is looked for in everything that is kept.
    made.stack.set_config("standin:token", auto.ConfigValue(f"CANARY-{secrets.token_hex(8)}", secret=True))
    return made


@pytest.fixture
def own_standin(prefix: str, base_image: str) -> Standin:
    """Give a stack that is not up yet, for one test."""
    return open_standin(prefix, base_image)


@pytest.fixture(scope="module")
def standin(engine: docker.DockerClient, base_image: str) -> Iterator[Standin]:
    """Give a stack that is up, shared by a module; each test leaves it up, whatever it changed in it."""
    with new_prefix(engine) as made_prefix:
        made = open_standin(made_prefix, base_image)
        made.up()
        yield made


def on_docker(program: Program) -> Program:
    """Open the stack of a program anew, so that its engine finds the Docker plugin's stand-in."""
    env = with_plugin(program.env)
    return Program(program.folder, open_stack(program.folder, program.stack.name, env), env)
