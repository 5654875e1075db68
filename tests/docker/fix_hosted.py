"""A small program on the product's own Swarm host, with images by way of a registry."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from pulumi import automation as auto

from engines import ports
from tests.docker.fix_docker import FOLDER, new_prefix, with_plugin
from tests.fix_program import ROOT, Program, environment, open_stack, scratch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import docker

    from tests.docker.fix_registry import Registry

# What the program takes of the product.
_PARTS = ("components", "engines", "providers", "settings")


@dataclass
class Hosted(Program):
    """A stack of tests/docker/hosted; config names are its own.

    Attributes:
        prefix: what the names of all that is on the engine begin with.
        said: what updates printed, errors included.
    """

    prefix: str = field(kw_only=True)
    said: list[str] = field(default_factory=list)

    def set(self, path: str, value: str) -> None:
        """Set one config value."""
        self.stack.set_config(f"gwt:{path}", auto.ConfigValue(value))

    def login(self, username: str, password: str) -> None:
        """Set who pushes and pulls."""
        self.set("username", username)
        self.stack.set_config("gwt:password", auto.ConfigValue(password, secret=True))

    def up(self, **options: Any) -> auto.UpResult:
        """Run `pulumi up --diff`, and keep what it prints."""
        self.events = []
        return self.stack.up(on_event=self.events.append, on_output=self.said.append, diff=True, **options)

    def change(self) -> None:
        """Give the image other code."""
        file = self.folder / "image" / "answer.py"
        file.write_text(f"{file.read_text()}# {secrets.token_hex(4)}\n")


def open_hosted(prefix: str, base: str, registry: Registry, logged_in: Path) -> Hosted:
    """Copy the program and what it takes of the product, and create its stack.

    Args:
        prefix: `gwt-` and what is to be the stack's name.
        base: what its image is built on; the proxy's image, too.
        registry: where images go; the stack has its login.
        logged_in: folder of what `docker login` wrote.
    """
    folder = scratch()
    shutil.copytree(FOLDER / "hosted", folder)
    shutil.copytree(FOLDER / "standin" / "image", folder / "image")
    for part in _PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".local" / "state").mkdir(parents=True)
    env = with_plugin(environment(folder, f"file://{folder / '.local' / 'state'}"))
    env["DOCKER_CONFIG"] = str(logged_in)
    stack = open_stack(folder, prefix.removeprefix("gwt-"), env)
    made = Hosted(folder, stack, env, prefix=prefix)
    made.set("base", base)
    made.set("port", str(ports.free_port()))
    made.set("registry", f"{registry.address}/hosted")
    made.login(registry.user, registry.password)
    stack.set_config("gwt:token", auto.ConfigValue(f"CANARY-{secrets.token_hex(8)}", secret=True))
    return made


@pytest.fixture(scope="module")
def hosted(
    engine: docker.DockerClient, base_image: str, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hosted]:
    """Give a stack that is up, shared by a module; each test leaves it up, with the login that holds."""
    with new_prefix(engine) as prefix:
        made = open_hosted(prefix, base_image, registry, tmp_path_factory.mktemp("logged-in"))
        made.up()
        yield made
        made.clean()
