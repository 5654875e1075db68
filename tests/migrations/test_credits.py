"""Credits: never negative, counted once, given back once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, LiteralString
from uuid import uuid4

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fix_product import Person, Product

DEDUCT: LiteralString = "select entry_id, balance, replayed from deduct_credits(%s, %s, 'reply', %s)"
REFUND: LiteralString = "select balance, replayed from refund_credits(%s, %s, 'model failed')"
REFUND_PART: LiteralString = "select balance, replayed from refund_credits(%s, %s, 'model failed', %s)"
BOOKS: LiteralString = (
    "select b.balance, sum(e.amount), count(*) filter (where e.kind = 'charge')"
    " from credit_balances b join credit_entries e on e.organization_id = b.organization_id"
    " where b.organization_id = %s group by b.balance"
)


def refused(product: Product, query: LiteralString, arguments: Sequence[object]) -> tuple[str | None, str]:
    """Run what must fail as the agent; give SQLSTATE and message."""
    with pytest.raises(psycopg.Error) as caught:
        product.agent(query, arguments)
    return caught.value.sqlstate, caught.value.diag.message_primary or ""


def test_deduct_takes_from_the_balance(product: Product, alice: Person) -> None:
    """A charge is an entry and a lower balance, in one."""
    [(_, balance, replayed)] = product.agent(DEDUCT, [alice.organization, 30, "k"])
    assert (balance, replayed) == (70, False)
    assert product.owner(BOOKS, [alice.organization]) == [(70, Decimal(70), 1)]


@pytest.mark.parametrize("amounts", [[10] * 20, [7] * 40])
def test_concurrent_charges_never_overdraw(product: Product, alice: Person, amounts: list[int]) -> None:
    """Of many charges at once exactly those succeed that the balance is enough for."""

    def charge(number: int) -> bool:
        try:
            product.agent(DEDUCT, [alice.organization, amounts[number], f"k{number}"])
        except psycopg.Error as error:
            assert error.sqlstate == "PT402"  # noqa: PT017  # success is the other outcome
            return False
        return True

    with ThreadPoolExecutor(20) as threads:
        done = sum(threads.map(charge, range(len(amounts))))
    assert done == 100 // amounts[0]
    left = 100 - done * amounts[0]
    assert product.owner(BOOKS, [alice.organization]) == [(left, Decimal(left), done)]


def test_a_retried_charge_counts_once(product: Product, alice: Person) -> None:
    """The same charge sent many times at once is one entry, and all callers learn its number."""
    with ThreadPoolExecutor(10) as threads:
        answers = list(
            threads.map(lambda _: product.agent(DEDUCT, [alice.organization, 30, "same"])[0], range(10))
        )
    assert {(entry, balance) for entry, balance, _ in answers} == {(answers[0][0], 70)}
    assert sorted(replayed for *_, replayed in answers) == [False] + [True] * 9
    assert product.owner(BOOKS, [alice.organization]) == [(70, Decimal(70), 1)]


def test_a_key_is_for_one_charge(product: Product, alice: Person, mallory: Person) -> None:
    """A key that comes back with another amount is refused; another organization may use the same key."""
    product.agent(DEDUCT, [alice.organization, 30, "k"])
    state, message = refused(product, DEDUCT, [alice.organization, 31, "k"])
    assert (state, "used for a different charge" in message) == ("PT409", True)
    [(_, balance, replayed)] = product.agent(DEDUCT, [mallory.organization, 31, "k"])
    assert (balance, replayed) == (69, False)


def test_too_small_a_balance(product: Product, alice: Person) -> None:
    """A charge beyond the balance takes nothing and says both numbers."""
    assert refused(product, DEDUCT, [alice.organization, 101, "k"]) == (
        "PT402",
        "not enough credits: the organization has 100, the charge is 101",
    )
    assert product.owner(BOOKS, [alice.organization]) == [(100, Decimal(100), 0)]


@pytest.mark.parametrize("amount", [0, -5, None])
def test_amounts_are_positive(product: Product, alice: Person, amount: int | None) -> None:
    """Neither a charge nor a refund nor a grant can turn round by its sign."""
    assert refused(product, DEDUCT, [alice.organization, amount, "k"])[0] == "22023"
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        product.server("select grant_credits(%s, %s, 'x', 'x')", [alice.organization, amount])
    if amount is not None:
        assert refused(product, REFUND_PART, [alice.organization, "k", amount])[0] == "22023"


def test_unknown_names(product: Product, alice: Person) -> None:
    """An unknown organization and an unknown charge are named as such."""
    state, message = refused(product, DEDUCT, [uuid4(), 1, "k"])
    assert (state, message.startswith("there is no organization")) == ("PT404", True)
    state, message = refused(product, REFUND, [alice.organization, "never"])
    assert (state, message.endswith("has no charge with this key")) == ("PT404", True)


def test_the_acting_user_must_be_a_member(product: Product, alice: Person, mallory: Person) -> None:
    """A charge in the name of a stranger is refused; a member's is on record."""
    query: LiteralString = "select balance from deduct_credits(%s, 1, 'reply', 'k', %s)"
    assert refused(product, query, [alice.organization, mallory.id])[0] == "PT403"
    assert product.agent(query, [alice.organization, alice.id]) == [(99,)]
    assert product.owner("select user_id from credit_entries where kind = 'charge'") == [(alice.id,)]


