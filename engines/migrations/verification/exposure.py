"""Tables that clients reach through the API must be under row level security.

Source: https://supabase.com/docs/guides/database/postgres/row-level-security
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

if TYPE_CHECKING:
    from engines.migrations.sessions.wire import Session
    from engines.migrations.verification.rules import Rules

# A right on one column is enough; TRUNCATE takes all rows, TRIGGER and MAINTAIN give none. Tables of
# extensions belong to whoever made the extension, who alone could change them.
_OPEN: Final[LiteralString] = """
select n.nspname::text, c.relname::text, array_agg(r.rolname::text order by r.rolname)
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_roles r on r.rolname in ('anon', 'authenticated')
where c.relkind in ('r', 'p') and not c.relrowsecurity and n.nspname = any(%s)
  and not exists (select from pg_catalog.pg_depend d
    where d.objid = c.oid and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype = 'e')
  and pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')
  and (pg_catalog.has_table_privilege(r.oid, c.oid, 'DELETE, TRUNCATE')
    or pg_catalog.has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
group by 1, 2 order by 1, 2
"""


def open_tables(session: Session, rules: Rules) -> list[str]:
    """List tables that `anon` or `authenticated` reach and that no row level security guards."""
    rows = session.execute(_OPEN, [list(rules.exposed)]).fetchall()
    return [
        f"table {schema}.{name} has no row level security, and {' and '.join(map(str, roles))} may use it"  # type: ignore[call-overload]  # rows are untyped
        for schema, name, roles in rows
        if (schema, name) not in rules.without_rls
    ]
