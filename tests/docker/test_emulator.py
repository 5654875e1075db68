"""The stand-in for Supabase's cloud, as containers reach it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fix_emulator import running_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

    from tests.fix_emulator import Emulator

pytestmark = pytest.mark.docker
# Opens a session as any client does (protocol 3.0, StartupMessage) and prints the kind of the first answer:
# R asks for a password, E would be the refusal of a client from this address.
KNOCK = """
import socket, struct, sys
body = struct.pack("!i", 196608) + b"user\\0postgres\\0database\\0postgres\\0\\0"
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30) as line:
    line.sendall(struct.pack("!i", len(body) + 4) + body)
    print(line.recv(1).decode())
"""
ASK = """
import sys, urllib.request as r
asked = r.Request(sys.argv[1], headers={"authorization": f"Bearer {sys.argv[2]}"})
print(r.urlopen(asked, timeout=30).status)
"""


@pytest.fixture(scope="module")
def reachable(machine_address: str) -> Iterator[Emulator]:
    """Run an emulator at the address by which containers reach this machine."""
    with running_emulator("--host", machine_address) as running:
        yield running


def test_api_and_database_are_reached_from_a_container(
    reachable: Emulator, engine: docker.DockerClient, base_image: str, prefix: str
) -> None:
    """At the announced addresses the API answers a container, and the database asks it for a password."""
    project = reachable.create("reached")
    pooler = reachable.client.get(f"{project.path}/config/database/pooler").json()[0]
    database = ["python", "-c", KNOCK, pooler["db_host"], str(pooler["db_port"])]
    api = ["python", "-c", ASK, reachable.api_url + project.path, reachable.token]
    knocked = engine.containers.run(base_image, database, name=f"{prefix}-db", remove=True)
    asked = engine.containers.run(base_image, api, name=f"{prefix}-api", remove=True)

    assert knocked == b"R\n"
    assert asked == b"200\n"
