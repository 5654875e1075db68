"""An engine behind ssh: a real sshd before the real engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from engines import swarm
from tests.docker.fix_docker import open_standin
from tests.docker.fix_gate import Rolled
from tests.docker.leftovers import left_by

if TYPE_CHECKING:
    import docker

    from tests.docker.fix_ssh import Away

pytestmark = pytest.mark.docker


@pytest.fixture
def by_ssh(away: Away, monkeypatch: pytest.MonkeyPatch) -> Away:
    """Let this process find the ssh that knows the key."""
    monkeypatch.setenv("PATH", away.path)
    return away


def test_a_service_is_seen_and_rolled_back(
    engine: docker.DockerClient, base_image: str, prefix: str, by_ssh: Away
) -> None:
    """What is read and what is done is the same as without ssh."""
    rolled = Rolled(engine.api, base_image, f"{prefix}-gate")
    service = replace(rolled.service, endpoint=by_ssh.endpoint, release="v2")
    rolled.create("v1")
    rolled.update("v2")
    before = rolled.arrived()
    seen = swarm.settle(service, 60)
    began = swarm.go_back(service, "v1")

    assert (seen.release, seen.previous, seen.tasks.running) == (before.release, before.previous, 1)
    assert began
    assert rolled.arrived().release == "v1"


def test_an_engine_may_have_its_socket_elsewhere(
    engine: docker.DockerClient, base_image: str, prefix: str, by_ssh: Away
) -> None:
    """The path of the address is that of the socket over there."""
    rolled = Rolled(engine.api, base_image, f"{prefix}-gate")
    rolled.create("v1")
    with pytest.raises(swarm.SwarmError, match=r"unix:///nowhere"):
        swarm.look(replace(rolled.service, endpoint=f"{by_ssh.endpoint}/nowhere"))

    there = f"{by_ssh.endpoint}/var/run/docker.sock"
    assert swarm.look(replace(rolled.service, endpoint=there)).release == "v1"


def test_an_unknown_host_is_refused(by_ssh: Away) -> None:
    """Nobody is asked whether it is the right one: the update ends, with ssh's own words."""
    known = by_ssh.folder / "known"
    kept = known.read_text()
    known.write_text("")
    with pytest.raises(swarm.SwarmError) as caught:
        swarm.look(swarm.Service(by_ssh.endpoint, "app"))
    known.write_text(kept)

    assert "Host key verification failed" in str(caught.value)
    assert by_ssh.endpoint in str(caught.value)


@pytest.mark.engine
def test_a_program_on_an_engine_behind_ssh(
    engine: docker.DockerClient, base_image: str, prefix: str, by_ssh: Away
) -> None:
    """All is made there, images too; a second update changes nothing, and a destroy leaves nothing."""
    program = open_standin(prefix, base_image)
    program.set("host", by_ssh.endpoint)
    program.up()
    made = left_by(engine, prefix)
    program.up()
    again = program.changed()
    program.stack.destroy()

    assert f"service {prefix}-web" in made
    assert again == {}
    assert left_by(engine, prefix) == []
