"""The record of which version of a secret is in use: written by the services, each in its own name."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.fix_product import Person, Product

NOTE: LiteralString = "select note_secret_use(%s, %s)"
NOTED: LiteralString = "select secret, version, service from private.secret_use order by 1, 2, 3"
CLOSED = psycopg.errors.InsufficientPrivilege


def test_each_service_has_its_own_row(product: Product) -> None:
    """Which service it was comes from the login, not from the caller's word."""
    product.app(NOTE, ["session_key", 2])
    product.app(NOTE, ["shared", 1])
    product.agent(NOTE, ["shared", 1])

    assert product.owner(NOTED) == [("session_key", 2, "app"), ("shared", 1, "agent"), ("shared", 1, "app")]


def test_replicas_write_the_same_row(product: Product) -> None:
    """Many at once leave one row with the latest time."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: product.agent(NOTE, ["shared", 1]), range(24)))

    assert product.owner(NOTED) == [("shared", 1, "agent")]


def test_time_does_not_go_back(product: Product) -> None:
    """A use is not older than one that was noted before, whatever the order in which they come."""
    product.agent(NOTE, ["shared", 1])
    product.owner("update private.secret_use set last_used_at = now() + interval '1 hour'")
    product.agent(NOTE, ["shared", 1])

    assert product.owner("select last_used_at > now() + interval '59 min' from private.secret_use") == [
        (True,)
    ]


@pytest.mark.parametrize(
    ("secret", "version"), [("", 1), ("a b", 1), ("x" * 64, 1), ("shared", 0), (None, 1)]
)
def test_what_is_no_secret_is_refused(product: Product, secret: str | None, version: int) -> None:
    """Only names and versions of secrets get into the table."""
    with pytest.raises(psycopg.Error) as caught:
        product.agent(NOTE, [secret, version])

    assert caught.value.sqlstate == "22023"


def test_only_services_note(product: Product, alice: Person) -> None:
    """Neither users nor visitors nor the server's role may, and the owner is no service."""
    for ask in (product.server, product.visitor, product.owner, lambda *one: product.user(alice, *one)):
        with pytest.raises(CLOSED):
            ask(NOTE, ["shared", 1])


def test_only_the_owner_reads(product: Product) -> None:
    """A service writes by the function alone."""
    for ask in (product.app, product.agent, product.server):
        with pytest.raises(CLOSED):
            ask(NOTED)
