"""What the stand-in says of a project's real database: its migrations, types, weak points and use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.fix_emulator import Emulator, Project

MADE_BY_THE_CLI = """
create schema supabase_migrations;
create table supabase_migrations.schema_migrations (
    version text not null primary key, statements text[], name text
);
insert into supabase_migrations.schema_migrations values ('20260101000000', '{select 1}', 'first');
"""
SCHEMA = """
create type mood as enum ('sad', 'it is "ok"');
create type pair as (x int, y text);
create domain short as varchar(3);
create table parent (
    id bigint generated always as identity primary key, mood mood not null default 'sad', tags text[],
    data jsonb, code short not null, twice bigint generated always as (1) stored
);
create table child (
    id uuid primary key default gen_random_uuid(), parent bigint unique references parent, "a b" int
);
create view seen as select id from parent;
create function add(a int, b int default 1) returns int language sql as 'select a + b';
create function every() returns setof parent language sql as 'select * from parent';
create function listed() returns table (id bigint, word text) language sql as $$select 1::bigint, 'a'$$;
"""
WEAK = """
create table open (id int); grant select on open to anon;
create table closed (id int primary key); alter table closed enable row level security;
create table idle (id int primary key); create policy nobody on idle using (false);
create table child (id int primary key, other int references closed);
create index one on child (other, id); drop index one;
create index first on closed (id); create index second on closed (id);
create view past as select * from closed; grant select on past to anon;
create function loose() returns int language sql as 'select 1';
"""


@pytest.fixture
def fresh(emulator: Emulator) -> Project:
    """Give a project whose database is new."""
    return emulator.create("fresh")


def get(project: Project, path: str, **params: str) -> Any:
    """Read something about a project."""
    answer = project.emulator.client.get(f"{project.path}/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_migrations_join_the_history_of_the_cli(fresh: Project) -> None:
    """A migration runs once for a key, is recorded beside those of db push, and is rolled back."""
    fresh.sql(MADE_BY_THE_CLI)
    client, path = fresh.emulator.client, f"{fresh.path}/database/migrations"
    body = {"query": "create table a (n int); create table b (n int)", "name": "tables"}
    for _ in range(2):
        sent = client.post(
            path, json={**body, "rollback": "drop table a, b"}, headers={"idempotency-key": "k"}
        )
        assert sent.status_code == 200, sent.text
    broken = client.post(path, json={"query": "create table c (n int); select 1/0"})
    client.put(path, json={"query": "select 2", "name": "recorded only"}).raise_for_status()
    listed = get(fresh, "database/migrations")
    newest = listed[1]["version"]
    one = get(fresh, f"database/migrations/{newest}")
    tables = "select count(*)::int as n from pg_class where relname in ('a', 'b', 'c') and relkind = 'r'"
    there = fresh.sql(tables)
    client.patch(f"{path}/{newest}", json={"name": "renamed"}).raise_for_status()
    renamed = get(fresh, "database/migrations")
    client.delete(path, params={"gte": newest}).raise_for_status()

    assert (broken.status_code, "22012: division by zero" in broken.json()["message"]) == (400, True)
    assert [row["name"] for row in listed] == ["first", "tables", "recorded only"]
    assert [row["name"] for row in renamed] == ["first", "renamed", "recorded only"]
    assert (one["statements"], one["rollback"], one["idempotency_key"]) == (
        [body["query"]],
        ["drop table a, b"],
        "k",
    )
    assert there == [{"n": 2}]
    assert fresh.sql(tables) == [{"n": 0}]
    assert [row["name"] for row in get(fresh, "database/migrations")] == ["first"]


def test_types_are_those_of_the_catalog(fresh: Project) -> None:
    """Columns, defaults, enums, keys, views and functions are in the types; other schemas on demand."""
    fresh.sql(SCHEMA)
    lines = [line.strip() for line in get(fresh, "types/typescript")["types"].splitlines()]
    text = " ".join(lines)

    assert "Row: { code: string data: Json | null id: number mood: Database" in text
    assert (
        'Insert: { code: string data?: Json | null id?: never mood?: Database["public"]["Enums"]["mood"]'
        in text
    )
    assert "tags: string[] | null twice: number | null }" in text
    assert 'Enums: { mood: "sad" | "it is \\"ok\\"" }' in text
    assert '"a b": number | null' in text
    assert 'foreignKeyName: "child_parent_fkey" columns: ["parent"] isOneToOne: true' in text
    assert "Views: { seen: { Row: { id: number | null } Relationships: [] } }" in text
    assert "add: { Args: { a: number b?: number } Returns: number }" in text
    assert 'every: { Args: never Returns: Database["public"]["Tables"]["parent"]["Row"][] }' in text
    assert "listed: { Args: never Returns: { id: number word: string }[] }" in text
    assert "CompositeTypes: { pair: { x: number | null y: string | null } }" in text
    other = get(fresh, "types/typescript", included_schemas="storage,none")["types"]
    assert "avif_autodetection: boolean | null" in other
    assert "none: {" in other
    assert "  public: {" not in other


def test_advice_is_of_this_database(fresh: Project) -> None:
    """A new database has no weak point; each that is made is found, and can be asked for alone."""
    new = [get(fresh, f"advisors/{kind}")["lints"] for kind in ("security", "performance")]
    fresh.sql(WEAK)
    found = {
        kind: sorted(
            (one["name"], one["metadata"]["name"]) for one in get(fresh, f"advisors/{kind}")["lints"]
        )
        for kind in ("security", "performance")
    }
    rules = {"lints": [{"name": "rls_disabled_in_public"}]}
    chosen = fresh.emulator.client.post(
        f"/v2/projects/{fresh.ref}/advisors/run",
        json={"data": {"type": "project_advisors", "attributes": rules}},
    ).json()["data"]["attributes"]["lints"]

    assert new == [[], []]
    assert found["security"] == [
        ("function_search_path_mutable", "loose"),
        ("policy_exists_rls_disabled", "idle"),
        ("rls_disabled_in_public", "open"),
        ("rls_enabled_no_policy", "closed"),
        ("security_definer_view", "past"),
    ]
    assert found["performance"] == [
        ("duplicate_index", "closed"),
        ("no_primary_key", "open"),
        ("unindexed_foreign_keys", "child"),
    ]
    assert [one["detail"] for one in chosen] == [
        "Table `public.open` is public, but RLS has not been enabled."
    ]


def test_requests_to_services_are_counted(fresh: Project) -> None:
    """Each request to a service of the project counts for it; those to the Management API do not."""
    key = {"apikey": fresh.key("anon")}
    for path in ("/auth/v1/health", "/rest/v1/", "/rest/v1/", "/storage/v1/status"):
        httpx.get(f"{fresh.url}{path}", headers=key).raise_for_status()
    counts = get(fresh, "analytics/endpoints/usage.api-counts", interval="15min")["result"]
    total = get(fresh, "analytics/endpoints/usage.api-requests-count")["result"]

    by_service = {
        service: sum(one[f"total_{service}_requests"] for one in counts)
        for service in ("auth", "rest", "storage", "realtime")
    }
    assert by_service == {"auth": 1, "rest": 2, "storage": 1, "realtime": 0}
    assert total == [{"count": 4}]
