"""The order in which signing keys change their states, and what cannot be."""

from __future__ import annotations

import itertools

import pytest

from engines.supabase import ConflictError
from engines.supabase.key_states import WantedKey, complaints, steps


def keys(**states: str) -> dict[str, WantedKey]:
    """Give keys by name and state; `legacy` is the shared secret."""
    return {
        name: WantedKey("HS256" if name == "legacy" else "ES256", status) for name, status in states.items()
    }


def test_rotation_promotes_before_it_revokes() -> None:
    """At no moment is there no key in use, and the former one is revoked last."""
    wanted = keys(a="revoked", b="in_use", c="standby")
    states = {"a": "in_use", "b": "standby", "c": "revoked"}
    assert steps(wanted, states) == [("c", "standby"), ("b", "in_use"), ("a", "revoked")]


def test_revoked_key_comes_back_through_standby() -> None:
    """The services learn a key before it signs."""
    wanted = keys(a="previously_used", b="in_use")
    assert steps(wanted, {"a": "in_use", "b": "revoked"}) == [("b", "standby"), ("b", "in_use")]


def test_nothing_is_done_twice() -> None:
    """Keys that are as they should be are left alone."""
    states = {"a": "previously_used", "b": "in_use", "c": "standby", "d": "revoked"}
    assert steps(keys(**states), states) == []


@pytest.mark.parametrize(
    ("wanted", "states"),
    [
        (keys(a="revoked"), {"a": "in_use"}),
        (keys(a="previously_used"), {"a": "standby"}),
        (keys(a="standby"), {"a": "previously_used"}),
    ],
)
def test_state_that_cannot_follow_is_refused(wanted: dict[str, WantedKey], states: dict[str, str]) -> None:
    """Where the platform's states are not what the stack left, the error names the key and both states."""
    with pytest.raises(ConflictError, match=rf"signing_keys\.a\.status: the key is {states['a']} on the"):
        steps(wanted, states)


@pytest.mark.parametrize(
    ("old", "new", "key", "text"),
    [
        ({}, keys(a="in_use", b="in_use"), "b.status", "a and b are all in_use, but one key signs"),
        (keys(a="in_use"), keys(a="previously_used"), "a.status", "it is in_use, and stays so until another"),
        (keys(a="in_use"), keys(b="standby"), "a.status", "it is in_use, and stays so until another"),
        ({}, keys(a="revoked"), "a.status", "a key that is not there yet cannot be revoked"),
        (
            keys(a="previously_used"),
            keys(a="standby"),
            "a.status",
            "that is previously_used cannot become st",
        ),
        ({}, keys(legacy="standby"), "legacy.status", "signs from the moment it is taken over"),
        ({}, {"legacy": WantedKey("ES256", "in_use")}, "legacy.algorithm", "signs with HS256; set that"),
        (keys(a="in_use"), {"a": WantedKey("RS256", "in_use")}, "a.algorithm", "a key keeps its algorithm"),
    ],
)
def test_what_cannot_be_is_named(
    old: dict[str, WantedKey], new: dict[str, WantedKey], key: str, text: str
) -> None:
    """Each complaint has the key's name, its part, and what to do."""
    assert text in complaints(old, new)[key]


def test_what_can_be_is_not_complained_of() -> None:
    """A first key, a rotation and a retirement are good."""
    stages = [
        {},
        keys(legacy="in_use", a="standby"),
        keys(legacy="previously_used", a="in_use"),
        keys(legacy="revoked", a="in_use", b="standby"),
        keys(a="revoked", b="in_use"),
    ]
    for old, new in itertools.pairwise(stages):
        assert complaints(old, new) == {}
