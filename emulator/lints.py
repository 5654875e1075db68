"""What the platform's advisors say of a database, for the rules that most schemas meet.

Names, levels and texts are those of the platform's database linter (its documentation lists the rules by
number); the queries are the stand-in's own and look at the schemas that a project makes itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import psycopg

Category = Literal["SECURITY", "PERFORMANCE"]
_DOCUMENTATION = "https://supabase.com/docs/guides/database/database-linter?lint="
# Schemas of PostgreSQL and of the platform.
_OWN = """
    n.nspname !~ '^pg_' and n.nspname not in (
        'information_schema', 'auth', 'storage', 'realtime', 'extensions', 'graphql', 'graphql_public',
        'vault', 'cron', 'net', 'pgbouncer', 'supabase_functions', 'supabase_migrations',
        'groundwork', 'drizzle'
    )
"""
_REACHABLE = """
    has_schema_privilege('anon', n.oid, 'usage') and (
        has_table_privilege('anon', c.oid, 'select, insert, update, delete')
        or has_table_privilege('authenticated', c.oid, 'select, insert, update, delete')
    )
"""
_TABLES = "from pg_class c join pg_namespace n on n.oid = c.relnamespace"
_POLICIES = "(select array_agg(p.polname order by p.polname)::text from pg_policy p where p.polrelid = c.oid)"


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        number: its number in the documentation.
        query: gives schema, name, and a third value that completes `detail`; one row for each finding.
        detail: with the fields `schema`, `name` and `more`.
        kind: of what is found.
    """

    number: str
    name: str
    title: str
    level: Literal["ERROR", "WARN", "INFO"]
    category: Category
    description: str
    detail: str
    query: str
    kind: Literal["table", "view", "function"] = "table"


RULES = (
    Rule(
        "0013",
        "rls_disabled_in_public",
        "RLS Disabled in Public",
        "ERROR",
        "SECURITY",
        "Row level security is off on a table that the Data API reaches.",
        "Table `{schema}.{name}` is public, but RLS has not been enabled.",
        f"select n.nspname, c.relname, '' {_TABLES} where c.relkind in ('r', 'p') and not c.relrowsecurity"
        f" and n.nspname = any (%(exposed)s) and {_OWN} and {_REACHABLE}",
    ),
    Rule(
        "0007",
        "policy_exists_rls_disabled",
        "Policy Exists RLS Disabled",
        "ERROR",
        "SECURITY",
        "A table has policies, which do nothing as row level security is off.",
        "Table `{schema}.{name}` has RLS policies but RLS is not enabled on the table."
        " Policies include {more}.",
        f"select n.nspname, c.relname, {_POLICIES} {_TABLES} where c.relkind in ('r', 'p')"
        f" and not c.relrowsecurity and {_POLICIES} is not null and {_OWN}",
    ),
    Rule(
        "0008",
        "rls_enabled_no_policy",
        "RLS Enabled No Policy",
        "INFO",
        "SECURITY",
        "Row level security is on, and no policy lets anybody through.",
        "Table `{schema}.{name}` has RLS enabled, but no policies exist",
        f"select n.nspname, c.relname, '' {_TABLES} where c.relkind in ('r', 'p') and c.relrowsecurity"
        f" and {_POLICIES} is null and {_OWN}",
    ),
    Rule(
        "0010",
        "security_definer_view",
        "Security Definer View",
        "ERROR",
        "SECURITY",
        "A view that the Data API reaches has the rights of its owner, past the policies of who asks.",
        "View `{schema}.{name}` is defined with the SECURITY DEFINER property",
        f"select n.nspname, c.relname, '' {_TABLES} where c.relkind = 'v' and n.nspname = any (%(exposed)s)"
        " and not coalesce(c.reloptions, '{}') && array['security_invoker=true', 'security_invoker=on',"
        f" 'security_invoker=1', 'security_invoker=yes'] and {_OWN} and {_REACHABLE}",
        kind="view",
    ),
    Rule(
        "0011",
        "function_search_path_mutable",
        "Function Search Path Mutable",
        "WARN",
        "SECURITY",
        "A function looks names up in schemas that whoever calls it chooses.",
        "Function `{schema}.{name}` has a role mutable search_path",
        "select distinct n.nspname, p.proname, '' from pg_proc p"
        " join pg_namespace n on n.oid = p.pronamespace"
        " left join pg_depend d on d.objid = p.oid and d.deptype = 'e'"
        " where d.objid is null and p.prokind = 'f' and not exists (select from unnest(p.proconfig) as one"
        f" where one like 'search_path=%%') and {_OWN}",
        kind="function",
    ),
    Rule(
        "0004",
        "no_primary_key",
        "No Primary Key",
        "INFO",
        "PERFORMANCE",
        "A table has no primary key.",
        "Table `{schema}.{name}` does not have a primary key",
        f"select n.nspname, c.relname, '' {_TABLES} where c.relkind in ('r', 'p') and not c.relispartition"
        " and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)"
        f" and {_OWN}",
    ),
    Rule(
        "0001",
        "unindexed_foreign_keys",
        "Unindexed foreign keys",
        "INFO",
        "PERFORMANCE",
        "A foreign key has no index that begins with its columns.",
        "Table `{schema}.{name}` has a foreign key `{more}` without a covering index.",
        "select n.nspname, c.relname, f.conname from pg_constraint f join pg_class c on c.oid = f.conrelid"
        " join pg_namespace n on n.oid = c.relnamespace where f.contype = 'f' and not exists (select"
        " from pg_index i where i.indrelid = c.oid and"
        " f.conkey <@ (i.indkey::int2 [])[0:cardinality(f.conkey) - 1])"
        f" and {_OWN}",
    ),
    Rule(
        "0009",
        "duplicate_index",
        "Duplicate Index",
        "WARN",
        "PERFORMANCE",
        "A table has several indexes that are the same.",
        "Table `{schema}.{name}` has identical indexes {more}. Drop all except one of them",
        "select n.nspname, c.relname, array_agg(x.relname order by x.relname)::text from pg_index i"
        " join pg_class x on x.oid = i.indexrelid join pg_class c on c.oid = i.indrelid"
        f" join pg_namespace n on n.oid = c.relnamespace where {_OWN}"
        " group by n.nspname, c.relname, i.indrelid, i.indkey::text, i.indclass::text, i.indisunique,"
        " pg_get_expr(i.indexprs, i.indrelid), pg_get_expr(i.indpred, i.indrelid), x.relam"
        " having count(*) > 1",
    ),
)


def find(session: psycopg.Connection, rules: tuple[Rule, ...], exposed: list[str]) -> list[dict[str, Any]]:
    """Give what the rules find.

    Args:
        session: may read the catalog.
        rules: which ones.
        exposed: the schemas of the Data API.
    """
    found = []
    for rule in rules:
        rows = session.execute(f"{rule.query} order by 1, 2, 3".encode(), {"exposed": exposed})
        found += [_worded(rule, schema, name, more) for schema, name, more in rows]
    return found


def _worded(rule: Rule, schema: str, name: str, more: str) -> dict[str, Any]:
    return {
        "name": rule.name,
        "title": rule.title,
        "level": rule.level,
        "facing": "EXTERNAL",
        "categories": [rule.category],
        "description": rule.description,
        "detail": rule.detail.format(schema=schema, name=name, more=more),
        "remediation": f"{_DOCUMENTATION}{rule.number}_{rule.name}",
        "metadata": {"schema": schema, "name": name, "type": rule.kind},
        "cache_key": "_".join(filter(None, (rule.name, schema, name, more))),
    }
