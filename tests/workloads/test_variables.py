"""Variables that the settings declare for a workload: without them it does not start, and says which."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.workloads import programs

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {"DATABASE_URL": "postgresql://u:p@127.0.0.1:9/d", "AGENT_SHARED_SECRET": '{"1": "CANARY-shared"}'}
SHOW = "import config, json; config.load(); print(json.dumps(dict(config.variables())))"


def variable(name: str, kind: str, **more: Any) -> dict[str, Any]:
    """Declare a variable; it is required and not secret unless told."""
    return {"name": name, "type": kind, "secret": False, "required": True, "default": None} | more


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    """Copy the agent's folder, so that a test may declare variables there."""
    shutil.copytree(programs.WORKLOADS / "agent", tmp_path / "agent", ignore=shutil.ignore_patterns("__*"))
    return tmp_path


def declare(agents: Path, *variables: dict[str, Any]) -> None:
    """Write the file that the settings generate."""
    (agents / "agent" / "variables.json").write_text(json.dumps({"variables": variables}))


def run(agents: Path, code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run code in the agent's folder."""
    clean = {"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=agents / "agent",
        env=clean | GOOD | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def values(agents: Path, **environment: str) -> dict[str, Any]:
    """Start with an environment and give the variables as the service reads them."""
    found: dict[str, Any] = json.loads(run(agents, SHOW, environment).stdout)
    return found


def problems(agents: Path, **environment: str) -> list[str]:
    """Start with an environment that is not enough, and give what is said."""
    done = run(agents, SHOW, environment)

    assert done.returncode == 1
    return done.stderr.splitlines()


def test_values_have_their_types(agents: Path) -> None:
    """Text, whole and other numbers, yes or no, and addresses come from the environment."""
    declare(
        agents,
        variable("NAME", "text"),
        variable("LIMIT", "integer"),
        variable("RATIO", "number"),
        variable("FAST", "boolean"),
        variable("PEER", "url"),
    )
    found = values(agents, NAME="n", LIMIT="3", RATIO="0.5", FAST="true", PEER="https://x.example/a")

    expected = {"NAME": "n", "LIMIT": 3, "RATIO": 0.5, "FAST": True, "PEER": "https://x.example/a"}
    assert found == expected


def test_what_is_not_set_has_its_default(agents: Path) -> None:
    """An empty text counts as not set; without a default the value is null."""
    declare(
        agents,
        variable("LIMIT", "integer", required=False, default=7),
        variable("NAME", "text", required=False),
        variable("LEVEL", "text", default="info"),
    )

    assert values(agents, LIMIT="") == {"LIMIT": 7, "NAME": None, "LEVEL": "info"}


def test_a_file_wins_over_a_variable(agents: Path, tmp_path: Path) -> None:
    """A secret one is delivered as a file in the folder of secrets."""
    declare(agents, variable("API_TOKEN", "text", secret=True))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "api_token").write_text("from the file\n")

    found = values(agents, API_TOKEN="x", SECRETS_DIR=str(tmp_path / "secrets"))
    assert found == {"API_TOKEN": "from the file"}


def test_every_problem_is_named(agents: Path) -> None:
    """One line each, of variables and of settings alike, and no value."""
    declare(agents, variable("NAME", "text"), variable("LIMIT", "integer"), variable("PEER", "url"))
    lines = problems(agents, LIMIT="CANARY", PEER="CANARY", DATABASE_URL="CANARY")

    assert lines[0] == "NAME: missing; set the variable or put a file name into SECRETS_DIR"
    assert [line.split(":")[0] for line in lines] == ["NAME", "LIMIT", "PEER", "database_url"]
    assert "CANARY" not in "".join(lines)


@pytest.mark.parametrize(
    ("kind", "value"), [("integer", "1.5"), ("number", "nan"), ("boolean", "perhaps"), ("url", "x.example")]
)
def test_a_wrong_type_is_refused(agents: Path, kind: str, value: str) -> None:
    """The line says what is expected."""
    declare(agents, variable("SETTING", kind))
    [line] = problems(agents, SETTING=value)

    assert line.startswith("SETTING: ")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"variables": [{"name": "a b", "type": "text"}]}'])
def test_a_broken_file_is_named(agents: Path, text: str) -> None:
    """The service does not start with a guess."""
    (agents / "agent" / "variables.json").write_text(text)
    [line] = problems(agents)

    assert line.startswith("variables.json: ")


def test_the_service_does_not_start_without(agents: Path, tmp_path: Path) -> None:
    """serve.py ends with 1 and the line."""
    declare(agents, variable("NAME", "text"))
    process = programs.start("agent", GOOD, tmp_path / "log", folder=agents)

    assert process.wait(timeout=30) == 1
    assert (tmp_path / "log").read_text().startswith("NAME: missing")


@pytest.mark.parametrize("value", ["CANARY-token", 'CANARY"token', "CANARY\\token"])
def test_a_secret_variable_stays_out_of_the_log(agents: Path, tmp_path: Path, value: str) -> None:
    """Its value is hidden like that of every other secret, also where JSON writes it differently."""
    own = json.loads((agents / "agent" / "variables.json").read_text())["variables"]
    declare(agents, *own, variable("API_TOKEN", "text", secret=True))
    environment = GOOD | {"API_TOKEN": value}
    with programs.running("agent", environment, tmp_path / "log", folder=agents) as agent:
        agent.get(f"/{quote(value)}")

    assert "CANARY" not in agent.log.read_text()
