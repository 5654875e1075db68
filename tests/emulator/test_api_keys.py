"""API keys: what they look like, what is masked, and what they open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest

if TYPE_CHECKING:
    from tests.fix_emulator import Emulator, Project


def keys_of(project: Project, *, reveal: bool = False) -> dict[str, dict[str, Any]]:
    """Give a project's keys by type and name."""
    params = {"reveal": str(reveal).lower()}
    listed = project.emulator.client.get(f"{project.path}/api-keys", params=params).json()
    return {f"{key['type']} {key['name']}": key for key in listed}


def rest_status(project: Project, key: str) -> int:
    """Call the project's URL with a key."""
    return httpx.get(f"{project.url}/rest/v1/", headers={"apikey": key}).status_code


@pytest.fixture(scope="module")
def own(emulator: Emulator) -> Project:
    """Make a project whose keys may change."""
    return emulator.create("keys")


def test_new_project_has_both_generations(own: Project) -> None:
    """Two signed tokens and two opaque keys; the tokens name role and project."""
    keys = keys_of(own, reveal=True)

    claims = {
        role: jwt.decode(keys[f"legacy {role}"]["api_key"], options={"verify_signature": False})
        for role in ("anon", "service_role")
    }
    assert {(role, said["role"], said["ref"]) for role, said in claims.items()} == {
        ("anon", "anon", own.ref),
        ("service_role", "service_role", own.ref),
    }
    assert keys["publishable default"]["api_key"].startswith("sb_publishable_")
    assert keys["secret default"]["api_key"].startswith("sb_secret_")
    assert keys["secret default"]["secret_jwt_template"] == {"role": "service_role"}


def test_powerful_keys_are_masked_unless_revealed(own: Project) -> None:
    """Without reveal only the beginning of a key with full access is shown; public keys are shown."""
    masked, plain = keys_of(own), keys_of(own, reveal=True)

    for name in ("legacy service_role", "secret default"):
        assert masked[name]["api_key"] != plain[name]["api_key"]
        assert len(masked[name]["api_key"].rstrip("·")) <= len("sb_secret_") + 6
    for name in ("legacy anon", "publishable default"):
        assert masked[name]["api_key"] == plain[name]["api_key"]


def test_key_opens_from_creation_to_deletion(own: Project) -> None:
    """A made key is accepted at once, a renamed one still, a deleted one no more."""
    client = own.emulator.client
    body = {"type": "secret", "name": "deploy_bot", "description": "for the deploy"}
    made = client.post(f"{own.path}/api-keys", params={"reveal": "true"}, json=body).json()
    path, value = f"{own.path}/api-keys/{made['id']}", made["api_key"]
    opened = rest_status(own, value)
    renamed = client.patch(path, json={"name": "deploy_bot_2"}).json()
    still = rest_status(own, value)
    client.delete(path, params={"was_compromised": "true"}).raise_for_status()

    assert (opened, still, rest_status(own, value)) == (200, 200, 401)
    assert (renamed["name"], renamed["description"]) == ("deploy_bot_2", "for the deploy")
    assert client.get(path).status_code == 404


def test_names_are_unique_per_type(own: Project) -> None:
    """Two secret keys cannot share a name."""
    answer = own.emulator.client.post(f"{own.path}/api-keys", json={"type": "secret", "name": "default"})

    assert (answer.status_code, answer.json()["message"]) == (
        409,
        "A secret API key named default exists already.",
    )


@pytest.mark.parametrize("name", ["abc", "With_Capitals", "1_digit", "with space"])
def test_bad_name_is_refused(name: str, own: Project) -> None:
    """Names follow the contract's pattern and length."""
    answer = own.emulator.client.post(f"{own.path}/api-keys", json={"type": "secret", "name": name})

    assert answer.status_code == 400
    assert answer.json()["message"].startswith("body.name: ")


def test_legacy_keys_are_switched_off_together(own: Project) -> None:
    """Disabled tokens are refused, enabled ones accepted again; one alone cannot be deleted."""
    client, anon = own.emulator.client, own.key("anon")
    path = f"{own.path}/api-keys/legacy"
    before = rest_status(own, anon)
    off = client.put(path, params={"enabled": "false"}).json()
    refused = rest_status(own, anon)
    on = client.put(path, params={"enabled": "true"}).json()

    assert (before, refused, rest_status(own, anon)) == (200, 401, 200)
    assert (off, on) == ({"enabled": False}, {"enabled": True})
    assert client.delete(f"{own.path}/api-keys/anon").status_code == 400


def test_forged_token_is_refused(own: Project) -> None:
    """A token that somebody else signed opens nothing, whatever role it claims."""
    forged = jwt.encode({"role": "service_role", "ref": own.ref}, "x" * 32, algorithm="HS256")
    unsigned = jwt.encode({"role": "service_role"}, "", algorithm="none")

    assert [rest_status(own, key) for key in (forged, unsigned, "sb_secret_x")] == [401, 401, 401]
