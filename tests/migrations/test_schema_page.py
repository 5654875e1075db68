"""docs/schema.md says what is there: each table with its columns, each function with its callers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, LiteralString

from tests.fix_supabase import MIGRATIONS

if TYPE_CHECKING:
    from tests.fix_product import Product

PAGE = (MIGRATIONS.parent / "docs" / "schema.md").read_text()
CALLERS = ("anon", "authenticated", "app_runtime", "agent_runtime")
# The page's words for who may execute a function.
WORDS = {"visitor": "anon", "user": "authenticated", "app": "app_runtime", "agent": "agent_runtime"}
COLUMNS: LiteralString = (
    "select table_name::text, array_agg(column_name::text) from information_schema.columns"
    " where table_schema = 'public' group by table_name"
)
FUNCTIONS: LiteralString = (
    "select p.oid::regprocedure::text, p.proname::text, pg_get_function_arguments(p.oid),"
    " pg_get_function_result(p.oid),"
    " (select array_agg(r) from unnest(%s::text[]) r where has_function_privilege(r, p.oid, 'execute'))"
    " from pg_proc p where p.pronamespace = 'public'::regnamespace"
    " and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')"
)


def plain(text: str) -> str:
    """Write a signature in one way: PostgreSQL's names of types, defaults left out but for the fact."""
    text = (
        text.replace("public.", "")
        .replace("extensions.", "")
        .replace("timestamp with time zone", "timestamptz")
        .lower()
    )
    text = re.sub(r" (default|=) ('[^']*'(::\w+)?|[\w:.\[\]()]+)", " = …", text)
    return re.sub(r"\s+", " ", text).strip()


def documented_functions() -> dict[str, tuple[str, set[str]]]:
    """Read the page's functions: name to signature, and the roles that may execute it."""
    found = {}
    for line in PAGE.splitlines():
        if match := re.match(r"\| `((\w+)\(.*?\) returns [^`]+)`.*\| ([^|]+) \|$", line):
            signature, name, who = match.groups()
            roles = {role for word, role in WORDS.items() if re.search(rf"\b{word}\b", who)}
            found[name] = (plain(signature), roles)
    return found


def documented_tables() -> dict[str, set[str]]:
    """Read the page's tables: name to columns."""
    section = PAGE.split("## Tables")[1].split("## Functions")[0]
    found = {}
    for line in section.splitlines():
        if match := re.match(r"\| `(\w+)`[^|]*\| ([^|]+) \|", line):
            name, cell = match.groups()
            without_notes = re.sub(r"\([^()]*\)", "", cell.split("; key")[0])
            found[name] = {text.split()[0] for text in re.findall(r"`([^`]+)`", without_notes)}
    return found


def test_tables_and_columns(product: Product) -> None:
    """The page has every table and view with exactly its columns."""
    actual = {name: set(columns) for name, columns in product.owner(COLUMNS)}
    assert documented_tables() == actual


def test_functions(product: Product) -> None:
    """The page has every function with its arguments, its result and the roles that may call it."""
    actual = {
        name: (plain(f"{name}({arguments}) returns {result}"), set(roles or []))
        for _, name, arguments, result, roles in product.owner(FUNCTIONS, [list(CALLERS)])
    }
    assert documented_functions() == actual


def test_server_role_has_the_services_functions(product: Product) -> None:
    """service_role may call what app or agent may but for two, and what the page gives to it alone."""
    query: LiteralString = (
        "select p.proname::text from pg_proc p where p.pronamespace = 'public'::regnamespace"
        " and has_function_privilege('service_role', p.oid, 'execute')"
    )
    actual = {name for (name,) in product.owner(query)}
    services = {
        name
        for name, (_, roles) in documented_functions().items()
        if roles & {"app_runtime", "agent_runtime"}
    }
    assert actual == (services - {"ensure_demo_account", "note_secret_use"}) | {
        "grant_credits",
        "export_tables",
    }
