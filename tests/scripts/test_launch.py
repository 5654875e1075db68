"""scripts/launch.py: what scripts/pulumi adds to the environment, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from scripts import launch

if TYPE_CHECKING:
    from pathlib import Path

# Stands for the engine: says what it was started with.
ENGINE = """#!{python}
import json, os, signal, sys
ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
print(json.dumps({{"arguments": sys.argv[1:], "environment": dict(os.environ), "ignored": ignored}}))
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Give the environment of a user who has set nothing and is logged in nowhere."""
    return {"PULUMI_HOME": str(tmp_path)}


@pytest.mark.parametrize(
    ("arguments", "stack"),
    [
        (["preview"], None),
        (["up", "--stack", "prod"], "prod"),
        (["up", "--stack=prod"], "prod"),
        (["up", "-s", "prod", "--yes"], "prod"),
        (["up", "-sprod"], "prod"),
        (["up", "--stack", "acme/groundwork/prod"], "prod"),
        (["up", "--skip-preview", "--show-sames"], None),
        (["stack", "init", "staging"], "staging"),
        (["stack", "init", "--secrets-provider", "passphrase", "staging"], "staging"),
        (["stack", "select", "--create", "local"], "local"),
        (["--color", "never", "stack", "rm", "--yes", "staging"], "staging"),
        (["stack", "output", "app_url"], None),
        (["config", "set", "stack", "init"], None),
        (["up", "--stack"], None),
    ],
)
def test_the_stack_of_a_command_line(arguments: list[str], stack: str | None) -> None:
    """The stack is found in every way that Pulumi takes it."""
    assert launch.stack(arguments, {}) == stack


def test_the_variable_names_the_stack() -> None:
    """PULUMI_STACK counts where the command line says nothing."""
    assert launch.stack(["preview"], {"PULUMI_STACK": "prod"}) == "prod"
    assert launch.stack(["preview", "-s", "local"], {"PULUMI_STACK": "prod"}) == "local"


def test_the_local_stack_needs_nothing(environment: dict[str, str]) -> None:
    """For `local`, the folder of this clone and the public passphrase are filled in."""
    added = launch.additions(["up", "--stack", "local"], environment)

    assert added["PULUMI_BACKEND_URL"] == (launch.ROOT / ".local" / "state").as_uri()
    assert added["PULUMI_CONFIG_PASSPHRASE"] == launch.PASSPHRASE


def test_without_a_name_it_is_the_local_stack(environment: dict[str, str]) -> None:
    """A command that names no stack means `local`, whatever was selected elsewhere before."""
    assert launch.additions(["preview"], environment)["PULUMI_STACK"] == "local"


@pytest.mark.parametrize("variable", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"])
def test_a_passphrase_of_the_user_is_kept(environment: dict[str, str], variable: str) -> None:
    """An own passphrase is not replaced, even an empty one."""
    assert "PULUMI_CONFIG_PASSPHRASE" not in launch.additions(["up"], {**environment, variable: ""})


def test_a_backend_of_the_user_is_kept(environment: dict[str, str]) -> None:
    """With an own backend nothing is added but what `local` needs by name."""
    environment["PULUMI_BACKEND_URL"] = "s3://state"

    assert launch.additions(["up", "--stack", "prod"], environment) == {}
    assert launch.additions(["up"], environment) == {}
    assert set(launch.additions(["up", "-s", "local"], environment)) == {"PULUMI_CONFIG_PASSPHRASE"}


@pytest.mark.parametrize("arguments", [["up", "-s", "prod"], ["stack", "init", "staging"]])
def test_another_stack_needs_a_place_for_its_state(environment: dict[str, str], arguments: list[str]) -> None:
    """State of other stacks never lands in a folder of this clone by accident."""
    with pytest.raises(SystemExit, match="nobody has said where the state of") as refused:
        launch.additions(arguments, environment)

    assert "export PULUMI_BACKEND_URL='s3://" in str(refused.value)


def test_a_login_is_a_place_for_state(environment: dict[str, str], tmp_path: Path) -> None:
    """Who has logged in has chosen a backend."""
    (tmp_path / "credentials.json").write_text(json.dumps({"current": "https://api.pulumi.com"}))

    assert launch.additions(["up", "-s", "prod"], environment) == {}


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"current": ""}'])
def test_credentials_without_a_login_are_none(
    environment: dict[str, str], tmp_path: Path, content: str
) -> None:
    """A file that names no backend, or is damaged, is no login."""
    (tmp_path / "credentials.json").write_text(content)

    assert not launch.logged_in(environment)


@pytest.mark.parametrize("command", ["login", "logout"])
def test_logging_in_is_left_alone(environment: dict[str, str], command: str) -> None:
    """A login is stored where the user says, not where `local` lives."""
    assert launch.additions([command, "s3://state"], environment) == {}


def become(root: Path, origin: str, **environment: str) -> dict[str, Any]:
    """Run scripts/launch.py where SIGINT is ignored, and give what the engine was started with."""
    (root / "scripts").mkdir()
    shutil.copy(launch.__file__, root / "scripts" / "launch.py")
    (root / ".venv" / "engine").mkdir(parents=True)
    (root / ".venv" / "engine.json").write_text(json.dumps({"origin": origin}))
    (root / ".venv" / "engine" / "pulumi").write_text(ENGINE.format(python=sys.executable))
    (root / ".venv" / "engine" / "pulumi").chmod(0o755)
    command = f"trap '' INT; exec {sys.executable} {root}/scripts/launch.py preview --diff"
    result = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": str(root), **environment},
    )
    started: dict[str, Any] = json.loads(result.stdout)
    return started


class TestProcess:
    """What the engine's process gets."""

    def test_an_interrupt_reaches_the_engine(self, tmp_path: Path) -> None:
        """The engine can be interrupted even when a script started it in the background."""
        assert not become(tmp_path, "build")["ignored"]

    def test_the_engine_runs_in_the_program_folder(self, tmp_path: Path) -> None:
        """The arguments are handed on as they are, behind the program's folder."""
        assert become(tmp_path, "build")["arguments"] == ["-C", str(tmp_path), "preview", "--diff"]

    def test_virtualenv_and_engine_come_first_on_path(self, tmp_path: Path) -> None:
        """The engine finds our Python and its own language host before any other."""
        path = become(tmp_path, "build")["environment"]["PATH"].split(os.pathsep)

        assert path[:2] == [str(tmp_path / ".venv" / "bin"), str(tmp_path / ".venv" / "engine")]

    @pytest.mark.parametrize(("origin", "expected"), [("build", "true"), ("release", None), ("path", None)])
    def test_plugins_are_fetched_where_they_can_be(
        self, tmp_path: Path, origin: str, expected: str | None
    ) -> None:
        """Only an engine that had to be built goes without downloads of plugins."""
        environment = become(tmp_path, origin)["environment"]

        assert environment.get("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION") == expected

    def test_local_state_is_private(self, tmp_path: Path) -> None:
        """Nobody else on the machine can enter the folder with the state of `local`."""
        become(tmp_path, "build")

        assert (tmp_path / ".local" / "state").stat().st_mode & 0o777 == 0o700
