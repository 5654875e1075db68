"""Secrets that a stack file holds in clear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from settings import clear
from settings.load import Settings
from tests.settings.reading import problems

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "CANARY-in-clear-0123"
SECURE = {"secure": "v1:AAAA"}


def _found(section: str, value: Any) -> list[str]:
    """Read a section as Pulumi gives it, decrypted, and compare it with what is written."""
    given = {"environment": "x", "project_name": "x", section: _decrypted(value)}
    read = {section: getattr(Settings.model_validate(given), section)}
    return [problem.key for problem in clear.in_clear(read, {f"groundwork:{section}": value})]


def _decrypted(value: Any) -> Any:
    if clear.is_encrypted(value):
        return CANARY
    return {name: _decrypted(one) for name, one in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize(
    ("section", "value", "key"),
    [
        ("supabase", {"access_token": CANARY}, "supabase.access_token"),
        ("supabase", {"function_secrets": {"A": CANARY, "B": SECURE}}, "supabase.function_secrets.A"),
        ("host", {"docker": {"registry_password": CANARY}}, "host.docker.registry_password"),
        ("host", {"proxy": {"certificate": CANARY}}, "host.proxy.certificate"),
        ("secrets", {"ai_api_key": {"value": CANARY, "version": 2}}, "secrets.ai_api_key.value"),
        ("secrets", {"billing_webhook_secret": {"value": CANARY}}, "secrets.billing_webhook_secret.value"),
        ("supabase", {"auth": {"smtp_pass": CANARY, "jwt_exp": 3600}}, "supabase.auth.smtp_pass"),
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
        ("supabase", {"auth": {"smtp_pass": SECURE, "smtp_user": "me"}}),
        ("secrets", {"ai_api_key": {"value": SECURE}, "session_key": {"version": 2}}),
        ("host", "process"),
    ],
)
def test_what_is_encrypted_or_no_secret_is_fine(section: str, value: Any) -> None:
    """References are no values."""
    assert _found(section, value) == []


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
