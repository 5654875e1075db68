"""Names in `checks/rules.toml` that the database does not have: what is said of them holds for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

from engines.migrations.verification.rules import Rules

if TYPE_CHECKING:
    from engines.migrations.sessions.wire import Session

_SCHEMAS: Final[LiteralString] = (
    "select n.nspname::text from pg_catalog.pg_namespace n where n.nspname = any(%s)"
)
_TABLES: Final[LiteralString] = """
select n.nspname::text, c.relname::text
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and n.nspname = any(%s) and c.relname::text = any(%s)
"""


def lost_schemas(session: Session, rules: Rules) -> list[str]:
    """Name the exposed schemas that do not exist; a product may have dropped `public`, the default."""
    given = [schema for schema in rules.exposed if schema not in Rules.exposed]
    there = {row[0] for row in session.execute(_SCHEMAS, [given]).fetchall()} if given else set()
    return [
        f"schema {schema}, which `exposed` names, does not exist" for schema in given if schema not in there
    ]


def lost_tables(session: Session, rules: Rules) -> list[str]:
    """Name the tables of `without_rls` and `shrink` that do not exist (those of `not_null` are counted)."""
    keys = (("without_rls", sorted(rules.without_rls)), ("shrink", list(rules.shrink)))
    names = [name for _key, tables in keys for name in tables]
    if not names:
        return []
    given = [[schema for schema, _table in names], [table for _schema, table in names]]
    there = {tuple(row) for row in session.execute(_TABLES, given).fetchall()}
    return [
        f"table {name[0]}.{name[1]}, which `{key}` names, does not exist"
        for key, tables in keys
        for name in tables
        if name not in there
    ]
