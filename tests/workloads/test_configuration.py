"""How both workloads are configured, and what they share without importing each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.workloads import programs

if TYPE_CHECKING:
    from pathlib import Path

REQUIRED = {
    "agent": ["database_url", "agent_shared_secret"],
    "app": [
        "database_url",
        "agent_url",
        "agent_shared_secret",
        "supabase_url",
        "supabase_anon_key",
        "session_key",
    ],
}
URL = "postgresql://u:CANARY@127.0.0.1:9/d"


def refused(name: str, environment: dict[str, str], log: Path) -> list[str]:
    """Start a workload that must not start, and give what it says."""
    code = programs.start(name, environment, log).wait(timeout=30)

    assert code == 1
    return log.read_text().splitlines()


@pytest.mark.parametrize("name", ["agent", "app"])
def test_missing_settings_are_listed(name: str, tmp_path: Path) -> None:
    """The process ends with 1 and a line for each missing name, without a traceback."""
    lines = refused(name, {}, tmp_path / "log")

    assert [line.split(":")[0] for line in lines] == REQUIRED[name]
    assert all("missing; set the variable" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "variable", "value", "words"),
    [
        ("agent", "DATABASE_URL", "CANARY", "expected postgresql://"),
        ("agent", "DATABASE_URL", "postgresql://u:CANARY@[bad", "expected postgresql://"),
        ("agent", "AGENT_SHARED_SECRET", "CANARY", "Invalid JSON"),
        ("agent", "AGENT_SHARED_SECRET", "{}", "at least one version"),
        ("agent", "AGENT_SHARED_SECRET", '{"new": "CANARY"}', "whole numbers"),
        ("agent", "AGENT_SHARED_SECRET", '{"1": ""}', "empty value"),
        ("agent", "AI_PROVIDER", "CANARY", "'echo', 'openai' or 'anthropic'"),
        ("agent", "AI_PROVIDER", "openai", "ai_model: missing"),
        ("app", "AGENT_SHARED_SECRET", '{"1": "CANARY", "2": "CANARY"}', "the one current version"),
        ("app", "SESSION_KEY", "CANARY", "Invalid JSON"),
        ("app", "SESSION_KEY", '{"use": "1", "values": {"1": "CANARY"}}', "at least 32 characters"),
        ("app", "SESSION_KEY", json.dumps({"use": "2", "values": {"1": "CANARY" * 6}}), "in use among"),
        ("app", "SESSION_KEY", json.dumps({"values": {"1": "CANARY" * 6}}), "session_key.use: Field"),
        ("app", "BILLING_WEBHOOK_SECRET", '{"new": "CANARY"}', "whole numbers"),
        ("app", "AGENT_URL", "CANARY:8001", "starts with http://"),
        ("app", "DEMO_ACCOUNTS", "CANARY", "valid boolean"),
    ],
)
def test_wrong_settings_are_explained(
    name: str, variable: str, value: str, words: str, tmp_path: Path
) -> None:
    """The line names the setting and what is expected, and never the value."""
    good = {
        "DATABASE_URL": URL,
        "AGENT_URL": "http://127.0.0.1:9",
        "AGENT_SHARED_SECRET": json.dumps({"1": "CANARY"}),
        "SUPABASE_URL": "http://127.0.0.1:9",
        "SUPABASE_ANON_KEY": "anon",
        "SESSION_KEY": json.dumps({"use": "1", "values": {"1": "CANARY" * 6}}),
    }
    lines = refused(name, good | {variable: value}, tmp_path / "log")

    assert len(lines) == 1
    assert words in lines[0]
    assert "CANARY" not in lines[0]


def test_a_secret_folder_must_exist(tmp_path: Path) -> None:
    """A wrong SECRETS_DIR is named, in place of a list of settings that seem to be missing."""
    lines = refused("agent", {"SECRETS_DIR": str(tmp_path / "nowhere")}, tmp_path / "log")

    assert lines == [f"SECRETS_DIR: the folder {tmp_path / 'nowhere'} does not exist"]


def test_a_file_wins_over_a_variable(tmp_path: Path) -> None:
    """Secrets are read from files, and a variable only where there is no file."""
    (tmp_path / "agent_shared_secret").write_text('{"7": "CANARY"}\n')
    environment = {
        "SECRETS_DIR": str(tmp_path),
        "DATABASE_URL": URL,
        "AGENT_SHARED_SECRET": '{"1": "CANARY-variable"}',
    }
    with programs.running("agent", environment, tmp_path / "log") as agent:
        document = agent.get("/health").json()

    assert document["secrets"]["agent_shared_secret"]["versions"] == ["7"]


@pytest.mark.parametrize(
    "module",
    ["declared.py", "held.py", "logs.py", "report.py", "serve.py", "store.py", "traffic.py", "uses.py"],
)
def test_modules_of_both_stay_the_same(module: str) -> None:
    """App and agent may not import each other; what both need is one text in two folders."""
    one, other = (programs.WORKLOADS / name / module for name in ("agent", "app"))

    assert one.read_text() == other.read_text()
