"""Secrets that a stack file holds in clear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from settings import clear
from settings.load import Settings
from tests.settings.reading import problems

ROOT = Path(__file__).parent.parent.parent
CANARY = "CANARY-in-clear"
SECURE = {"secure": "v1:AAAA"}


def _found(section: str, value: Any) -> list[str]:
    return [problem.key for problem in clear.in_clear(Settings, {f"groundwork:{section}": value})]


@pytest.mark.parametrize(
    ("section", "value", "key"),
    [
        ("supabase", {"access_token": CANARY}, "supabase.access_token"),
        ("supabase", {"function_secrets": {"A": CANARY, "B": SECURE}}, "supabase.function_secrets.A"),
        ("host", {"docker": {"registry_password": CANARY}}, "host.docker.registry_password"),
        ("host", {"proxy": {"certificate": CANARY}}, "host.proxy.certificate"),
        ("secrets", {"ai_api_key": {"value": CANARY, "version": 2}}, "secrets.ai_api_key.value"),
        ("secrets", {"billing_webhook_secret": {"value": 12345}}, "secrets.billing_webhook_secret.value"),
    ],
)
def test_a_secret_in_clear_is_named(section: str, value: Any, key: str) -> None:
    """Wherever the settings have one, however deep."""
    assert _found(section, value) == [key]


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("supabase", {"access_token": SECURE, "region": "eu-central-1"}),
        ("supabase", {"function_secrets": {"A": SECURE, "B": {"from": "agent_shared_secret"}}}),
        ("supabase", SECURE),
        ("secrets", {"ai_api_key": {"value": SECURE}, "session_key": {"version": 2}}),
        ("host", "process"),
        ("supabase", ["no map"]),
    ],
)
def test_what_is_encrypted_or_no_secret_is_fine(section: str, value: Any) -> None:
    """References are no values; what has another form is for others to complain about."""
    assert _found(section, value) == []


@pytest.mark.parametrize("file", sorted(ROOT.glob("Pulumi.*.yaml")), ids=lambda file: file.name)
def test_the_committed_stack_files_hold_none(file: Path) -> None:
    """As they are in git."""
    assert list(clear.in_clear(Settings, yaml.safe_load(file.read_text())["config"])) == []


def test_an_update_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the key and the command, and without the value."""
    lines = f"config:\n  groundwork:supabase:\n    access_token: {CANARY}\n"
    (tmp_path / "Pulumi.local.yaml").write_text(lines)
    monkeypatch.chdir(tmp_path)

    message = problems({"supabase": {"access_token": CANARY}})

    assert (
        "groundwork:supabase.access_token: is secret and must be encrypted; replace it, and set it" in message
    )
    assert CANARY not in message
