"""Conversations belong to a user; what the agent said comes from the agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.fix_product import Person, Product

SAY: LiteralString = (
    "insert into messages (organization_id, conversation_id, role, content) values (%s, %s, %s, 'Hi')"
)
MESSAGES: LiteralString = "select role, content from messages order by id"


def start(product: Product, person: Person) -> UUID:
    """Start a conversation and give its id."""
    query: LiteralString = "insert into conversations (organization_id) values (%s) returning id"
    [(conversation,)] = product.user(person, query, [person.organization])
    return UUID(str(conversation))


def test_a_conversation_with_a_reply(product: Product, alice: Person) -> None:
    """The user's message is written by the user, the reply by the agent, and both are read by the user."""
    conversation = start(product, alice)
    product.user(alice, SAY, [alice.organization, conversation, "user"])
    [(charge,)] = product.agent(
        "select entry_id from deduct_credits(%s, 1, 'reply', 'k')", [alice.organization]
    )
    product.agent("select store_reply(%s, 'Hello', 'echo', %s)", [conversation, charge])
    assert product.user(alice, MESSAGES) == [("user", "Hi"), ("assistant", "Hello")]


def test_users_cannot_speak_for_the_agent(product: Product, alice: Person) -> None:
    """A message of role assistant by a user is refused, or its memory could be forged."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        product.user(alice, SAY, [alice.organization, start(product, alice), "assistant"])
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for function"):
        product.user(alice, "select store_reply(%s, 'Hello')", [uuid4()])


def test_nobody_writes_into_anothers_conversation(product: Product, alice: Person, bob: Person) -> None:
    """A member does not see a colleague's conversation; the owner reads it, and cannot write there."""
    theirs = type(bob)(bob.id, alice.organization)
    conversation = start(product, theirs)
    product.user(bob, SAY, [alice.organization, conversation, "user"])
    assert product.user(alice, MESSAGES) == [("user", "Hi")]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        product.user(alice, SAY, [alice.organization, conversation, "user"])
    start(product, alice)
    assert len(product.user(bob, "select id from conversations")) == 1


def test_who_left_reads_nothing(product: Product, alice: Person, bob: Person) -> None:
    """A conversation in an organization is out of reach when the membership ends."""
    start(product, bob)
    product.owner(
        "delete from memberships where user_id = %s and organization_id = %s", [bob.id, alice.organization]
    )
    assert product.user(bob, "select id from conversations") == []


def test_a_charge_of_another_organization(product: Product, alice: Person, mallory: Person) -> None:
    """A reply cannot be booked on somebody else's charge."""
    [(charge,)] = product.agent(
        "select entry_id from deduct_credits(%s, 1, 'x', 'k')", [mallory.organization]
    )
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        product.agent("select store_reply(%s, 'Hello', 'echo', %s)", [start(product, alice), charge])


def test_a_reply_to_nothing(product: Product) -> None:
    """A conversation that was deleted meanwhile is named as missing."""
    with pytest.raises(psycopg.Error, match="there is no conversation") as caught:
        product.agent("select store_reply(%s, 'Hello')", [uuid4()])
    assert caught.value.sqlstate == "PT404"


def test_replies_ask_for_one_summary(product: Product, alice: Person) -> None:
    """Several replies leave one waiting job, which knows the conversation and its user."""
    conversation = start(product, alice)
    for _ in range(3):
        product.agent("select store_reply(%s, 'Hello')", [conversation])
    assert product.server("select kind, payload, organization_id, status from jobs") == [
        (
            "summarize_conversation",
            {"conversation_id": str(conversation), "user_id": str(alice.id)},
            alice.organization,
            "queued",
        )
    ]


def test_a_message_moves_its_conversation_up(product: Product, alice: Person) -> None:
    """The list of conversations can be ordered by what happened last."""
    first, second = start(product, alice), start(product, alice)
    product.user(alice, SAY, [alice.organization, first, "user"])
    rows = product.user(alice, "select id from conversations order by updated_at desc")
    assert rows == [(first,), (second,)]


def test_an_agent_that_is_deleted_leaves_the_conversation(product: Product, alice: Person) -> None:
    """Deleting an agent keeps what was said, in its organization."""
    add: LiteralString = "insert into agents (organization_id, name) values (%s, 'Guide') returning id"
    [(agent,)] = product.user(alice, add, [alice.organization])
    add = "insert into conversations (organization_id, agent_id) values (%s, %s)"
    product.user(alice, add, [alice.organization, agent])
    product.user(alice, "delete from agents")
    rows = product.user(alice, "select organization_id, agent_id from conversations")
    assert rows == [(alice.organization, None)]
