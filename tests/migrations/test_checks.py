"""The assertions that run after every update: silent on the schema, and loud on a damaged one."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import psycopg
import pytest

from tests.fix_supabase import MIGRATIONS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fix_product import Person, Product

FILES = sorted((MIGRATIONS / "checks").glob("*.sql"))

DROP_CHECK: LiteralString = "alter table credit_balances drop constraint credit_balances_balance_check; "
OVERDRAW: LiteralString = (
    "alter table credit_entries drop constraint credit_entries_balance_after_check; "
    "insert into credit_entries (organization_id, kind, amount, balance_after, reason, idempotency_key)"
    " select id, 'charge', -150, -50, 'x', 'x' from organizations"
)
OVER_REFUND: LiteralString = (
    "insert into credit_entries"
    " (organization_id, kind, amount, balance_after, reason, idempotency_key, refund_of)"
    " select organization_id, 'refund', 500, 500, 'x', 'x', id from credit_entries"
)
# What somebody breaks, the file that must notice it, and a part of what it says.
DAMAGES: list[tuple[LiteralString, str, str]] = [
    ("drop table waitlist_entries", "tables", "table or view public.waitlist_entries is missing"),
    ("drop view organization_members", "tables", "table or view public.organization_members is missing"),
    (
        "alter table documents disable row level security",
        "row_security",
        "public.documents has row level security",
    ),
    (
        "create table notes (id bigint primary key)",
        "row_security",
        "public.notes has row level security disabled",
    ),
    ("drop policy jobs_service on jobs", "row_security", "public.jobs has no policy"),
    (
        "create policy p on agents for select using (false)",
        "row_security",
        "policy p on public.agents always denies",
    ),
    (
        "create policy p on agents for delete to authenticated using (true)",
        "row_security",
        "policy p on public.agents lets everybody do everything",
    ),
    (
        "create policy p on agents for select to authenticated using (created_by = auth.uid())",
        "row_security",
        "policy p on public.agents calls auth.uid() for every row",
    ),
    (
        "create view peek as select * from documents",
        "row_security",
        "view public.peek is not security_invoker",
    ),
    (
        "drop policy documents_insert on documents",
        "grants",
        "authenticated may INSERT public.documents, but no policy is for it",
    ),
    (
        "revoke delete on documents from authenticated",
        "grants",
        "a policy lets authenticated DELETE public.documents, but the grant is missing",
    ),
    (
        "grant truncate on documents to authenticated",
        "grants",
        "authenticated has TRUNCATE on public.documents",
    ),
    (
        "revoke select on agents from authenticated",
        "grants",
        "authenticated may not select from public.agents",
    ),
    ("revoke select on jobs from service_role", "grants", "service_role may not select from public.jobs"),
    ("grant select on waitlist_entries to anon", "grants", "anon reaches the table public.waitlist_entries"),
    (
        "grant select on api_keys to authenticated",
        "grants",
        "the hash of API keys is readable by authenticated",
    ),
    (
        "alter function deduct_credits(uuid, integer, text, text, uuid) reset search_path",
        "functions",
        "is SECURITY DEFINER without search_path = ''",
    ),
    (
        "grant execute on function grant_credits(uuid, integer, text, text) to authenticated",
        "functions",
        "authenticated may execute the SECURITY DEFINER function grant_credits",
    ),
    (
        "grant execute on function export_tables() to public",
        "functions",
        "everybody (PUBLIC) may execute export_tables",
    ),
    (
        "revoke execute on function complete_job(bigint, uuid) from agent_runtime",
        "functions",
        "agent_runtime may not execute public.complete_job(bigint,uuid)",
    ),
    (
        "update credit_balances set balance = balance + 1",
        "credits",
        "a balance of 101, but its entries sum up to 100",
    ),
    ("delete from credit_balances", "credits", "but its entries sum up to 100"),
    (
        DROP_CHECK + "update credit_balances set balance = -5",
        "credits",
        "has a negative balance: -5",
    ),
    (
        OVERDRAW,
        "credits",
        "left a negative balance: -50",
    ),
    (
        OVER_REFUND,
        "credits",
        "gives back 500 for a charge of",
    ),
    ("delete from profiles", "ownership", "has no profile"),
    (
        "alter table memberships disable trigger keep_an_owner; update memberships set role = 'member'",
        "ownership",
        "has members, but no owner",
    ),
    (
        "alter function private.on_user_created() rename to gone; drop function private.gone() cascade",
        "ownership",
        "the trigger groundwork_user_created on auth.users is missing",
    ),
    (
        "alter table credit_entries disable trigger append_only",
        "ownership",
        "public.credit_entries is not append-only: its trigger append_only is missing or disabled",
    ),
    (
        "alter table agents add constraint late check (name <> '') not valid",
        "integrity",
        "constraint late on agents is not validated",
    ),
    (
        "drop index memberships_user_id_idx",
        "integrity",
        "memberships_user_id_fkey on memberships has no index",
    ),
    ("alter table jobs drop constraint jobs_pkey", "integrity", "table jobs has no primary key"),
    (
        "drop index memory_summaries_embedding_idx",
        "integrity",
        "public.memory_summaries.embedding has no HNSW index",
    ),
    (
        "grant select on documents to app_runtime",
        "runtime_roles",
        "app_runtime has its own right to the table public.documents",
    ),
]
# Roles belong to the server: these damages are rolled back.
ROLE_DAMAGES: list[tuple[LiteralString, str]] = [
    ("alter role app_runtime login", "role app_runtime may log in, inherits, or has powers"),
    ("alter role agent_runtime inherit", "role agent_runtime may log in, inherits, or has powers"),
    ("grant service_role to app_runtime", "role app_runtime can become service_role"),
    ("revoke authenticated from agent_runtime", "role agent_runtime cannot become authenticated"),
    ("alter role app_runtime rename to web_runtime", "role app_runtime is missing"),
]


def violations(session: psycopg.Connection, file: Path) -> list[str]:
    """Run one file as the migration engine does, and collect what its SELECTs return."""
    cursor = session.execute(file.read_bytes())
    found = [row[0] for row in cursor.fetchall()]
    while cursor.nextset():
        found += [row[0] for row in cursor.fetchall()]
    return found


def check_all(session: psycopg.Connection) -> dict[str, list[str]]:
    """Run every file; give those that found something."""
    results = {file.stem: violations(session, file) for file in FILES}
    return {name: found for name, found in results.items() if found}


@pytest.mark.usefixtures("alice", "bob", "mallory")
def test_all_is_well(product: Product) -> None:
    """No check has anything to say about the schema in use, also in a read-only transaction."""
    with psycopg.connect(product.owner_dsn) as session:
        session.read_only = True
        assert check_all(session) == {}
    assert len(FILES) >= 7


@pytest.mark.parametrize(("damage", "file", "message"), DAMAGES, ids=lambda value: value[:50])
def test_damage_is_noticed(
    product: Product, alice: Person, damage: LiteralString, file: str, message: str
) -> None:
    """Each damage is found by the file that is for it, in words that name the object."""
    assert alice
    for statement in damage.split("; "):
        product.owner(statement)
    with psycopg.connect(product.owner_dsn) as session:
        found = check_all(session)
    assert [text for text in found.get(file, []) if message in text], found


@pytest.mark.parametrize(("damage", "message"), ROLE_DAMAGES)
def test_damaged_roles_are_noticed(product: Product, damage: LiteralString, message: str) -> None:
    """A workload's role that became more, or less, than a limited one is found."""
    with psycopg.connect(product.owner_dsn) as session:
        session.execute(damage)
        found = check_all(session)
        session.rollback()
    assert [text for text in found["runtime_roles"] if text.startswith(message)], found


def test_an_invalid_index_is_noticed(product: Product) -> None:
    """What a failed CREATE INDEX CONCURRENTLY leaves is found."""
    product.owner(
        "insert into waitlist_entries (email, source) values ('a@example.org', 'x'), ('b@example.org', 'x')"
    )
    with psycopg.connect(product.owner_dsn, autocommit=True) as session:
        with pytest.raises(psycopg.errors.UniqueViolation):
            session.execute("create unique index concurrently broken on waitlist_entries (source)")
        assert check_all(session) == {"integrity": ["index broken is invalid"]}


def test_an_empty_project_is_noticed(empty_project: str) -> None:
    """Run on a database without the product, the checks do not pass by having nothing to look at."""
    with psycopg.connect(empty_project) as session:
        found = violations(session, MIGRATIONS / "checks" / "tables.sql")
    assert len(found) == 20
