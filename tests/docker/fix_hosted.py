"""A small program on the product's own Swarm host, with images by way of a registry."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pulumi import automation as auto

from engines import ports
from tests.docker.fix_docker import FOLDER, new_prefix, with_plugin
from tests.fix_program import ROOT, Program, environment, open_stack, scratch
from tests.polling import until
from tests.up.fix_local import exported, resource

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
        docker: the engine's client.
        said: what updates printed, errors included.
    """

    prefix: str = field(kw_only=True)
    docker: docker.DockerClient = field(kw_only=True)
    said: list[str] = field(default_factory=list)

    def configure(self, path: str, value: str) -> None:
        """Set one config value."""
        self.stack.set_config(f"gwt:{path}", auto.ConfigValue(value))

    def login(self, username: str, password: str) -> None:
        """Set who pushes and pulls."""
        self.configure("username", username)
        self.stack.set_config("gwt:password", auto.ConfigValue(password, secret=True))

    def up(self, **options: Any) -> auto.UpResult:
        """Run `pulumi up --diff`, and keep what it prints."""
        self.events = []
        return self.stack.up(on_event=self.events.append, on_output=self.said.append, diff=True, **options)

    def change(self) -> None:
        """Give the image other code."""
        file = self.folder / "image" / "answer.py"
        file.write_text(f"{file.read_text()}# {secrets.token_hex(4)}\n")

    @contextlib.contextmanager
    def other_code(self) -> Iterator[None]:
        """Give the image other code for a while."""
        file = self.folder / "image" / "answer.py"
        text = file.read_text()
        self.change()
        try:
            yield
        finally:
            file.write_text(text)

    def get(self, path: str) -> str:
        """Read one config value."""
        return self.stack.get_config(f"gwt:{path}").value

    def output(self, name: str, key: str) -> Any:
        """Read one output of a resource."""
        return resource(exported(self), name)["outputs"][key]

    def live(self) -> dict[str, Any]:
        """Read what the engine has as the service."""
        return dict(self.docker.services.get(f"{self.prefix}-app").attrs)

    def image(self) -> str:
        """Name the image that the service runs."""
        return str(self.live()["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"])

    def tasks(self) -> set[str]:
        """Name the tasks that run."""
        found = self.docker.services.get(f"{self.prefix}-app").tasks({"desired-state": "running"})
        return {one["ID"] for one in found if one["Status"]["State"] == "running"}

    def scale(self, replicas: int) -> None:
        """Have so many tasks, and wait for them and for the end of others; the login stays the service's."""
        before, live = self.tasks(), self.live()
        live["Spec"]["Mode"]["Replicated"]["Replicas"] = replicas
        # The SDK's own call would write the other parts anew, and so exchange the tasks.
        api, version = self.docker.api, {"version": live["Version"]["Index"]}
        path = f"{api.base_url}/v{api.api_version}/services/{live['ID']}/update"
        api.post(path, json=live["Spec"], params=version).raise_for_status()
        until(lambda: len(self.tasks()) == replicas, what=f"{replicas} tasks")
        gone = before - self.tasks()
        until(lambda: not any(self._containers(one) for one in gone), what="containers to go")

    def _containers(self, task: str) -> list[Any]:
        label = f"com.docker.swarm.task.id={task}"
        return list(self.docker.containers.list(all=True, filters={"label": label}))

    def answers(self) -> bool:
        """Ask through the proxy, until it has found the container."""
        return until(lambda: httpx.get(self.outputs()["url"]).is_success, what="an answer")

    def kept(self) -> list[str]:
        """Read all files that are kept for the stack."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return [path.read_text(errors="replace") for path in files]


def open_hosted(
    engine: docker.DockerClient, prefix: str, base: str, registry: Registry, logged_in: Path
) -> Hosted:
    """Copy the program and what it takes of the product, and create its stack.

    Args:
        engine: where it runs, this machine's unless the stack is told another.
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
    made = Hosted(folder, stack, env, prefix=prefix, docker=engine)
    made.configure("base", base)
    made.configure("port", str(ports.free_port()))
    made.configure("registry", f"{registry.address}/hosted")
    made.login(registry.user, registry.password)
    stack.set_config("gwt:token", auto.ConfigValue(f"CANARY-{secrets.token_hex(8)}", secret=True))
    return made


@pytest.fixture(scope="module")
def hosted(
    engine: docker.DockerClient, base_image: str, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hosted]:
    """Give a stack that is up, shared by a module; each test leaves it up, with the login that holds."""
    with new_prefix(engine) as prefix:
        made = open_hosted(engine, prefix, base_image, registry, tmp_path_factory.mktemp("logged-in"))
        made.up()
        # It goes with its prefix: quicker than by `pulumi destroy`, which other tests prove.
        yield made
