"""Rotation of secrets: generated ones, and those that a stack is given."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.secret import GeneratedSecretProvider, GivenSecretProvider, prepare, rotate

VERSIONS = st.integers(min_value=1, max_value=50)
OLDER = st.lists(VERSIONS, max_size=4)
CANARY = "CANARY-given-77"
MADE, GIVEN = GeneratedSecretProvider(), GivenSecretProvider()


def generated(version: int, *accept: int, **more: Any) -> dict[str, Any]:
    """Give the inputs of a generated secret."""
    return {"secret_name": "session_key", "version": float(version), "accept": list(accept), **more}


def given_value(version: int, value: str, *accept: int, **more: Any) -> dict[str, Any]:
    """Give the inputs of a secret from outside."""
    return {**generated(version, *accept, **more), "secret_name": "mail_api_key", "value": value}


def made(inputs: dict[str, Any]) -> dict[str, Any]:
    """Make a generated secret."""
    return dict(MADE.create(inputs).outs or {})


def updated(outs: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    """Update a generated secret, which must need it; after that nothing is left to do."""
    assert MADE.diff("id", outs, inputs).changes
    after = dict(MADE.update("id", outs, inputs).outs or {})
    assert not MADE.diff("id", after, inputs).changes
    return after


class TestRotate:
    """Values by version."""

    def test_a_new_version_has_a_new_value_and_keeps_the_accepted_one(self) -> None:
        """While both are accepted, neither side of a call can be wrong."""
        first = rotate({}, 1, [])
        second = rotate(first, 2, [1])

        assert list(second) == ["2", "1"]
        assert second["1"] == first["1"]
        assert second["2"] != first["1"]

    def test_retiring_forgets_the_value(self) -> None:
        """An older version that is no longer accepted leaves the state."""
        assert list(rotate({"1": "a", "2": "b"}, 2, [])) == ["2"]

    @given(st.lists(VERSIONS, min_size=1, unique=True).map(sorted))
    def test_a_version_in_force_never_changes_its_value(self, versions: list[int]) -> None:
        """However often an update is repeated, a version keeps the value it was made with."""
        values: dict[str, str] = {}
        for version in versions:
            values = rotate(values, version, [])
            assert rotate(values, version, []) == values

    @given(st.dictionaries(VERSIONS.map(str), st.text(min_size=1)), VERSIONS, OLDER)
    def test_only_what_is_accepted_is_kept(
        self, values: dict[str, str], version: int, accept: list[int]
    ) -> None:
        """The result is the current version and the accepted ones that exist, each with its own value."""
        found = rotate(values, version, accept)
        older = {str(one) for one in accept} & values.keys()

        assert found.keys() == {str(version)} | older
        assert {key: found[key] for key in values.keys() & found.keys()} == {
            key: values[key] for key in values.keys() & found.keys()
        }

    @given(VERSIONS)
    def test_the_next_value_is_made_once(self, version: int) -> None:
        """What is known in advance stays, until its version has come."""
        first = prepare({}, version)

        assert prepare(first, version) == first
        assert prepare(first, version + 1).keys() == {str(version + 2)}


class TestStandby:
    """A value that everybody knows before somebody uses it."""

    def test_the_standby_becomes_the_current_one(self) -> None:
        """A rolling update never meets a token that a replica does not know."""
        first = made(generated(1, in_advance=True))
        second = updated(first, generated(2, 1, in_advance=True))

        assert second["values"] == {**first["standby"], "1": first["current"]}
        assert second["current"] == first["standby"]["2"]
        assert second["standby"].keys() == {"3"}

    def test_a_state_without_one_is_carried_on(self) -> None:
        """What an earlier release made gets its next value, and keeps its own."""
        before = {**generated(3, 2), "values": {"3": "c", "2": "b"}, "current": "c"}
        after = updated(before, generated(3, 2, in_advance=True))

        assert after["values"] == before["values"]
        assert after["standby"].keys() == {"4"}

    def test_a_jump_makes_a_fresh_value(self) -> None:
        """Who skips a version uses what nobody knew before."""
        first = made(generated(1, in_advance=True))
        after = updated(first, generated(3, 2, 1, in_advance=True))

        assert after["values"].keys() == {"3", "1"}
        assert after["current"] not in first["standby"].values()

    def test_what_may_be_stolen_is_thrown_away(self) -> None:
        """A compromised secret's next value may be known, too; to repeat the update makes no other one."""
        first = made(generated(1, in_advance=True))
        wanted = generated(2, in_advance=True, compromised=True)
        after = updated(first, wanted)

        assert after["values"].keys() == {"2"}
        assert after["current"] not in first["standby"].values()
        assert MADE.update("id", after, wanted).outs == after

    def test_a_theft_noticed_later_replaces_only_the_next_value(self) -> None:
        """Without a new version the one in use stays."""
        first = made(generated(1, in_advance=True))
        after = updated(first, generated(1, in_advance=True, compromised=True))

        assert after["values"] == first["values"]
        assert after["standby"]["2"] != first["standby"]["2"]

    def test_others_have_none(self) -> None:
        """A secret that nobody both issues and checks changes with its versions only."""
        first = made(generated(1))

        assert "standby" not in first
        assert not MADE.diff("id", first, generated(1, compromised=True, log_urn="x")).changes


