"""API keys are seen once and kept as a hash."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, LiteralString
from uuid import uuid4

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.fix_product import Person, Product

CREATE: LiteralString = "select key_id, api_key from create_api_key(%s, 'ci')"
VERIFY: LiteralString = "select key_id, organization_id from verify_api_key(%s)"
REVOKE: LiteralString = "select revoke_api_key(%s)"


def test_only_the_hash_is_kept(product: Product, alice: Person) -> None:
    """The database holds the SHA-256 of a key and its first letters, and nowhere the key."""
    [(key, value)] = product.user(alice, CREATE, [alice.organization])
    assert product.server("select id, key_hash, prefix from api_keys") == [
        (key, hashlib.sha256(value.encode()).digest(), value[:11]),
    ]
    stored = product.owner(
        "select k::text || (select string_agg(a::text, '') from audit_log a) from api_keys k"
    )
    assert value not in str(stored)
    assert len(value) == len("gw_") + 64


def test_a_key_opens_its_organization(product: Product, alice: Person) -> None:
    """App and agent can check a key; its last use is on record."""
    [(key, value)] = product.user(alice, CREATE, [alice.organization])
    for ask in (product.app, product.agent):
        assert ask(VERIFY, [value]) == [(key, alice.organization)]
    assert product.user(alice, "select last_used_at is not null from api_keys") == [(True,)]


@pytest.mark.parametrize("value", ["", "gw_", "gw_" + "0" * 64, None])
def test_unknown_keys_open_nothing(product: Product, alice: Person, value: str | None) -> None:
    """What is no key gives no row."""
    product.user(alice, CREATE, [alice.organization])
    assert product.app(VERIFY, [value]) == []


def test_a_revoked_key_is_dead(product: Product, alice: Person) -> None:
    """After it is revoked a key opens nothing; revoking again is no error and changes nothing."""
    [(key, value)] = product.user(alice, CREATE, [alice.organization])
    assert product.user(alice, REVOKE, [key]) == [(True,)]
    assert product.user(alice, REVOKE, [key]) == [(False,)]
    assert product.app(VERIFY, [value]) == []


def test_an_expired_key_is_dead(product: Product, alice: Person) -> None:
    """A key ends by itself; one that would have ended before is not made."""
    query: LiteralString = "select api_key from create_api_key(%s, 'ci', %s)"
    [(value,)] = product.user(alice, query, [alice.organization, "2100-01-01"])
    assert len(product.app(VERIFY, [value])) == 1
    product.owner("update api_keys set expires_at = now() - interval '1 second'")
    assert product.app(VERIFY, [value]) == []
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="expired already"):
        product.user(alice, query, [alice.organization, "2020-01-01"])


def test_members_and_strangers_have_no_keys(
    product: Product, alice: Person, bob: Person, mallory: Person
) -> None:
    """Simple members and strangers neither make, see nor revoke keys; an unknown key looks the same."""
    [(key, _)] = product.user(alice, CREATE, [alice.organization])
    for person in (bob, mallory):
        with pytest.raises(psycopg.Error, match="is not owner or admin"):
            product.user(person, CREATE, [alice.organization])
        assert product.user(person, "select id from api_keys") == []
        for wanted in (key, uuid4()):
            with pytest.raises(psycopg.Error, match=r"^there is no such API key"):
                product.user(person, REVOKE, [wanted])


def test_the_hash_is_hidden_from_owners(product: Product, alice: Person) -> None:
    """Even the owner of a key reads all of it but the hash."""
    product.user(alice, CREATE, [alice.organization])
    assert len(product.user(alice, "select id, name, prefix, created_at from api_keys")) == 1
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        product.user(alice, "select key_hash from api_keys")


def test_keys_and_members_are_in_the_log(product: Product, alice: Person, bob: Person) -> None:
    """Making and revoking a key and every change of a membership leave a line that names who did it."""
    [(key, _)] = product.user(alice, CREATE, [alice.organization])
    product.user(alice, REVOKE, [key])
    product.user(alice, "update memberships set role = 'admin' where user_id = %s", [bob.id])
    query: LiteralString = (
        "select action, actor_id, target from audit_log where actor_id is not null order by id"
    )
    assert product.user(alice, query) == [
        ("api_key.created", alice.id, str(key)),
        ("api_key.revoked", alice.id, str(key)),
        ("membership.update", alice.id, str(bob.id)),
    ]
