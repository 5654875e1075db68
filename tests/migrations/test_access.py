"""Who sees and changes what: each table, asked by each kind of caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fix_product import Person, Product, Row

# Rows of Alice's organization that a member (Bob), the owner (Alice), a stranger (Mallory) and service_role
# see. None: the table is closed to them.
VISIBLE: dict[LiteralString, tuple[int | None, int | None, int | None, int]] = {
    "agent_documents": (1, 1, 0, 1),
    "agents": (1, 1, 0, 1),
    "audit_log": (0, 3, 0, 3),
    "billing_events": (None, None, None, 1),
    "conversations": (1, 2, 0, 2),
    "credit_balances": (1, 1, 0, 1),
    "credit_entries": (3, 3, 0, 3),
    "document_chunks": (1, 1, 0, 1),
    "documents": (1, 1, 0, 1),
    "founding_grants": (1, 1, 0, 1),
    "jobs": (None, None, None, 1),
    "memberships": (2, 2, 0, 2),
    "memory_summaries": (1, 0, 0, 1),
    "messages": (1, 2, 0, 2),
    "organization_members": (2, 2, 0, 2),
    "subscriptions": (1, 1, 0, 1),
}
TABLES: LiteralString = (
    "select c.relname::text from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'"
)
ADD_CHUNK: LiteralString = (
    "insert into document_chunks (organization_id, document_id, position, content) values (%s, %s, 0, 'x')"
)
ADD_ENTRY: LiteralString = (
    "insert into credit_entries (organization_id, kind, amount, balance_after, reason, idempotency_key)"
    " values (%s, 'grant', 5, 5, 'x', 'x')"
)
ADD_SUBSCRIPTION: LiteralString = (
    "insert into subscriptions (organization_id, provider, provider_subscription_id, plan, status,"
    " provider_updated_at) values (%s, 'x', 'x', 'pro', 'active', now())"
)
CLOSED = psycopg.errors.InsufficientPrivilege


def talk(product: Product, person: Person, organization: object) -> None:
    """Start a conversation with one message."""
    query: LiteralString = "insert into conversations (organization_id) values (%s) returning id"
    [(conversation,)] = product.user(person, query, [organization])
    query = (
        "insert into messages (organization_id, conversation_id, role, content) values (%s, %s, 'user', 'Hi')"
    )
    product.user(person, query, [organization, conversation])


def add_billing(product: Product, alice: Person) -> None:
    """Let a subscription and a founding grant come in."""
    [(event,)] = product.app("select event_id from record_billing_event('shop', 'e1', 'made', '{}')")
    query: LiteralString = "select apply_subscription(%s, %s, 's1', 'pro', 'active', null, now(), 50)"
    product.app(query, [event, alice.organization])
    product.app("select * from claim_founding_grant(%s, %s)", [alice.organization, alice.id])


def add_documents(product: Product, alice: Person, bob: Person) -> None:
    """Let Bob write a document with one chunk, and Alice give it to a new agent."""
    owned = alice.organization
    query: LiteralString = "insert into documents (organization_id, title) values (%s, 'Guide') returning id"
    [(document,)] = product.user(bob, query, [owned])
    product.user(bob, ADD_CHUNK, [owned, document])
    query = "insert into agents (organization_id, name) values (%s, 'Guide') returning id"
    [(agent,)] = product.user(alice, query, [owned])
    query = "insert into agent_documents (organization_id, agent_id, document_id) values (%s, %s, %s)"
    product.user(alice, query, [owned, agent, document])


@pytest.fixture
def filled(product: Product, alice: Person, bob: Person) -> Product:
    """Put a row into every table of Alice's organization, by the ways that the product has."""
    owned = [alice.organization]
    add_billing(product, alice)
    add_documents(product, alice, bob)
    talk(product, alice, alice.organization)
    talk(product, bob, alice.organization)
    product.user(
        bob, "insert into memory_summaries (organization_id, summary) values (%s, 'likes tea')", owned
    )
    product.user(alice, "select * from create_api_key(%s, 'ci')", owned)
    product.agent("select enqueue_job('summarize_conversation', organization => %s)", owned)
    product.visitor("select join_waitlist('someone@example.org')")
    return product


def count(ask: Callable[..., list[Row]], *arguments: object) -> int | None:
    """Count rows as somebody; None when they may not ask."""
    try:
        [(rows,)] = ask(*arguments)
    except CLOSED:
        return None
    return int(rows)


def test_rows_by_caller(filled: Product, alice: Person, bob: Person, mallory: Person) -> None:
    """An organization's rows are seen by those who may see them, and the closed tables by no user."""
    owned = [alice.organization]

    def seen(table: LiteralString) -> tuple[int | None, ...]:
        query: LiteralString = f"select count(*) from {table} where organization_id = %s"
        people = [count(filled.user, who, query, owned) for who in (bob, alice, mallory)]
        return (*people, count(filled.server, query, owned))

    assert {table: seen(table) for table in VISIBLE} == VISIBLE


