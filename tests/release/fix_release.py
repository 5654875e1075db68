"""The whole product on a real Docker engine, a Swarm of one, with the staging file and an emulated cloud."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from pulumi import automation as auto

from engines import ports
from tests import load
from tests.docker import leftovers
from tests.docker.fix_docker import with_plugin
from tests.fix_emulator import Emulator, running_emulator
from tests.fix_program import Program, copy_program, environment, open_stack, scratch
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import docker

# Planted as every secret that a user gives; what Groundwork makes itself is read from the state.
CANARY = "CANARY-release-7c1d"
GIVEN = ("ai_api_key", "mail_api_key", "billing_webhook_secret")


def given_value(name: str, version: int) -> str:
    """Give what a test plants as a secret from outside."""
    return f"{CANARY}-{name}-{version}"


MACHINE: dict[str, Any] = {
    # A real model is out of reach; everything else is as on staging.
    "agent": {"ai_provider": "echo"},
    "app": {"demo_accounts": True},
    "cron": {"run-jobs": {"schedule": "* * * * *", "path": "/jobs/run", "body": {"limit": 5}}},
    "health": {"timeout": "3min", "window": "2s"},
    # A test retires what it used a moment ago.
    "secrets": {"retire_after": "2s"},
}


@dataclass
class Release(Program):
    """The product on its Swarm.

    Attributes:
        docker: the engine's client.
        emulator: the stand-in for the cloud.
        said: what updates printed, errors included.
    """

    docker: docker.DockerClient = field(kw_only=True)
    emulator: Emulator = field(kw_only=True)
    said: list[str] = field(default_factory=list)

    def up(self, **options: Any) -> auto.UpResult:
        """Run `pulumi up --diff`, and keep what it prints."""
        self.events = []
        return self.stack.up(on_event=self.events.append, on_output=self.said.append, diff=True, **options)

    @property
    def prefix(self) -> str:
        """What the names of all that is on the engine begin with."""
        return f"groundwork-{self.stack.name}"

    @property
    def probe(self) -> str:
        """The address of one request through everything."""
        return f"{self.outputs()['app_url']}/api/probe"

    def health(self, service: str) -> dict[str, Any]:
        """Ask one of a service's replicas how it is."""
        path = {"app": "/api/health", "agent": "/health"}[service]
        return dict(httpx.get(f"{self.outputs()[f'{service}_url']}{path}", timeout=30).json())

    def containers(self, service: str) -> list[Any]:
        """List a service's running containers."""
        label = f"com.docker.swarm.service.name={self.prefix}-{service}"
        return list(self.docker.containers.list(filters={"label": label, "status": "running"}))

    def live(self, service: str) -> dict[str, Any]:
        """Read what the engine has as the service's specification and state."""
        return dict(self.docker.services.get(f"{self.prefix}-{service}").attrs)

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Run SQL as the database's owner."""
        path = f"/v1/projects/{self.outputs()['supabase_ref']}/database/query"
        answer = self.emulator.client.post(path, json={"query": query}).raise_for_status()
        return list(answer.json())

    def edit(self, file: str, old: str, new: str) -> None:
        """Change a file of the program; what is to be replaced must be there."""
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new, 1))

    def give(self, name: str, version: int) -> None:
        """Set a secret from outside, of which each version has a value of its own."""
        value = auto.ConfigValue(given_value(name, version), secret=True)
        self.stack.set_config(f"groundwork:secrets.{name}.value", value, path=True)
        self.set(f"secrets.{name}.version", str(version))

    @contextlib.contextmanager
    def under_load(self, rate: int = 25) -> Iterator[load.Load]:
        """Ask for everything `rate` times a second; in the end each request must have been answered."""
        with load.running(self.probe, rate) as running:
            until(running.shots, what="a first answer")
            yield running
            running.stop()
            failed = [shot for shot in running.shots() if not shot.is_ok]
        assert not failed, f"{len(failed)} failed, such as {failed[:5]}"


def _configure(file: Path, target: Path, api_url: str, image: str) -> None:
    """Write a stack file: staging's, with this machine in place of what it names elsewhere."""
    config = yaml.safe_load(file.read_text())["config"]
    app = ports.free_port()
    agent = ports.free_port(app + 1)
    config.update({f"groundwork:{key}": value for key, value in MACHINE.items()})
    config["groundwork:supabase"] |= {"api_url": api_url, "on_destroy": "delete"}
    config["groundwork:supabase"]["function_secrets"] = {"AGENT_SECRET": {"from": "agent_shared_secret"}}
    config["groundwork:host"] = {
        "kind": "docker",
        "docker": {"base_image": image, "monitor": "2s", "check_interval": "2s"},
        "proxy": {"image": image},
    }
    for name, port in (("app", app), ("agent", agent)):
        config[f"groundwork:{name}"] |= {
            "port": port,
            "public_url": f"http://127.0.0.1:{port}",
            "drain": "3s",
        }
    target.write_text(yaml.safe_dump({"config": config}))


def open_release(engine: docker.DockerClient, image: str, emulator: Emulator) -> Release:
    """Copy the program and make a stack of its own there."""
    folder, name = copy_program(scratch()), f"rel-{secrets.token_hex(3)}"
    (folder / ".local" / "state").mkdir(parents=True)
    _configure(folder / "Pulumi.staging.yaml", folder / f"Pulumi.{name}.yaml", emulator.api_url, image)
    env = with_plugin(environment(folder, f"file://{folder}/.local/state"))
    stack = open_stack(folder, name, env)
    made = Release(folder, stack, env, docker=engine, emulator=emulator)
    token = auto.ConfigValue(emulator.token, secret=True)
    stack.set_config("groundwork:supabase.access_token", token, path=True)
    for one in GIVEN:
        made.give(one, 1)
    return made


@contextlib.contextmanager
def running_release(engine: docker.DockerClient, image: str, address: str) -> Iterator[Release]:
    """Bring the product up; nothing is left of it afterwards."""
    with running_emulator("--host", address) as emulator:
        made = open_release(engine, image, emulator)
        try:
            made.up()
            yield made
            made.clean()
            assert leftovers.left_by(engine, made.prefix) == []
        finally:
            leftovers.remove(engine, made.prefix)


@pytest.fixture(scope="session")
def release(engine: docker.DockerClient, base_image: str, machine_address: str) -> Iterator[Release]:
    """Give the product on a Swarm; each test leaves it serving, whatever it changed in it."""
    with running_release(engine, base_image, machine_address) as made:
        yield made
