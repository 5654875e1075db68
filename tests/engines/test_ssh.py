"""What is run to reach an engine behind ssh, and what is said when that fails."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from requests.exceptions import RequestException

from engines import ports, ssh, swarm

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("endpoint", "command"),
    [
        ("ssh://host", "ssh host docker"),
        ("ssh://deploy@host.example.com/", "ssh -l deploy host.example.com docker"),
        ("ssh://deploy@host:2222", "ssh -l deploy -p 2222 host docker"),
        ("ssh://host/run/user/1000/docker.sock", "ssh host docker --host unix:///run/user/1000/docker.sock"),
        ("ssh://host/$(id)", "ssh host docker --host 'unix:///$(id)'"),
    ],
)
def test_command(endpoint: str, command: str) -> None:
    """User and port are options, as ssh takes them; the engine's socket is one of docker's."""
    assert " ".join(ssh.command_for(endpoint)) == command


@pytest.mark.parametrize(
    "endpoint",
    [
        "ssh://",
        "http://host",
        "ssh://-oProxyCommand=x",
        "ssh://me:secret@host",
        "ssh://host:port",
        "ssh://-x@host",
    ],
)
def test_what_is_no_address_is_refused(endpoint: str) -> None:
    """An option in place of a host or a user, a password, or no host at all: ssh is not started."""
    with pytest.raises(ValueError, match=r"ssh://USER@HOST|[Pp]ort"):
        ssh.command_for(endpoint)


def test_a_password_in_an_address_is_not_said() -> None:
    """It would be in the logs of the update."""
    with pytest.raises(ValueError, match="without a password") as caught:
        ssh.command_for("ssh://me:CANARY@host")

    assert "CANARY" not in str(caught.value)


def test_nobody_listens() -> None:
    """The error has ssh's words and the command to try."""
    if shutil.which("ssh") is None:
        pytest.skip("no ssh")
    port = ports.free_port()
    with pytest.raises(swarm.SwarmError) as caught:
        swarm.look(swarm.Service(f"ssh://me@127.0.0.1:{port}", "app"))

    assert "Connection refused" in str(caught.value)
    assert f"`ssh -l me -p {port} 127.0.0.1 docker version` must work" in str(caught.value)


def test_there_is_no_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the program that is missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(swarm.SwarmError, match="ssh cannot be started"):
        swarm.look(swarm.Service("ssh://me@host", "app"))


def test_who_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection's process is ended too."""
    program = tmp_path / "ssh"
    program.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(1000)\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(RequestException):
        ssh.connect("ssh://me@host", 0.5)

    # The only child that was started by this name, and it was waited for.
    listed = subprocess.run(["ps", "axww", "-o", "args="], capture_output=True, text=True, check=True)
    assert str(program) not in listed.stdout
