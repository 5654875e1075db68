"""Demo accounts: only where the owner allows them, and never somebody's real account."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.fix_product import Person, Product

ENSURE: LiteralString = "select ensure_demo_account(%s)"
ALLOW: LiteralString = "select set_demo_accounts(%s)"


def test_off_unless_allowed(product: Product) -> None:
    """A new database makes no demo accounts, and says who can change that."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="not allowed here") as caught:
        product.app(ENSURE, ["demo@example.com"])
    assert "set_demo_accounts" in (caught.value.diag.message_hint or "")


def test_the_app_cannot_allow_them_itself(product: Product, alice: Person) -> None:
    """The switch is the owner's: neither the app, a user nor service_role turns it."""
    for ask in (product.app, product.server, lambda q, a: product.user(alice, q, a)):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(ALLOW, [True])
    assert product.owner(ALLOW, [True]) == [(False,)]
    assert product.owner(ALLOW, [False]) == [(True,)]


def test_one_account_per_address(product: Product) -> None:
    """Many requests at once for the same address end in one account, complete as any other."""
    product.owner(ALLOW, [True])
    with ThreadPoolExecutor(8) as threads:
        accounts = {
            row for [row] in threads.map(lambda _: product.app(ENSURE, ["Demo@example.com"]), range(8))
        }
    [(account,)] = accounts
    query: LiteralString = "select name, role, balance from user_organizations(%s)"
    assert product.app(query, [account]) == [("Demo user", "owner", 100)]
    assert product.owner("select email, is_demo from profiles") == [("demo@example.com", True)]


def test_real_accounts_are_not_given_out(product: Product) -> None:
    """An address of a real account is refused, also one under example.com."""
    product.owner(ALLOW, [True])
    product.sign_up("real@example.com")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is no demo account"):
        product.app(ENSURE, ["real@example.com"])


@pytest.mark.parametrize("address", ["alice@example.org", "x@example.com.evil.org", "@example.com", "", None])
def test_addresses_are_reserved_ones(product: Product, alice: Person, address: str | None) -> None:
    """Only addresses that no person can have are accepted."""
    product.owner(ALLOW, [True])
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"lies under example\.com"):
        product.app(ENSURE, [address])
    assert product.owner("select count(*) from profiles where id <> %s", [alice.id]) == [(0,)]


def test_nobody_marks_themselves_as_demo(product: Product) -> None:
    """What a user writes about themselves at sign-up does not make the account a demo one."""
    product.owner(
        "insert into auth.users (id, email, raw_user_meta_data)"
        ' values (gen_random_uuid(), \'x@example.com\', \'{"provider": "demo", "is_demo": true}\')'
    )
    assert product.owner("select is_demo from profiles") == [(False,)]
