"""A real sshd on the loopback interface, by which the tests' Docker engine is reached as one elsewhere is."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engines import ports
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator

_SERVER = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
"""
# What a user has in ~/.ssh; ssh takes the home folder from the list of users, whatever HOME says.
_CLIENT = """\
Host *
    IdentityFile {folder}/user
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {folder}/known
    GlobalKnownHostsFile none
"""


@dataclass(frozen=True)
class Away:
    """A machine that is reached by ssh.

    Attributes:
        endpoint: of its Docker engine.
        folder: has `bin/ssh`, which knows the key, and the file `known` of the hosts' keys.
    """

    endpoint: str
    folder: Path

    @property
    def path(self) -> str:
        """The environment's PATH with that ssh before all others."""
        return os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])


def _written(folder: Path, port: int) -> None:
    """Make the keys and the files of both sides."""
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "sshd_config").write_text(_SERVER.format(folder=folder, port=port))
    (folder / "ssh_config").write_text(_CLIENT.format(folder=folder))
    (folder / "bin").mkdir()
    program = folder / "bin" / "ssh"
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n')
    program.chmod(0o755)


@contextlib.contextmanager
def _serving(folder: Path, program: str, port: int) -> Iterator[None]:
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    try:
        until(lambda: process.poll() is not None or _listens(port), what="sshd")
        assert process.poll() is None, (folder / "log").read_text()
        yield
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Away]:
    """Give this machine as one that is reached by ssh; skipped without an sshd."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:" + os.environ["PATH"])
    if program is None or shutil.which("ssh") is None:
        pytest.skip("no sshd, or no ssh (Debian's openssh-server and openssh-client)")
    if os.geteuid() == 0:
        # Debian's start script makes it.
        Path("/run/sshd").mkdir(exist_ok=True)
    folder, port = tmp_path_factory.mktemp("ssh"), ports.free_port()
    _written(folder, port)
    with _serving(folder, program, port):
        yield Away(f"ssh://{getpass.getuser()}@127.0.0.1:{port}", folder)
