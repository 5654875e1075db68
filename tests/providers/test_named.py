"""Named things of a project whose life is short: secrets, API keys, issuers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from engines.supabase import ForbiddenError
from engines.supabase.api_keys import Keys
from providers import _cloud
from providers.api_keys import ApiKeyProvider
from providers.function_secrets import FunctionSecretsProvider
from providers.third_party import ThirdPartyProvider

if TYPE_CHECKING:
    from tests.fix_named import Driver

CANARY = "CANARY-secret-52f"
SECRETS, KEYS, ISSUERS = FunctionSecretsProvider(), ApiKeyProvider(), ThirdPartyProvider()
GONE = "0b8f2a6e-6f0e-4f0a-9d5e-0123456789ab"
LOST = {"kind": "cut_after", "method": "POST", "times": 1}


class TestFunctionSecrets:
    """What edge functions see; the platform shows digests only."""

    def test_change_is_named_and_removed_names_go(self, driver: Driver) -> None:
        """A changed value is seen by its name alone, a name that is let go is removed, others stay."""
        driver.client.function_secrets.put(driver.ref, {"OTHERS": "x"})
        outs = driver.create(SECRETS, values={"A": CANARY, "B": "1"}, fingerprint_key="key")
        news = driver.checked(SECRETS, outs, values={"A": CANARY, "B": "2"}, fingerprint_key="key")
        assert news["fingerprints"]["A"] == outs["fingerprints"]["A"]
        assert news["fingerprints"]["B"] != outs["fingerprints"]["B"]
        assert CANARY not in str({**outs, "values": ""})
        assert hashlib.sha256(CANARY.encode()).hexdigest()[:8] not in str({**outs, "values": ""})

        driver.update(SECRETS, outs, values={"A": CANARY}, fingerprint_key="key")
        assert driver.client.function_secrets.digests(driver.ref).keys() == {"A", "OTHERS"}
        SECRETS.delete("id", {**outs, "values": {"A": CANARY}})
        assert driver.client.function_secrets.digests(driver.ref).keys() == {"OTHERS"}

    def test_equal_ones_are_taken_over_unwritten(self, driver: Driver) -> None:
        """What is there with its value is not sent again."""
        driver.client.function_secrets.put(driver.ref, {"C": CANARY})
        driver.fault(kind="status", method="POST", path=".*/secrets", status=400)

        outs = driver.create(SECRETS, values={"C": CANARY}, fingerprint_key="key")
        assert outs["shown"].keys() == {"C"}

    def test_drift_is_seen_by_name_and_repaired(self, driver: Driver) -> None:
        """A value replaced by hand, and a name removed by hand, are found by a refresh, then repaired."""
        inputs = {"values": {"D": CANARY, "E": "1", "F": "2"}, "fingerprint_key": "key"}
        outs = driver.create(SECRETS, **inputs)
        assert driver.refreshed(SECRETS, outs) == outs
        driver.client.function_secrets.put(driver.ref, {"D": "other"})
        driver.client.function_secrets.delete(driver.ref, ["E"])

        seen = driver.refreshed(SECRETS, outs)
        assert seen is not None
        assert seen["fingerprints"] == {"D": _cloud.STRANGER, "F": outs["fingerprints"]["F"]}
        assert driver.update(SECRETS, seen, **inputs)["shown"] == outs["shown"]

    def test_a_name_moves_between_two_resources(self, driver: Driver) -> None:
        """A text that becomes a link to a secret is not removed meanwhile, nor on the way back."""
        key = {"fingerprint_key": "key"}
        texts = driver.create(SECRETS, values={"MOVED": "text"}, others=[], **key)
        moved = driver.update(SECRETS, texts, values={}, others=["MOVED"], **key)
        assert "MOVED" in driver.client.function_secrets.digests(driver.ref)

        links = driver.create(SECRETS, values={"MOVED": CANARY}, others=[], **key)
        assert not driver.changes(SECRETS, links, values={"MOVED": CANARY}, others=["OTHER"], **key)
        driver.update(SECRETS, moved, values={"MOVED": "text"}, others=[], **key)
        driver.update(SECRETS, links, values={}, others=["MOVED"], **key)
        digest = driver.client.function_secrets.digests(driver.ref)["MOVED"]
        assert digest == hashlib.sha256(b"text").hexdigest()
        SECRETS.delete("id", texts)

    def test_platforms_own_names_are_refused(self, driver: Driver) -> None:
        """The platform sets these itself."""
        [reason] = driver.reasons(SECRETS, {}, values={"SUPABASE_X": CANARY}, fingerprint_key="key")
        assert reason.startswith("groundwork:supabase.function_secrets.SUPABASE_X: names that begin")
        assert CANARY not in reason


class TestApiKeys:
    """Keys by name."""

    def test_life_of_a_key(self, driver: Driver) -> None:
        """A description changes in place, another type is another key, and one that was made is deleted."""
        inputs = {"key_name": "jobs", "key_type": "secret", "description": "nightly"}
        outs = driver.create(KEYS, **inputs)
        assert outs["api_key"].startswith("sb_secret_")

        changed = driver.update(KEYS, outs, **{**inputs, "description": "hourly"})
        assert changed["api_key"] == outs["api_key"]
        live = driver.client.keys.find(driver.ref, "secret", "jobs")
        assert live is not None
        assert (live.id, live.description) == (outs["key_id"], "hourly")
        assert driver.replaces(KEYS, outs, **{**inputs, "key_type": "publishable"}) == ["key_type"]

        KEYS.delete("id", changed)
        assert driver.client.keys.find(driver.ref, "secret", "jobs") is None
        assert driver.refreshed(KEYS, changed) is None

    def test_a_quicker_update_is_no_failure(self, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
        """A key that another update makes after the look for it is taken over, and is not the stack's."""
        theirs = driver.client.keys.create(driver.ref, "secret", "raced", "theirs")
        look = Keys.find
        # This update has looked, in the provider and in the client, before the other one made it.
        looks = [None, None]
        monkeypatch.setattr(Keys, "find", lambda *asked: looks.pop() if looks else look(*asked))

        outs = driver.create(KEYS, key_name="raced", key_type="secret", description="ours")

        assert (outs["key_id"], outs["made"]) == (theirs.id, False)
        found = look(driver.client.keys, driver.ref, "secret", "raced")
        assert found is not None
        assert (found.id, found.description) == (theirs.id, "ours")
        driver.client.keys.delete(driver.ref, outs["key_id"])

    def test_found_key_is_taken_over_and_left(self, driver: Driver) -> None:
        """The project's own key stays the same key when the stack comes, and when it goes."""
        before = driver.client.keys.find(driver.ref, "publishable", "default")
        outs = driver.create(KEYS, key_name="default", key_type="publishable")
        KEYS.delete("id", outs)

        assert before == driver.client.keys.find(driver.ref, "publishable", "default")
        assert before is not None
        assert outs["api_key"] == before.api_key

    def test_description_changed_by_hand(self, driver: Driver) -> None:
        """A refresh shows the live description, and the next update writes it back."""
        inputs = {"key_name": "drifting", "key_type": "publishable", "description": "a"}
        outs = driver.create(KEYS, **inputs)
        driver.client.keys.change(driver.ref, outs["key_id"], description="b")

        seen = driver.refreshed(KEYS, outs)
        assert seen is not None
        assert seen["description"] == "b"
        driver.update(KEYS, seen, **inputs)
        assert driver.refreshed(KEYS, outs) == outs

    def test_lost_answer_makes_no_second_key(self, driver: Driver) -> None:
        """A key whose answer was lost is found and is the one; a project has each name once."""
        driver.fault(**LOST, path=".*/api-keys")
        outs = driver.create(KEYS, key_name="lost", key_type="secret")

        found = [key.id for key in driver.client.keys.all(driver.ref) if key.name == "lost"]
        assert found == [outs["key_id"]]


