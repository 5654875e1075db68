"""An image registry of the tests' own, with TLS and a login; its program is Debian's `docker-registry`.

Without the program or without root the tests that need it are skipped, with the reason.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import shutil
import ssl
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import httpx
import pytest
import yaml

from engines import ports
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where an engine looks for a registry's authorities, at each request anew (docs.docker.com, "Verify
# repository client with certificates").
_CERTIFICATES = Path("/etc/docker/certs.d")
_USER = "pusher"
# bcrypt is the only kind that the registry takes; the cheapest, for its passwords live as long as a test.
_SALT = "$2y$04$"
_WRITES = {"POST", "PUT", "PATCH"}


@dataclass
class Registry:
    """A running registry.

    Attributes:
        folder: its configuration, log and storage.
        address: host and port.
        user: who may push and pull.
        password: of that one; a canary, looked for in everything that is kept.
    """

    folder: Path
    address: str
    user: str = _USER
    password: str = ""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def login(self) -> dict[str, str]:
        """The login as Pulumi's resources take it."""
        return {"username": self.user, "password": self.password}

    def rotate(self) -> str:
        """Take another password in place of the one before, and give it; it holds at once."""
        self.password = f"CANARY-registry-{secrets.token_hex(8)}"
        entry = f"{self.user}:{_bcrypt(self.password)}\n"
        fresh = self.folder / "htpasswd.new"
        fresh.write_text(entry)
        fresh.replace(self.folder / "htpasswd")
        return self.password

    def start(self) -> None:
        """Serve, and wait until it answers."""
        assert self._process is None
        with self._log.open("ab") as log:
            # It ends with this process, if that is killed.
            command = ["setpriv", "--pdeathsig", "TERM", "docker-registry", "serve"]
            command.append(str(self.folder / "config.yml"))
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._answers, what="the registry")

    def stop(self) -> None:
        """End it; what it stores stays."""
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=30)
        self._process = None

    def requests(self, *, written: bool) -> list[dict[str, Any]]:
        """List the requests that were answered well: those that write, or the others."""
        lines = (line for line in self._log.read_text().splitlines() if line.startswith("{"))
        told = [one for one in map(json.loads, lines) if one.get("http.response.status", 500) < 400]
        return [one for one in told if (one["http.request.method"] in _WRITES) is written]

    def manifest(self, name: str, digest: str) -> dict[str, Any]:
        """Read what the registry has under a name and a digest."""
        path = name.removeprefix(f"{self.address}/")
        kind = {"accept": "application/vnd.docker.distribution.manifest.v2+json"}
        return dict(self._get(f"{path}/manifests/{digest}", kind).raise_for_status().json())

    def pulled(self, by: str = "") -> set[str]:
        """Name the manifests that were read, by their digest; with a host in `by`, those that it read."""
        told = self.requests(written=False)
        paths = [one["http.request.uri"] for one in told if one["http.request.remoteaddr"].startswith(by)]
        return {path.rpartition("/")[2] for path in paths if "/manifests/sha256:" in path}

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        with contextlib.suppress(httpx.TransportError):
            return self._get("").is_success
        return False

    def _get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        trust = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        login, url = (self.user, self.password), f"https://{self.address}/v2/{path}"
        return httpx.get(url, auth=login, headers=headers, verify=trust)


def _bcrypt(password: str) -> str:
    """Hash a password as htpasswd does; by the C library, for Python has no function for it from 3.13 on."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    salt = _SALT + secrets.token_hex(11)
    return str(library.crypt(password.encode(), salt.encode()).decode())


def _make(folder: Path, address: str) -> Registry:
    made = Registry(folder, address)
    made.rotate()
    host = address.partition(":")[0]
    subject = ["-subj", "/CN=groundwork-test", "-addext", f"subjectAltName=IP:{host}"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "ca.crt")]
    subprocess.run(["openssl", "req", "-x509", *key, *subject, *files], check=True, capture_output=True)
    config = {
        "version": "0.1",
        "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {
            "addr": address,
            "secret": secrets.token_hex(16),
            "tls": {"certificate": str(folder / "ca.crt"), "key": str(folder / "key.pem")},
        },
        "auth": {"htpasswd": {"realm": "groundwork-test", "path": str(folder / "htpasswd")}},
    }
    (folder / "config.yml").write_text(yaml.safe_dump(config))
    return made


@contextlib.contextmanager
def trusted(registry: Registry) -> Iterator[None]:
    """Let this machine's engine trust the registry's certificate, without a restart."""
    folder = _CERTIFICATES / registry.address
    folder.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(registry.folder / "ca.crt", folder / "ca.crt")
        yield
    finally:
        shutil.rmtree(folder)


def forget(client: docker.DockerClient, address: str) -> None:
    """Remove an engine's images of a registry."""
    for image in client.images.list():
        for name in [*image.tags, *image.attrs["RepoDigests"]]:
            if name.startswith(f"{address}/"):
                with contextlib.suppress(docker.errors.ImageNotFound):
                    client.images.remove(name, force=True)


@contextlib.contextmanager
def running_registry(host: str) -> Iterator[Registry]:
    """Run a registry that this machine's engines trust, at one of its addresses."""
    if shutil.which("docker-registry") is None:
        pytest.skip("the registry needs Debian's package docker-registry")
    if os.geteuid() != 0:
        pytest.skip(f"only root may let the engine trust a registry, in {_CERTIFICATES}")
    folder = Path(tempfile.mkdtemp(prefix="gw-registry-"))
    made = _make(folder, f"{host}:{ports.free_port()}")
    try:
        made.start()
        with trusted(made):
            yield made
    finally:
        made.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def registry(engine: docker.DockerClient, machine_address: str) -> Iterator[Registry]:
    """Give a registry at an address that is not the loopback's: for that one engines ask no certificate."""
    with running_registry(machine_address) as running:
        yield running
        forget(engine, running.address)
