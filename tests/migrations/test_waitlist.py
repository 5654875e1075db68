"""The waitlist takes addresses and tells nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.fix_product import Person, Product

JOIN: LiteralString = "select join_waitlist(%s, 'home page')::text"


@pytest.mark.parametrize("again", ["new@example.org", "  NEW@Example.ORG "])
def test_a_known_address_gets_the_same_answer(product: Product, again: str) -> None:
    """The second sign-up answers as the first one and adds nothing."""
    assert product.visitor(JOIN, ["new@example.org"]) == product.visitor(JOIN, [again]) == [("",)]
    assert product.server("select email, source from waitlist_entries") == [("new@example.org", "home page")]


def test_users_may_join_too(product: Product, alice: Person) -> None:
    """A signed-in user can join, and cannot read."""
    product.user(alice, JOIN, ["alice@example.org"])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        product.user(alice, "select * from waitlist_entries")


@pytest.mark.parametrize("query", ["select * from waitlist_entries", "delete from waitlist_entries"])
def test_visitors_reach_the_function_only(product: Product, query: LiteralString) -> None:
    """The table itself is closed to visitors, for reading and for writing."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        product.visitor(query)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        product.visitor("insert into waitlist_entries (email) values ('x@example.org')")


@pytest.mark.parametrize(
    "address",
    ["", "  ", "x", "x@y", "@example.org", "a b@example.org", "x@.org", "x@y.", "x" * 250 + "@a.org", None],
)
def test_what_is_no_address_is_refused(product: Product, address: str | None) -> None:
    """A text that cannot be an address is refused, and the message does not repeat it."""
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"^this is no e-mail address"):
        product.visitor(JOIN, [address])
    assert product.server("select * from waitlist_entries") == []
