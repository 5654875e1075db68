"""Logins of image registries: who may push, and what Swarm gives to the nodes that pull.

Which login is taken, and what a missing one means, is written after image.go of Pulumi's plugin and
provider.go of terraform-provider-docker, which is inside it.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker

from tests.docker.plugin.shapes import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER = "X-Registry-Auth"


@dataclass(frozen=True)
class Login:
    """A name and a password at a registry; empty ones where none are needed.

    Attributes:
        server: the registry's host, with its port.
        username: who pushes or pulls.
        password: of that one; in no representation.
    """

    server: str = ""
    username: str = ""
    password: str = field(default="", repr=False)

    @property
    def fields(self) -> dict[str, str]:
        """The login as the Engine API's AuthConfig."""
        given = {"serveraddress": self.server, "username": self.username, "password": self.password}
        return {name: value for name, value in given.items() if value}

    @property
    def headers(self) -> dict[str, str]:
        """The header by which the Engine API takes it."""
        return {HEADER: base64.urlsafe_b64encode(json.dumps(self.fields).encode()).decode()}


@dataclass(frozen=True)
class Logins:
    """The logins of a provider, by the host of the registry."""

    by_host: Mapping[str, Login] = field(default_factory=dict)

    def of(self, image: str) -> Login:
        """Give the login for an image by the first part of its name, as it is written; none: an empty one."""
        return self.by_host.get(host_of(image), Login())


def given_for(image: str, registry: Mapping[str, str]) -> Login:
    """Give who pushes: whom the resource names; without name or password, as whom `docker login` was done."""
    server = host_of(registry.get("server") or image)
    username, password = registry.get("username"), registry.get("password")
    return Login(server, username, password) if username and password else _of_this_machine(server)


def of_provider(entries: Any) -> Logins:
    """Read a provider's `registryAuth`.

    Raises:
        FileNotFoundError: an entry has no name, and there is no file of `docker login`.
    """
    if entries == UNKNOWN:
        return Logins()
    return Logins({host_of(one["address"]): _of_entry(host_of(one["address"]), one) for one in entries})


def _of_entry(server: str, entry: Mapping[str, str]) -> Login:
    if entry.get("username"):
        return Login(server, entry["username"], entry.get("password", ""))
    if not _file().is_file():
        raise FileNotFoundError(f"registryAuth of {server}: could not open config file {_file()}")
    return _of_this_machine(server)


def _of_this_machine(server: str) -> Login:
    """Read what `docker login` wrote."""
    if not _file().is_file():
        return Login(server)
    found = docker.auth.load_config(str(_file())).resolve_authconfig(server) or {}
    # A credential store writes names with large letters.
    lower = {name.lower(): text for name, text in found.items()}
    return Login(server, lower.get("username", ""), lower.get("password", ""))


def _file() -> Path:
    folder = os.environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def host_of(text: str) -> str:
    """Give the host of an address or of an image's name, with its port."""
    return text.removeprefix("https://").removeprefix("http://").partition("/")[0]
