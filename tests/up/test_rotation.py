"""Rotation of every kind on a running local stack: in step, retired when unused, thrown away when stolen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from pulumi import automation as auto

from tests.secret_use import used
from tests.up.fix_local import exported, health, plain_texts, resource

if TYPE_CHECKING:
    from tests.fix_program import Program

pytestmark = pytest.mark.engine
NAME = "agent_shared_secret"
CANARY = "CANARY-billing-80c1"


def _values(program: Program, name: str) -> dict[str, str]:
    return dict(json.loads(resource(exported(program), name)["outputs"]["values"]["plaintext"]))


def _run(program: Program, statement: str) -> None:
    with psycopg.connect(program.outputs()["database_url"], autocommit=True) as session:
        session.execute(statement)


def _refusal(operation: Any) -> str:
    with pytest.raises(auto.CommandError) as caught:
        operation()
    return str(caught.value)


def _give(program: Program, value: str, version: int) -> None:
    key = "groundwork:secrets.billing_webhook_secret"
    program.stack.set_config(f"{key}.value", auto.ConfigValue(value, secret=True), path=True)
    program.set("secrets.billing_webhook_secret.version", str(version))


def test_every_place_holds_the_first_version(local: Program) -> None:
    """The matrix is an output; the next session key is known in advance."""
    assert local.outputs()["parity"] == {
        "agent_shared_secret": {"agent": "1", "app": "1", "cron": "1"},
        "app_database_password": {"app": "1", "database": "1"},
        "agent_database_password": {"agent": "1", "database": "1"},
        "session_key": {"app": "2, 1"},
    }


def test_rotation_and_retirement(local: Program) -> None:
    """An old version is refused only once it was unused for long enough, and then everywhere."""
    first = _values(local, NAME)
    for name in (NAME, "session_key", "app_database_password"):
        local.set(f"secrets.{name}.version", "2")
    local.up()
    during = local.outputs()["parity"]
    _run(local, used(NAME, 1, "app", 12))
    local.set(f"secrets.{NAME}.accept", "[]")
    said = _refusal(local.preview)
    kept = _values(local, NAME)
    # Whoever showed it, the scheduled calls among them: that was long ago.
    _run(local, "update private.secret_use set last_used_at = now() - interval '1 hour' where version = 1")
    local.up()
    old = httpx.get(f"{local.outputs()['agent_url']}/jobs", headers={"Authorization": f"Bearer {first['1']}"})

    assert during[NAME] == {"agent": "2, 1", "app": "2", "cron": "2"}
    assert during["app_database_password"] == {"app": "2", "database": "2, 1"}
    assert during["session_key"] == {"app": "3, 2, 1"}
    assert "version 1 is still in use: the app was shown it" in said
    assert f"groundwork:secrets.{NAME}.compromised to true" in said
    assert kept.keys() == {"2", "1"}
    assert _values(local, NAME).keys() == {"2"}
    assert local.outputs()["parity"][NAME] == {"agent": "2", "app": "2", "cron": "2"}
    assert old.status_code == 401
    local.up()
    assert local.changed() == {}


def test_a_stolen_secret_is_replaced_at_once(local: Program) -> None:
    """Nobody waits, and the value that was made in advance is thrown away as well."""
    before = resource(exported(local), "session_key")["outputs"]
    _run(local, used("session_key", 2, "app", 1))
    local.set("secrets.session_key.version", "3")
    local.set("secrets.session_key.compromised", "true")
    local.up()
    standby = json.loads(before["standby"]["plaintext"])

    assert _values(local, "session_key").keys() == {"3"}
    assert _values(local, "session_key")["3"] not in standby.values()
    assert local.outputs()["parity"]["session_key"] == {"app": "4, 3"}
    assert health(local)["status"] == "healthy"


def test_a_webhook_secret_is_given_and_replaced(local: Program) -> None:
    """Both are accepted for a while, as test deliveries show; a value without a new version is refused."""
    _give(local, f"{CANARY}-1", 1)
    local.up()
    _give(local, f"{CANARY}-2", 1)
    said = _refusal(local.preview)
    _give(local, f"{CANARY}-2", 2)
    local.up()

    assert "groundwork:secrets.billing_webhook_secret.value is new, but its version is still 1" in said
    assert local.outputs()["parity"]["billing_webhook_secret"] == {"app": "2, 1"}
    assert local.outputs()["secret_versions"]["billing_webhook_secret"] == 2
    assert CANARY not in said + plain_texts(local)


def test_after_a_refresh_there_is_nothing_to_do(local: Program) -> None:
    """The proof stays what it was while nothing changes."""
    local.stack.refresh()
    local.up()

    assert local.changed() == {}