class TestThirdParty:
    """Other issuers."""

    def test_life_of_an_issuer(self, driver: Driver) -> None:
        """Another source is another issuer; what was made is removed, and one that is gone made again."""
        inputs = {"issuer_name": "corp", "oidc_issuer_url": "https://id.example.com"}
        outs = driver.create(ISSUERS, **inputs)
        assert driver.refreshed(ISSUERS, outs) == outs
        other = {"issuer_name": "corp", "jwks_url": "https://id.example.com/jwks"}
        assert driver.replaces(ISSUERS, outs, **other) == ["jwks_url", "oidc_issuer_url"]

        again = driver.create(ISSUERS, **inputs)
        assert (again["issuer_id"], again["made"]) == (outs["issuer_id"], False)
        ISSUERS.delete("id", again)
        assert driver.refreshed(ISSUERS, outs) == outs
        ISSUERS.delete("id", outs)
        assert driver.client.third_parties.all(driver.ref) == ()
        assert driver.refreshed(ISSUERS, outs) is None

    def test_keys_given_in_the_stack(self, driver: Driver) -> None:
        """Keys may stand in the stack itself."""
        jwks = {"keys": [{"kty": "EC", "crv": "P-256", "x": "a", "y": "b", "kid": "1"}]}
        outs = driver.create(ISSUERS, issuer_name="own", custom_jwks=jwks)
        assert driver.refreshed(ISSUERS, outs) == outs
        ISSUERS.delete("id", outs)


@pytest.mark.parametrize("provider", [SECRETS, KEYS, ISSUERS], ids=lambda one: type(one).__name__)
def test_project_that_is_gone_leaves_the_state(
    driver: Driver, provider: FunctionSecretsProvider | ApiKeyProvider | ThirdPartyProvider
) -> None:
    """A refresh drops what was in a project that is gone, and destroying it is no error."""
    outs = driver.props(values={}, shown={}, fingerprints={}, key_id="x", issuer_id=GONE, made=True)
    outs = {**outs, "project_ref": "z" * 20, "fingerprint_key": "key", "key_name": "x", "issuer_name": "x"}

    assert provider.read("id", outs).id is None
    provider.delete("id", outs)


def test_refusal_is_no_absence(driver: Driver) -> None:
    """A refresh never takes a platform that does not show its keys for one where none is left."""
    outs = driver.create(KEYS, key_name="kept", key_type="secret")
    driver.fault(kind="status", path=".*/api-keys", status=403)

    with pytest.raises(ForbiddenError, match="reading the API keys"):
        driver.refreshed(KEYS, outs)
