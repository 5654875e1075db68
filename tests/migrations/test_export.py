"""What an organization takes along when it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest
from psycopg import sql

if TYPE_CHECKING:
    from tests.fix_product import Person, Product

TABLES: LiteralString = "select table_name, columns, order_by from export_tables()"


def export(product: Product, person: Person, table: str) -> str:
    """Write one table of the person's organization as CSV, as docs/schema.md says."""
    entries = {name: (columns, order) for name, columns, order in product.user(person, TABLES)}
    columns, order = entries[table]
    key = "id" if table == "organizations" else "organization_id"
    statement = sql.SQL(
        "copy (select {} from public.{} where {} = {} order by {}) to stdout with csv header"
    ).format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.Identifier(table),
        sql.Identifier(key),
        sql.Literal(person.organization),
        sql.SQL(", ").join(map(sql.Identifier, order)),
    )
    with product.acting("authenticated", person) as session, session.cursor().copy(statement) as copy:
        return b"".join(bytes(part) for part in copy).decode()


def test_every_table_of_an_organization_is_listed(product: Product, alice: Person) -> None:
    """Each table with an organization is in the list, but those that are closed to users."""
    query: LiteralString = (
        "select table_name::text from information_schema.columns"
        " where table_schema = 'public' and column_name = 'organization_id'"
    )
    owned = {name for (name,) in product.owner(query)} | {"organizations"}
    listed = {name for name, *_ in product.user(alice, TABLES)}
    assert owned - listed == {"billing_events", "jobs"}
    assert listed <= owned


def test_a_new_table_is_exported_without_further_work(product: Product, alice: Person) -> None:
    """A later table is in the export as soon as users may read it, without its hidden columns."""
    product.owner("create table notes (id bigint primary key, organization_id uuid, note text, hidden text)")
    assert "notes" not in {name for name, *_ in product.user(alice, TABLES)}
    product.owner("grant select (id, organization_id, note) on notes to authenticated")
    assert ("notes", ["id", "organization_id", "note"], ["id"]) in product.user(alice, TABLES)


def test_a_view_with_other_rights_is_not_exported(product: Product, alice: Person) -> None:
    """A view that runs with its owner's rights would show everybody's rows and is left out."""
    product.owner("create view peek as select organization_id, balance from credit_balances")
    product.owner("grant select on peek to authenticated")
    assert "peek" not in {name for name, *_ in product.user(alice, TABLES)}


def test_hashes_are_not_exported(product: Product, alice: Person) -> None:
    """The export has the keys' names, not their hashes."""
    product.user(alice, "select * from create_api_key(%s, 'ci')", [alice.organization])
    text = export(product, alice, "api_keys")
    assert ",ci,gw_" in text
    assert "key_hash" not in text


def test_the_export_holds_the_own_rows(product: Product, alice: Person, mallory: Person) -> None:
    """The statement of the documentation gives the organization's rows, in order, and nobody else's."""
    for person in (alice, mallory):
        add: LiteralString = "insert into documents (organization_id, title) values (%s, %s)"
        product.user(person, add, [person.organization, f"of, {person.id}"])
    text = export(product, alice, "documents")
    assert text.startswith("id,organization_id,title,")
    assert f'"of, {alice.id}"' in text
    assert str(mallory.id) not in text
    assert str(alice.organization) in export(product, alice, "organizations")


def test_every_listed_table_can_be_exported(product: Product, alice: Person) -> None:
    """The documented statement works for each entry."""
    listed = [name for name, *_ in product.user(alice, TABLES)]
    assert all(export(product, alice, name).count("\n") >= 1 for name in listed)


def test_visitors_have_no_export(product: Product) -> None:
    """The list itself is for users."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        product.visitor(TABLES)
