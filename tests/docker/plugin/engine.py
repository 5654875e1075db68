"""Calls of the Docker Engine API (docs.docker.com/reference/api/engine), as JSON."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any, cast

import docker
from requests.exceptions import RequestException

from engines import ssh
from tests.docker.plugin.logins import Logins

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HTTP_NOT_FOUND = 404
# What is in use is asked again in this rhythm.
INTERVAL_S = 0.2
# So long one answer may take; a build says nothing while a step of it runs.
PATIENCE_S = 300.0
# So long something in use is waited for: its last user may be on its way out.
IN_USE_PATIENCE_S = 30.0


class DockerError(Exception):
    """The engine refused, or what was asked for did not come about; the text is for the user.

    Attributes:
        status: the HTTP status, 0 when there is none.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        """Keep the status beside the text."""
        super().__init__(message)
        self.status = status


class Engine:
    """One Docker engine; usable by several threads at once.

    Attributes:
        logins: what it gives to its nodes that pull.
    """

    def __init__(self, host: str | None = None, logins: Logins | None = None) -> None:
        """Take an address (`unix://`, `tcp://`, `ssh://`); None: DOCKER_HOST, else the usual socket."""
        self._host = host or os.environ.get("DOCKER_HOST")
        self.logins = logins or Logins()
        self._thread = threading.local()

    @property
    def client(self) -> docker.APIClient:
        """The SDK's client of this thread: its connections are not made to be shared.

        Raises:
            DockerError: no engine answers at the address.
        """
        if not hasattr(self._thread, "client"):
            try:
                self._thread.client = _connect(self._host)
            except (docker.errors.DockerException, RequestException) as error:
                raise DockerError(f"no Docker engine answers: {error}") from error
        return self._thread.client

    def close(self) -> None:
        """End this thread's connections; the next call opens others."""
        if hasattr(self._thread, "client"):
            self._thread.client.close()
            del self._thread.client

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Any:
        """Call the API and give the decoded answer, None for an empty one.

        Args:
            method: the HTTP method.
            path: the path below the version, as `/services/create`.
            body: sent as JSON when given.
            headers: sent beside the usual ones.
            query: parameters; mappings (filters) are sent as JSON.

        Raises:
            DockerError: the engine answered with an error; the text is the engine's.
        """
        client = self.client
        params = {
            name: json.dumps(value) if isinstance(value, dict) else value for name, value in query.items()
        }
        url = f"{client.base_url}/v{client.api_version}{path}"
        answer = client.request(
            method, url, json=body, params=params, headers=headers, timeout=client.timeout
        )
        content = answer.json() if answer.content else None
        if not answer.ok:
            raise DockerError(str((content or {}).get("message", answer.reason)), answer.status_code)
        return content

    def find(self, path: str) -> dict[str, Any] | None:
        """Read one thing; None when there is none.

        Raises:
            DockerError: the engine answered with another error.
        """
        try:
            return cast("dict[str, Any]", self.call("GET", path))
        except DockerError as error:
            if error.status != HTTP_NOT_FOUND:
                raise
            return None

    def remove(self, path: str, what: str) -> None:
        """Delete one thing; what is gone already is fine, what is in use is waited for.

        Raises:
            DockerError: it is still in use after some time, or cannot be deleted.
        """
        refused = ""

        def is_gone() -> bool:
            nonlocal refused
            try:
                self.call("DELETE", path)
            except DockerError as error:
                refused = str(error)
                if error.status != HTTP_NOT_FOUND and not _in_use(refused):
                    raise
                return error.status == HTTP_NOT_FOUND
            return True

        patience_s = IN_USE_PATIENCE_S
        if not patiently(is_gone, patience_s):
            raise DockerError(f"{what} cannot be deleted, {patience_s:g} s long it was in use: {refused}")


def _connect(host: str | None) -> docker.APIClient:
    # The official plugin runs ssh as well.
    if host and host.startswith("ssh:"):
        return ssh.connect(host, PATIENCE_S)
    return docker.APIClient(base_url=host, version="auto", timeout=PATIENCE_S)


def _in_use(message: str) -> bool:
    return "in use" in message or "active endpoints" in message


def patiently(is_done: Callable[[], bool], timeout_s: float) -> bool:
    """Ask until the answer is true; False when it was not within `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not is_done():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(INTERVAL_S)
    return True