def test_refund_gives_back_once(product: Product, alice: Person) -> None:
    """A refund asked for many times at once is one entry."""
    product.agent(DEDUCT, [alice.organization, 30, "k"])
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda _: product.agent(REFUND, [alice.organization, "k"])[0], range(10)))
    assert sorted(answers) == [(100, False)] + [(100, True)] * 9


def test_refund_is_at_most_the_charge(product: Product, alice: Person) -> None:
    """More than was charged is refused, a part is fine, and a second refund cannot add to it."""
    product.agent(DEDUCT, [alice.organization, 30, "k"])
    assert refused(product, REFUND_PART, [alice.organization, "k", 31]) == (
        "22023",
        "a refund of 31 is more than the charge of 30",
    )
    assert product.agent(REFUND_PART, [alice.organization, "k", 10]) == [(80, False)]
    assert refused(product, REFUND_PART, [alice.organization, "k", 20])[0] == "PT409"
    assert product.agent(REFUND_PART, [alice.organization, "k", 10]) == [(80, True)]


def test_refund_needs_the_own_charge(product: Product, alice: Person, mallory: Person) -> None:
    """A charge of one organization cannot be given back to another."""
    product.agent(DEDUCT, [alice.organization, 30, "k"])
    assert refused(product, REFUND, [mallory.organization, "k"])[0] == "PT404"


def test_a_refunded_charge_is_over(product: Product, alice: Person) -> None:
    """After a refund the same key cannot buy a reply for nothing."""
    product.agent(DEDUCT, [alice.organization, 30, "k"])
    product.agent(REFUND, [alice.organization, "k"])
    state, message = refused(product, DEDUCT, [alice.organization, 30, "k"])
    assert (state, message.endswith("was refunded")) == ("PT409", True)


def test_charge_and_refund_at_once(product: Product, alice: Person) -> None:
    """Charges and refunds of many requests at once end with balanced books."""

    def request(number: int) -> None:
        product.agent(DEDUCT, [alice.organization, 5, f"k{number}"])
        if number % 2:
            product.agent(REFUND, [alice.organization, f"k{number}"])

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(request, range(12)))
    assert product.owner(BOOKS, [alice.organization]) == [(70, Decimal(70), 12)]


@pytest.mark.parametrize(
    "query",
    [
        "update credit_entries set amount = 5000",
        "delete from credit_entries",
        "truncate credit_entries cascade",
        "delete from audit_log",
        "update audit_log set actor_id = null",
        "truncate audit_log",
    ],
)
def test_evidence_cannot_be_changed(product: Product, alice: Person, query: LiteralString) -> None:
    """Not even the owner changes or removes an entry of the ledger or the log."""
    product.agent(DEDUCT, [alice.organization, 1, "k"])
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is append-only"):
        product.owner(query)


def test_an_organization_with_books_is_kept(product: Product, alice: Person) -> None:
    """Deleting an organization does not delete its accounts on the way."""
    with pytest.raises(psycopg.errors.RestrictViolation):
        product.server("delete from organizations where id = %s", [alice.organization])


def test_credits_are_not_for_users(product: Product, alice: Person) -> None:
    """A user cannot charge, refund or grant, and the app cannot either."""
    for query in (DEDUCT, "select grant_credits(%s, %s, 'x', %s)"):
        for ask in (lambda q, a: product.user(alice, q, a), product.app):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for function"):
                ask(query, [alice.organization, 1, "k"])
