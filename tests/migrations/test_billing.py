"""Webhook events, subscriptions and founding grants: each effect once, whatever the order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.fix_product import Person, Product

RECORD: LiteralString = (
    "select event_id, is_new from record_billing_event('shop', %s, 'renewed', '{\"a\": 1}')"
)
APPLY: LiteralString = "select apply_subscription(%s, %s, 's1', %s, %s, now() + interval '30 days', %s, %s)"
CLAIM: LiteralString = "select seat, credits, is_new from claim_founding_grant(%s, %s)"
STATE: LiteralString = "select plan, status from subscriptions"
BALANCE: LiteralString = "select credit_balance(%s)"


def record(product: Product, name: str) -> int:
    """Store a delivery and give its number."""
    [(event, _)] = product.app(RECORD, [name])
    return int(event)


def test_a_delivery_is_stored_once(product: Product) -> None:
    """The same event delivered many times at once is one row, and each caller learns its number."""
    with ThreadPoolExecutor(8) as threads:
        answers = [answer for (answer,) in threads.map(lambda _: product.app(RECORD, ["e1"]), range(8))]
    assert len({event for event, _ in answers}) == 1
    assert sorted(is_new for _, is_new in answers) == [False] * 7 + [True]


def test_an_event_has_its_effect_once(product: Product, alice: Person) -> None:
    """Subscription and credits come with the first call; others, also at the same time, add nothing."""
    event = record(product, "e1")
    arguments = [event, alice.organization, "pro", "active", "2026-01-01", 500]
    with ThreadPoolExecutor(6) as threads:
        answers = [done for ((done,),) in threads.map(lambda _: product.app(APPLY, arguments), range(6))]
    assert sorted(answers) == [False] * 5 + [True]
    assert product.user(alice, STATE) == [("pro", "active")]
    assert product.app(BALANCE, [alice.organization]) == [(600,)]
    assert product.server("select count(*) from billing_events where processed_at is null") == [(0,)]


def test_an_old_event_does_not_undo_a_new_one(product: Product, alice: Person) -> None:
    """Deliveries out of order end in the newest state."""
    late, early = record(product, "late"), record(product, "early")
    product.app(APPLY, [late, alice.organization, "pro", "cancelled", "2026-02-01", 0])
    product.app(APPLY, [early, alice.organization, "pro", "active", "2026-01-01", 0])
    assert product.user(alice, STATE) == [("pro", "cancelled")]


def test_a_subscription_does_not_change_hands(product: Product, alice: Person, mallory: Person) -> None:
    """A later event cannot move a subscription to another organization; nothing of it is kept."""
    product.app(APPLY, [record(product, "e1"), alice.organization, "pro", "active", "2026-01-01", 0])
    with pytest.raises(psycopg.Error, match="belongs to another organization"):
        product.app(APPLY, [record(product, "e2"), mallory.organization, "pro", "active", "2026-02-01", 900])
    assert product.app(BALANCE, [mallory.organization]) == [(100,)]
    assert product.owner("select provider_updated_at::date::text from subscriptions") == [("2026-01-01",)]


def test_an_unknown_event(product: Product, alice: Person) -> None:
    """Applying what was never delivered is refused."""
    with pytest.raises(psycopg.Error, match="there is no billing event 99"):
        product.app(APPLY, [99, alice.organization, "pro", "active", "2026-01-01", 0])


def test_an_unknown_status_keeps_the_event_waiting(product: Product, alice: Person) -> None:
    """A status that the product does not know fails as a whole: the event can be applied later."""
    event = record(product, "e1")
    with pytest.raises(psycopg.errors.CheckViolation, match="subscriptions_status_check"):
        product.app(APPLY, [event, alice.organization, "pro", "dreaming", "2026-01-01", 500])
    assert product.app(BALANCE, [alice.organization]) == [(100,)]
    assert product.server("select count(*) from billing_events where processed_at is null") == [(1,)]


def test_a_founding_grant_is_given_once(product: Product, alice: Person) -> None:
    """The first claim brings the credits, a repeated one names the same seat."""
    assert product.app(CLAIM, [alice.organization, alice.id]) == [(1, 1000, True)]
    assert product.app(CLAIM, [alice.organization, alice.id]) == [(1, 1000, False)]
    assert product.app(BALANCE, [alice.organization]) == [(1100,)]


def test_founding_seats_are_limited(product: Product) -> None:
    """Of many claims at once exactly as many succeed as there are seats."""
    product.owner("update private.product_settings set value = '3' where name = 'founding_seats'")
    people = [product.sign_up(f"p{number}@example.org") for number in range(8)]

    def claim(person: Person) -> int | None:
        try:
            [(seat, *_)] = product.app(CLAIM, [person.organization, person.id])
        except psycopg.Error as error:
            assert error.sqlstate == "PT409"  # noqa: PT017  # success is the other outcome
            return None
        return int(seat)

    with ThreadPoolExecutor(8) as threads:
        seats = [seat for seat in threads.map(claim, people) if seat]
    assert sorted(seats) == [1, 2, 3]


def test_only_owners_claim(product: Product, alice: Person, bob: Person, mallory: Person) -> None:
    """A member and a stranger are told that they are no owner."""
    for person in (bob, mallory):
        with pytest.raises(psycopg.Error, match="is not owner of organization"):
            product.app(CLAIM, [alice.organization, person.id])
