"""Rotation of generated secrets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from providers.secret import GeneratedSecretProvider, rotate

VERSIONS = st.integers(min_value=1, max_value=50)


def test_a_new_version_has_a_new_value_and_keeps_the_accepted_one() -> None:
    """While both are accepted, neither side of a call can be wrong."""
    first = rotate({}, 1, [])
    second = rotate(first, 2, [1])

    assert list(second) == ["2", "1"]
    assert second["1"] == first["1"]
    assert second["2"] != first["1"]


def test_retiring_forgets_the_value() -> None:
    """An older version that is no longer accepted leaves the state."""
    assert list(rotate({"1": "a", "2": "b"}, 2, [])) == ["2"]


@given(st.lists(VERSIONS, min_size=1, unique=True).map(sorted))
def test_a_version_in_force_never_changes_its_value(versions: list[int]) -> None:
    """However often an update is repeated, a version keeps the value it was made with."""
    values: dict[str, str] = {}
    for version in versions:
        values = rotate(values, version, [])
        assert rotate(values, version, []) == values


def test_going_back_is_refused_by_name() -> None:
    """The message names the key and the version to set."""
    olds = {"secret_name": "agent_shared_secret", "version": 3, "accept": []}
    result = GeneratedSecretProvider().check(olds, {**olds, "version": 2})

    assert [failure.reason for failure in result.failures] == [
        (
            "groundwork:secrets.agent_shared_secret.version is 2, but version 3 is in use; "
            "set 4 or more to rotate again"
        )
    ]


def test_the_stored_provider_is_its_name_only() -> None:
    """Pulumi stores where the class lives, so that an edit of the code is no change of the resource."""
    from pulumi.dynamic.dynamic import serialize_provider  # noqa: PLC0415 - a private door of the SDK

    assert len(serialize_provider(GeneratedSecretProvider())) < 150
