"""Settings and secrets of a project: kept, merged, and shown without what is secret."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.fix_emulator import Emulator, Project


@pytest.fixture(scope="module")
def own(emulator: Emulator) -> Project:
    """Make a project whose settings may change."""
    return emulator.create("settings")


def test_secrets_are_shown_as_digests_only(own: Project) -> None:
    """A written secret comes back as its SHA-256; written again it is replaced, deleted it is gone."""
    path = f"{own.path}/secrets"
    client = own.emulator.client
    client.post(path, json=[{"name": "B", "value": "canary-1"}, {"name": "A", "value": "x"}])
    client.post(path, json=[{"name": "B", "value": "canary-2"}])
    listed = client.get(path)
    client.request("DELETE", path, json=["A", "UNKNOWN"]).raise_for_status()

    digest = hashlib.sha256(b"canary-2").hexdigest()
    assert [(one["name"], one["value"]) for one in listed.json()] == [
        ("A", hashlib.sha256(b"x").hexdigest()),
        ("B", digest),
    ]
    assert [one["name"] for one in client.get(path).json()] == ["B"]
    kept = "".join(file.read_text() for file in (own.emulator.data / "state").iterdir())
    assert "canary" not in kept
    assert digest in kept


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        ({"name": "SUPABASE_URL", "value": "x"}, "must not start with the SUPABASE_ prefix"),
        ({"name": "N" * 257, "value": "x"}, "at most 256 characters"),
        ({"name": "N", "value": "x" * 24577}, "at most 24576 characters"),
        ({"name": "N"}, "body.1.value: Field required"),
    ],
)
def test_one_bad_secret_refuses_all(secret: dict[str, str], message: str, own: Project) -> None:
    """A bad member of the list is named, and the good ones are not written either."""
    path = f"{own.path}/secrets"
    answer = own.emulator.client.post(path, json=[{"name": "GOOD", "value": "x"}, secret])

    assert answer.status_code == 400
    assert message in answer.json()["message"]
    assert "GOOD" not in [one["name"] for one in own.emulator.client.get(path).json()]


@pytest.mark.parametrize(
    ("section", "change", "untouched"),
    [
        ("config/auth", {"site_url": "https://app.example", "jwt_exp": 7200}, "mailer_otp_exp"),
        ("postgrest", {"max_rows": 50, "db_pool": 3}, "db_schema"),
    ],
)
def test_change_is_merged(section: str, change: dict[str, Any], untouched: str, own: Project) -> None:
    """PATCH answers the whole section: what was given is changed, the rest is as before."""
    client, path = own.emulator.client, f"{own.path}/{section}"
    before = client.get(path).json()
    changed = client.patch(path, json=change)

    assert changed.status_code == 200
    assert changed.json() == client.get(path).json() == {**before, **change}
    assert changed.json()[untouched] == before[untouched]


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("config/auth", {"jwt_exp": "3600"}),
        ("config/auth", {"jwt_exp": 604801}),
        ("config/auth", {"site_url": "https://a,https://b"}),
        ("config/auth", {"sms_provider": "pigeon"}),
        ("config/auth", {"mailer_otp_exp": None}),
        ("postgrest", {"max_rows": 1000001}),
        ("postgrest", {"max_rows": True}),
        ("config/database/pooler", {"default_pool_size": -1}),
        ("config/database/pooler", {"pool_mode": "statement"}),
    ],
)
def test_value_outside_the_contract_is_refused(section: str, change: dict[str, Any], own: Project) -> None:
    """Types, limits, patterns and choices are the contract's; the message names the setting."""
    before = own.emulator.client.get(f"{own.path}/{section}").json()
    answer = own.emulator.client.patch(f"{own.path}/{section}", json=change)

    assert answer.status_code == 400
    assert answer.json()["message"].startswith(f"body.{next(iter(change))}: ")
    assert own.emulator.client.get(f"{own.path}/{section}").json() == before


def test_secret_setting_is_shown_as_digest(own: Project) -> None:
    """A mail password is neither answered nor kept in plain; equal values have equal digests."""
    client, path = own.emulator.client, f"{own.path}/config/auth"
    shown = [
        client.patch(path, json={"smtp_pass": one}).json()["smtp_pass"] for one in ("canary-3", "b", "b")
    ]

    assert shown[0] != shown[1] == shown[2]
    assert len(shown[0]) == 64
    assert "canary-3" not in "".join(file.read_text() for file in (own.emulator.data / "state").iterdir())


def test_pooler_entry_leads_to_the_database(own: Project) -> None:
    """The pooler's entry is in session mode and says where the owner logs in."""
    client, path = own.emulator.client, f"{own.path}/config/database/pooler"
    client.patch(path, json={"default_pool_size": 20}).raise_for_status()
    (entry,) = client.get(path).json()

    assert (entry["database_type"], entry["pool_mode"]) == ("PRIMARY", "session")
    assert (entry["db_host"], entry["db_user"], entry["db_name"]) == ("127.0.0.1", "postgres", "postgres")
    assert entry["default_pool_size"] == 20
    expected = f"postgresql://postgres:[YOUR-PASSWORD]@127.0.0.1:{entry['db_port']}/postgres"
    assert entry["connection_string"] == expected
    with own.connect() as session:
        assert session.execute("select current_user").fetchone() == ("postgres",)


def test_exposed_schemas_follow_the_setting(own: Project) -> None:
    """A table is reachable over REST when its schema is exposed and its role has a grant, and not before."""

    def paths(key: str) -> list[str]:
        answer = httpx.get(f"{own.url}/rest/v1/", headers={"apikey": own.key(key)})
        return [path for path in answer.json()["paths"] if path == "/thing"]

    own.sql("create schema api; grant usage on schema api to anon; create table api.thing (n int)")
    before = paths("anon")
    own.emulator.client.patch(f"{own.path}/postgrest", json={"db_schema": "public, api"}).raise_for_status()
    exposed = paths("anon")
    own.sql("grant select on api.thing to anon")

    assert (before, exposed, paths("anon")) == ([], [], ["/thing"])