def test_going_back_is_refused_by_name() -> None:
    """The message names the key and the version to set."""
    olds = {"secret_name": "agent_shared_secret", "version": 3, "accept": []}
    result = MADE.check(olds, {**olds, "version": 2})

    assert [failure.reason for failure in result.failures] == [
        (
            "groundwork:secrets.agent_shared_secret.version is 2, but version 3 is in use; "
            "set 4 or more to rotate again"
        )
    ]


class TestGiven:
    """Secrets from outside, by version."""

    def test_a_new_version_keeps_the_old_value_for_a_while(self) -> None:
        """Both are accepted until the old one is retired."""
        first = dict(GIVEN.create(given_value(1, "old")).outs or {})
        news = given_value(2, "new", 1)
        assert GIVEN.check(given_value(1, "old"), news).failures == []
        assert GIVEN.diff("id", first, news).changes
        second = dict(GIVEN.update("id", first, news).outs or {})

        assert (second["values"], second["current"]) == ({"2": "new", "1": "old"}, "new")
        assert not GIVEN.diff("id", second, news).changes

    @pytest.mark.parametrize(
        ("news", "expected"),
        [
            (
                given_value(1, CANARY),
                "value is new, but its version is still 1; set groundwork:secrets.mail_",
            ),
            (
                given_value(2, "old", 1),
                "version is 2, but its value is that of version 1; set the new one by",
            ),
            (given_value(1, CANARY, compromised=True), ""),
            (
                given_value(2, "old", compromised=True),
                "version is 2, but its value is that of version 1; set the new one by",
            ),
        ],
    )
    def test_value_and_version_change_together(self, news: dict[str, Any], expected: str) -> None:
        """A value that replaced another at once would break whoever still uses that."""
        failures = GIVEN.check(given_value(1, "old"), news).failures
        reasons = "".join(one.reason for one in failures)

        assert expected in reasons
        assert bool(expected) == bool(reasons)
        assert CANARY not in reasons

    def test_a_stolen_value_is_replaced_in_place(self) -> None:
        """Without a new version only where the old one must not be accepted."""
        first = dict(GIVEN.create(given_value(1, "old")).outs or {})
        news = given_value(1, "new", compromised=True)

        assert GIVEN.diff("id", first, news).changes
        assert dict(GIVEN.update("id", first, news).outs or {})["values"] == {"1": "new"}

    def test_what_is_stored_has_values_in_two_places_only(self) -> None:
        """Both are encrypted: the state has nothing else of a value, nor of how to reach a database."""
        reach = {"access_token": CANARY, "owner_password": CANARY, "retire_after_s": 1.0}
        outs = dict(GIVEN.create({**given_value(1, CANARY), **reach}).outs or {})

        assert CANARY not in str({**outs, "values": "", "current": ""})


@pytest.mark.parametrize("provider", [MADE, GIVEN], ids=lambda one: type(one).__name__)
def test_the_stored_provider_is_its_name_only(provider: GeneratedSecretProvider) -> None:
    """Pulumi stores where the class lives, so that an edit of the code is no change of the resource."""
    from pulumi.dynamic.dynamic import serialize_provider  # noqa: PLC0415 - a private door of the SDK

    assert len(serialize_provider(provider)) < 150
