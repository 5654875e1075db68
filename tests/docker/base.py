"""The base image of all tests: a small Debian with Python and HAProxy, made on this machine.

No image registry is needed: packages come from Debian's mirror through `debootstrap`. The image is made once
a machine and kept; delete the image `groundwork-test/python` to have it made anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import docker

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = "groundwork-test/python:bookworm"
PACKAGES = "python3,python3-venv,python-is-python3,ca-certificates,haproxy"
# What this machine trusts, and how its pip is told to reach an index: builds need both.
_MACHINE = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pip.conf"))
_NEEDLESS = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/lib/apt/lists", "var/cache/apt")


def ensure(client: docker.DockerClient) -> str:
    """Give the image's name; made if the engine has none. One process makes it, others wait.

    Raises:
        FileNotFoundError: there is no debootstrap.
        subprocess.CalledProcessError: it failed, as without root or network; its output tells why.
    """
    with alone():
        try:
            client.images.get(BASE)
        except docker.errors.ImageNotFound:
            _make(client)
    return BASE


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Prepare the engine while no other process of this machine's tests does."""
    with (Path(tempfile.gettempdir()) / "groundwork-test-base.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(client: docker.DockerClient) -> None:
    # Not below a folder that pytest empties, and whole or not at all: it is imported as one archive.
    folder = Path(tempfile.mkdtemp(prefix="gw-base-"))
    try:
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(folder)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        _trim(folder)
        _import(client, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _trim(folder: Path) -> None:
    for name in _NEEDLESS:
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    for file in _MACHINE:
        if file.exists():
            shutil.copyfile(file, folder / file.relative_to("/"))


def _import(client: docker.DockerClient, folder: Path) -> None:
    archive = ["tar", "-C", str(folder), "-c", "."]
    with subprocess.Popen(archive, stdout=subprocess.PIPE) as packing:
        stream = packing.stdout
        assert stream is not None
        repository, tag = BASE.split(":")
        blocks: Iterator[bytes] = iter(lambda: stream.read(2**20), b"")
        client.api.import_image_from_stream(blocks, repository=repository, tag=tag)
