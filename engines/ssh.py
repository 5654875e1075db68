"""The Docker engine of another machine, reached through ssh as Docker's own client reaches it.

One `ssh HOST docker system dial-stdio` is one connection. The program `ssh` does it, so that the user's
~/.ssh/config, agent, jump hosts and known hosts count, as they do for Pulumi's Docker provider. The SDK's own
way (`use_ssh_client`) needs paramiko all the same, waits without a limit, and keeps to itself what ssh says.

Source: docs.docker.com, "Protect the Docker daemon socket", "Use SSH"; ssh_config(5).
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from http.client import HTTPException
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import docker
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests import PreparedRequest

# Never a question, which nobody would see; never longer than this for a host that is away.
_OPTIONS = ("BatchMode=yes", "ConnectTimeout=20", "ServerAliveInterval=15", "ServerAliveCountMax=2")
_SSH = ("ssh", *(word for option in _OPTIONS for word in ("-o", option)))
_DIAL = ("system", "dial-stdio")
# Stands in the requests' Host header only.
_URL = "http://localhost:2375"
# Any engine from 20.10 on takes it for the one request that asks which it speaks.
_FIRST_VERSION = "1.41"
_TO_END_S = 3
_LONGEST_TEXT = 200


def connect(endpoint: str, timeout_s: float) -> docker.APIClient:
    """Give a client of an engine.

    Args:
        endpoint: ssh://[USER@]HOST[:PORT][/PATH]; the path is that of the engine's socket over there.
        timeout_s: how long one answer may take, in seconds.

    Raises:
        ValueError: the endpoint is not such an address.
        requests.exceptions.RequestException: no engine answers; the text ends with what ssh says.
    """
    command = command_for(endpoint)
    with _client(command, _FIRST_VERSION, timeout_s) as asking:
        version = asking.version(api_version=False)["ApiVersion"]
    return _client(command, version, timeout_s)


def command_for(endpoint: str) -> tuple[str, ...]:
    """Give the command that runs what comes behind it on the engine's machine: `docker`, told its socket.

    Raises:
        ValueError: the endpoint is not ssh://[USER@]HOST[:PORT][/PATH].
    """
    parts = urlsplit(endpoint)
    # A name that begins with a dash would be an option of ssh.
    host, name = parts.hostname or "-", parts.username or ""
    if parts.scheme != "ssh" or parts.password or host.startswith("-") or name.startswith("-"):
        # Not quoted: a password may be in it.
        raise ValueError("the address is not ssh://USER@HOST or ssh://USER@HOST:PORT, without a password")
    user = ["-l", name] if name else []
    port = ["-p", str(parts.port)] if parts.port else []
    # The shell over there takes it apart again.
    path = parts.path.rstrip("/")
    socket_there = ["--host", shlex.quote(f"unix://{path}")] if path else []
    return ("ssh", *user, *port, host, "docker", *socket_there)


def _client(command: tuple[str, ...], version: str, timeout_s: float) -> docker.APIClient:
    client = docker.APIClient(base_url=_URL, version=version, timeout=timeout_s)
    client.mount(_URL, _Adapter(command, timeout_s))
    return client


class _Connection(HTTPConnection):
    """HTTP over the standard input and output of a command."""

    def __init__(self, command: tuple[str, ...], timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None
        self._last_words = ""

    def connect(self) -> None:
        """Start the command.

        Raises:
            ConnectionError: it cannot be started.
        """
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(self.timeout)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the connection
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [*_SSH, *self._command[1:], *_DIAL],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=self._said,
                    start_new_session=True,
                )
            except OSError as error:
                raise ConnectionError(f"ssh cannot be started: {error}") from error

    def request(self, *args: Any, **options: Any) -> None:
        with self._reasons():
            super().request(*args, **options)

    def getresponse(self) -> Any:
        with self._reasons():
            return super().getresponse()

    @contextmanager
    def _reasons(self) -> Iterator[None]:
        """Say what ssh, or the command over there, said before it ended."""
        try:
            yield
        except (ConnectionError, HTTPException) as error:
            self.close()
            said = self._last_words or str(error).strip()
            raise ConnectionError(f"{said} (`{' '.join(self._command)} version` must work)") from error

    def close(self) -> None:
        super().close()
        if self._process is not None:
            _end(self._process)
            self._process = None
        if self._said is not None:
            with self._said as said:
                said.seek(0)
                self._last_words = said.read().decode(errors="replace").strip()[-_LONGEST_TEXT:]
            self._said = None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for its end: it ends by itself when its input does, and only one that hangs is told to."""
    try:
        process.wait(_TO_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _Pool(urllib3.HTTPConnectionPool):
    def __init__(self, command: tuple[str, ...], timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._command, self._timeout_s = command, timeout_s

    def _new_conn(self) -> _Connection:
        return _Connection(self._command, self._timeout_s)


class _Adapter(HTTPAdapter):
    def __init__(self, command: tuple[str, ...], timeout_s: float) -> None:
        super().__init__()
        self._pool = _Pool(command, timeout_s)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> _Pool:
        return self._pool

    def request_url(self, request: PreparedRequest, _proxies: Any) -> str:
        """Give the path alone: an HTTP proxy of the environment has no part in it."""
        return request.path_url

    def close(self) -> None:
        self._pool.close()
        super().close()