def test_visitors_see_no_table(filled: Product) -> None:
    """A visitor is refused by every table and view of the product."""
    names = [name for (name,) in filled.owner(TABLES)]
    seen = {name: count(filled.visitor, f"select count(*) from {name}") for name in names}
    assert seen == dict.fromkeys(names)
    assert set(VISIBLE) - {"organization_members"} < set(names)


@pytest.mark.parametrize("group", ["app_runtime", "agent_runtime"])
def test_services_see_no_table(filled: Product, group: str) -> None:
    """A workload that has not taken on a user's role is refused by every table."""
    names = [name for (name,) in filled.owner(TABLES)]
    seen = {name: count(filled.service, group, f"select count(*) from {name}") for name in names}
    assert seen == dict.fromkeys(names)


def test_signed_in_without_claims(filled: Product) -> None:
    """Whoever forgets to set the claims sees nothing, rather than everything."""
    with filled.acting("authenticated") as session:
        tables = ["organizations", "profiles", "memberships", "documents", "conversations", "credit_balances"]
        rows = [session.execute(f"select count(*) from {table}").fetchone() for table in tables]
    assert rows == [(0,)] * len(tables)


def test_profiles_of_colleagues_only(product: Product, alice: Person, bob: Person, mallory: Person) -> None:
    """People see themselves and whom they share an organization with."""
    seen = [{row[0] for row in product.user(who, "select id from profiles")} for who in (alice, bob, mallory)]
    assert seen == [{alice.id, bob.id}, {alice.id, bob.id}, {mallory.id}]


WRITES: list[LiteralString] = [
    "insert into documents (organization_id, title) values (%s, 'x')",
    "insert into agents (organization_id, name) values (%s, 'x')",
    "insert into conversations (organization_id) values (%s)",
    "insert into memory_summaries (organization_id, summary) values (%s, 'x')",
    "insert into memberships (organization_id, user_id, role) values (%s, auth.uid(), 'owner')",
    ADD_ENTRY,
    "update credit_balances set balance = 1000 where organization_id = %s",
    "insert into audit_log (organization_id, action) values (%s, 'x')",
    ADD_SUBSCRIPTION,
    "insert into founding_grants (organization_id, seat, credits) values (%s, 1, 1)",
    "select * from create_api_key(%s, 'x')",
    "select * from deduct_credits(%s, 1, 'x', 'x')",
    "select * from grant_credits(%s, 1, 'x', 'x')",
    "select claim_founding_grant(%s, auth.uid())",
    "select enqueue_job('x', organization => %s)",
    "select record_audit_event(%s, 'x')",
]


@pytest.mark.parametrize("query", WRITES, ids=lambda query: query[:40])
def test_strangers_write_nothing(
    product: Product, alice: Person, mallory: Person, query: LiteralString
) -> None:
    """A user of another organization can write nothing into this one, by no table and no function."""
    with pytest.raises(psycopg.Error) as caught:
        product.user(mallory, query, [alice.organization])
    assert caught.value.sqlstate in {"42501", "PT403"}


CHANGES: list[tuple[LiteralString, LiteralString]] = [
    ("documents", "title = 'stolen'"),
    ("document_chunks", "content = 'stolen'"),
    ("agents", "name = 'stolen'"),
    ("conversations", "title = 'stolen'"),
    ("memory_summaries", "summary = 'stolen'"),
    ("memberships", "role = 'owner'"),
]


@pytest.mark.parametrize(("table", "change"), CHANGES)
def test_strangers_change_nothing(
    filled: Product, alice: Person, mallory: Person, table: LiteralString, change: LiteralString
) -> None:
    """Updates and deletes of a user of another organization reach no row of this one."""
    query: LiteralString = f"update {table} set {change} where organization_id = %s returning 1"
    assert filled.user(mallory, query, [alice.organization]) == []
    query = f"delete from {table} where organization_id = %s returning 1"
    assert filled.user(mallory, query, [alice.organization]) == []


def test_rows_stay_in_their_organization(filled: Product, alice: Person, mallory: Person) -> None:
    """A chunk cannot be hung under a stranger's document, nor a row be moved to another organization."""
    [(document,)] = filled.user(alice, "delete from document_chunks returning document_id")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        filled.user(mallory, ADD_CHUNK, [mallory.organization, document])
    with pytest.raises(CLOSED):
        filled.user(alice, "update documents set organization_id = %s", [mallory.organization])


def test_server_reads_but_does_not_write_the_books(product: Product, alice: Person) -> None:
    """Even service_role changes credits by the functions only."""
    with pytest.raises(CLOSED):
        product.server("update credit_balances set balance = 5")
    query: LiteralString = "select balance from grant_credits(%s, 5, 'thanks', 'k')"
    assert product.server(query, [alice.organization]) == [(105,)]
