"""Signing keys through their four states; an interruption makes no second key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engines.supabase import ConflictError, ManagementClient
from providers.signing_keys import SigningKeysProvider

if TYPE_CHECKING:
    import httpx

    from tests.fix_named import Driver

KEYS = SigningKeysProvider()
LEGACY = {"algorithm": "HS256", "status": "in_use"}


class Killed(BaseException):
    """The update ends here, as if by a signal."""


def es256(status: str) -> dict[str, str]:
    """Give a key as a stack names it."""
    return {"algorithm": "ES256", "status": status}


def states(driver: Driver) -> list[str]:
    """List the states of all keys of the project."""
    return sorted(key.status for key in driver.client.signing_keys.all(driver.ref))


@pytest.fixture(autouse=True)
def _one_key(driver: Driver) -> None:
    """Begin with one key, in use."""
    reset(driver)


def reset(driver: Driver) -> None:
    """Remove all keys but a new one that is in use; a project that has one always has one."""
    keys = driver.client.signing_keys
    fresh = keys.create(driver.ref, "ES256", known=[key.id for key in keys.all(driver.ref)])
    keys.change(driver.ref, fresh.id, "in_use")
    for key in keys.all(driver.ref):
        if key.id != fresh.id:
            keys.change(driver.ref, key.id, "revoked")
            keys.delete(driver.ref, key.id)


def test_life_of_keys(driver: Driver) -> None:
    """A key in use is recognized, followed, retired, revoked and deleted; states are as the stack says."""
    outs = driver.create(KEYS, keys={"a": es256("in_use")})
    assert states(driver) == ["in_use"]

    outs = driver.update(KEYS, outs, keys={"a": es256("in_use"), "b": es256("standby")})
    outs = driver.update(KEYS, outs, keys={"a": es256("previously_used"), "b": es256("in_use")})
    assert states(driver) == ["in_use", "previously_used"]
    assert driver.client.signing_keys.get(driver.ref, outs["ids"]["b"]).status == "in_use"

    outs = driver.update(KEYS, outs, keys={"a": es256("revoked"), "b": es256("in_use")})
    assert driver.refreshed(KEYS, outs) == outs
    outs = driver.update(KEYS, outs, keys={"b": es256("in_use")})
    assert outs["ids"].keys() == {"b"}
    assert states(driver) == ["in_use"]
    KEYS.delete("id", outs)
    assert states(driver) == ["in_use"]


def test_legacy_secret_is_followed_by_a_new_key(driver: Driver) -> None:
    """The old JWT secret is taken over under the name legacy, and its tokens stay good."""
    wanted = {"legacy": {**LEGACY, "status": "previously_used"}, "next": es256("in_use")}
    outs = driver.create(KEYS, keys=wanted)

    legacy = driver.client.signing_keys.legacy(driver.ref)
    assert legacy is not None
    assert (legacy.id, legacy.status) == (outs["ids"]["legacy"], "previously_used")
    assert driver.client.signing_keys.get(driver.ref, outs["ids"]["next"]).status == "in_use"
    assert driver.refreshed(KEYS, outs) == outs


@pytest.mark.parametrize("writes", [1, 2, 3])
def test_killed_after_any_write_converges(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Whichever request was the last, the next update ends with the keys that are wanted and no other."""
    outs = driver.create(KEYS, keys={"a": es256("in_use")})
    wanted = {"a": es256("previously_used"), "b": es256("in_use"), "c": es256("standby")}
    left = [writes]

    def count(answer: httpx.Response) -> None:
        left[0] -= answer.request.method != "GET"
        if left == [0]:
            raise Killed

    enter = ManagementClient.__enter__

    def watched(client: ManagementClient) -> ManagementClient:
        client._http.event_hooks["response"].append(count)
        return enter(client)

    with monkeypatch.context() as patch:
        patch.setattr(ManagementClient, "__enter__", watched)
        with pytest.raises(Killed):
            KEYS.update("id", outs, driver.checked(KEYS, outs, keys=wanted))

    again = driver.update(KEYS, outs, keys=wanted)
    assert states(driver) == ["in_use", "previously_used", "standby"]
    assert driver.refreshed(KEYS, again) == again


def test_another_name_is_another_key(driver: Driver) -> None:
    """A stack that names its key anew gets a new one; the former one stays, and its tokens are good."""
    outs = driver.create(KEYS, keys={"a": es256("in_use")})
    again = driver.update(KEYS, outs, keys={"b": es256("in_use")})

    assert again["ids"]["b"] != outs["ids"]["a"]
    assert driver.client.signing_keys.get(driver.ref, outs["ids"]["a"]).status == "previously_used"


def test_lost_answer_makes_no_second_key(driver: Driver) -> None:
    """A key whose answer was lost is found and is the one."""
    outs = driver.create(KEYS, keys={"a": es256("in_use")})
    driver.fault(kind="cut_after", method="POST", path=".*/signing-keys")
    driver.update(KEYS, outs, keys={"a": es256("in_use"), "b": es256("standby")})

    assert states(driver) == ["in_use", "standby"]


def test_drift_is_shown_by_name_and_repaired(driver: Driver) -> None:
    """A key that was promoted by hand is seen, and the stack's one comes back into use."""
    given: dict[str, Any] = {"keys": {"a": es256("in_use"), "b": es256("standby")}}
    outs = driver.create(KEYS, **given)
    other = driver.client.signing_keys.create(driver.ref, "ES256", known=list(outs["ids"].values()))
    driver.client.signing_keys.change(driver.ref, other.id, "in_use")

    seen = driver.refreshed(KEYS, outs)
    assert seen is not None
    assert seen["keys"] == {"a": es256("previously_used"), "b": es256("standby")}
    driver.update(KEYS, seen, **given)
    assert driver.client.signing_keys.get(driver.ref, outs["ids"]["a"]).status == "in_use"


def test_what_cannot_be_is_refused(driver: Driver) -> None:
    """A preview refuses it by its full key; what only the platform knows fails before anything changes."""
    [reason] = driver.reasons(KEYS, {}, keys={"a": es256("in_use"), "b": es256("in_use")})
    assert reason.startswith("groundwork:supabase.signing_keys.b.status: a and b are all in_use")

    wanted = {"x": {"algorithm": "HS256", "status": "previously_used"}}
    with pytest.raises(ConflictError, match=r"signing_keys\.x\.status: .* has no HS256 key that is prev"):
        KEYS.create(driver.checked(KEYS, {}, keys=wanted))
    assert states(driver) == ["in_use"]


def test_project_that_is_gone_leaves_the_state(driver: Driver) -> None:
    """A refresh drops what was in a project that is gone."""
    gone = {**driver.props(keys={}, ids={}), "project_ref": "z" * 20}
    assert KEYS.read("id", gone).id is None
