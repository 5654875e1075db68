"""The proof as a resource: what it asks, when it acts, and what it stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pulumi.output import Unknown

from engines.parity import ParityError
from engines.supabase import ManagementClient
from providers.database import LoginProvider, VaultSecretProvider
from providers.parity import ParityProvider
from tests.holders import Holder
from tests.providers.fix_reach import reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fix_emulator import Project

pytestmark = pytest.mark.usefixtures("fresh_logins")
PROVIDER = ParityProvider()
VALUES = {"2": "CANARY-two", "1": "CANARY-one"}
ROLE = {"role": "kiosk", "group": "kiosk_runtime", "schema": "1", "version": 2.0, "passwords": VALUES}


@pytest.fixture
def inputs(reached_project: Project) -> Iterator[dict[str, Any]]:
    """Give the inputs of a proof in which everything is right."""
    where = reach(reached_project)
    reached_project.sql("create role kiosk_runtime")
    first = {**where, **ROLE, "version": 1.0, "passwords": {"1": VALUES["1"]}}
    made = LoginProvider().create(first).outs or {}
    login = dict(LoginProvider().update("kiosk", made, {**where, **ROLE}).outs or {})
    entry = {**where, "secret_name": "shared", "value": VALUES["2"], "description": ""}
    VaultSecretProvider().create(entry)
    with ManagementClient(where["api_url"], where["access_token"]) as client:
        client.function_secrets.put(where["project_ref"], {"TOKEN": VALUES["2"]})
    app = Holder({"shared": {"2": VALUES["2"]}, "database_password": {"current": VALUES["2"]}})
    agent = Holder({"shared": VALUES})
    password = {"listed_as": "database_password", "login": "kiosk"}
    yield {
        **where,
        "app_url": app.url,
        "agent_url": agent.url,
        "releases": {"app": "r1", "agent": "r1"},
        "places": {
            "shared": {"version": 2.0, "presents": ["app", "cron", "functions.TOKEN"], "checks": ["agent"]},
            "kiosk_password": {"version": 2.0, "presents": ["app"], "checks": ["database"], **password},
        },
        "secrets": {"shared": {"values": VALUES}, "kiosk_password": {"values": VALUES}},
        "logins": {"kiosk": login["url"]},
        "asks_functions": True,
        "timeout_s": 0.0,
    }
    app.close()
    agent.close()
    LoginProvider().delete("kiosk", login)
    VaultSecretProvider().delete("shared", entry)
    reached_project.sql("drop role kiosk_runtime")


def test_the_matrix_has_every_place(inputs: dict[str, Any]) -> None:
    """Services, vault, logins and edge functions hold what they have to; values are in no new output."""
    outs = dict(PROVIDER.create(inputs).outs or {})

    assert outs["matrix"] == {
        "shared": {"agent": "2, 1", "app": "2", "cron": "2", "functions.TOKEN": "2"},
        "kiosk_password": {"app": "2", "database": "2, 1"},
    }
    assert outs.keys() - inputs.keys() == {"matrix"}
    assert "CANARY" not in str(outs["matrix"])


def test_a_mismatch_fails_the_update(inputs: dict[str, Any]) -> None:
    """Each place that holds something else is named."""
    places = {**inputs["places"], "shared": {**inputs["places"]["shared"], "version": 1.0}}
    with pytest.raises(ParityError) as caught:
        PROVIDER.update("parity", inputs, {**inputs, "places": places})

    assert "shared: cron holds 2, wanted is 1; shared: functions.TOKEN holds 2, wanted is 1" in str(
        caught.value
    )
    assert "CANARY" not in str(caught.value)


def test_it_acts_when_something_changed(inputs: dict[str, Any]) -> None:
    """A release, a version or a value asks again; how the project is reached does not."""
    outs = {**inputs, "matrix": {}}
    again = {"releases": {"app": "r2", "agent": "r1"}}
    reached = {"access_token": "other", "port": 1.0, "timeout_s": 5.0, "host": Unknown()}

    assert not PROVIDER.diff("parity", outs, inputs).changes
    assert not PROVIDER.diff("parity", outs, {**inputs, **reached}).changes
    assert PROVIDER.diff("parity", outs, {**inputs, **again}).changes
    assert PROVIDER.diff("parity", outs, {**inputs, "secrets": Unknown()}).changes
