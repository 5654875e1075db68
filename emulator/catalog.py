"""What a database's schemas hold, as far as the generated types of a client show it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg.rows import namedtuple_row

if TYPE_CHECKING:
    import psycopg

# A type's name, its schema, whether it is an array, an enum or a row type; a domain is what it is made of.
_TYPE = """
    (with recursive base as (
        select y.* from pg_type y where y.oid = {type}
        union all select y.* from base join pg_type y on y.oid = base.typbasetype where base.typtype = 'd'
    ) select jsonb_build_object(
        'name', coalesce(e.typname, b.typname), 'schema', coalesce(en.nspname, n.nspname),
        'array', e.oid is not null, 'kind', coalesce(e.typtype, b.typtype),
        'relation', coalesce(r.relkind, '')
    ) from base b join pg_namespace n on n.oid = b.typnamespace
    left join pg_type e on e.oid = b.typelem and b.typcategory = 'A'
    left join pg_namespace en on en.oid = e.typnamespace
    left join pg_class r on r.oid = coalesce(nullif(e.typrelid, 0), nullif(b.typrelid, 0))
    where b.typtype <> 'd' limit 1)
"""
_COLUMNS = f"""
select n.nspname as schema, c.relname as relation, c.relkind::text as kind, a.attname as name,
    {_TYPE.format(type="a.atttypid")} as type, not a.attnotnull as nullable,
    a.atthasdef or a.attidentity <> '' as has_default,
    a.attgenerated <> '' or a.attidentity = 'a' as is_generated
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where n.nspname = any (%(schemas)s) and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')
order by n.nspname, c.relname, a.attname
"""
_KEYS = """
select n.nspname as schema, c.relname as relation, f.conname as name, r.relname as referenced,
    (select array_agg(a.attname order by k.position)
     from unnest(f.conkey) with ordinality k (number, position)
     join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number) as columns,
    (select array_agg(a.attname order by k.position)
     from unnest(f.confkey) with ordinality k (number, position)
     join pg_attribute a on a.attrelid = r.oid and a.attnum = k.number) as referenced_columns,
    exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and i.indpred is null
            and (i.indkey::int2 [])[0:i.indnkeyatts - 1] <@ f.conkey) as one_to_one
from pg_constraint f
join pg_class c on c.oid = f.conrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_class r on r.oid = f.confrelid
where f.contype = 'f' and f.conparentid = 0 and n.nspname = any (%(schemas)s)
order by f.conname
"""
_FUNCTIONS = f"""
select n.nspname as schema, p.proname as name, p.proretset as is_set,
    {_TYPE.format(type="p.prorettype")} as type,
    p.pronargs - p.pronargdefaults as required,
    (select coalesce(jsonb_agg(jsonb_build_object(
        'name', coalesce(p.proargnames[g.position], ''),
        'mode', coalesce(p.proargmodes[g.position]::text, 'i'),
        'type', {_TYPE.format(type="g.oid")}) order by g.position), '[]')
     from unnest(coalesce(p.proallargtypes, p.proargtypes::oid [])) with ordinality g (oid, position)
    ) as arguments
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
where n.nspname = any (%(schemas)s) and p.prokind = 'f'
  and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
  and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
order by n.nspname, p.proname, p.pronargs
"""
_ENUMS = """
select n.nspname as schema, t.typname as name, array_agg(e.enumlabel order by e.enumsortorder) as labels
from pg_enum e
join pg_type t on t.oid = e.enumtypid
join pg_namespace n on n.oid = t.typnamespace
where n.nspname = any (%(schemas)s)
group by n.nspname, t.typname
order by n.nspname, t.typname
"""
TABLES, VIEWS, COMPOSITES = frozenset("rpf"), frozenset("vm"), frozenset("c")


@dataclass
class Schema:
    """What one schema holds; each row has the columns of its query above.

    Attributes:
        relations: columns by relation.
        kinds: relkind by relation.
        keys: foreign keys by relation.
        functions: by name, each with all its overloads.
        enums: labels by name.
    """

    relations: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    kinds: dict[str, str] = field(default_factory=dict)
    keys: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    functions: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    enums: dict[str, list[str]] = field(default_factory=dict)

    def of(self, kinds: frozenset[str]) -> dict[str, list[Any]]:
        """Give the columns of the relations of some kinds."""
        return {name: columns for name, columns in self.relations.items() if self.kinds[name] in kinds}


def read(session: psycopg.Connection, schemas: list[str]) -> dict[str, Schema]:
    """Read schemas from the catalog; one that is not there is empty."""
    found = {name: Schema() for name in schemas}
    cursor: psycopg.Cursor[Any] = session.cursor(row_factory=namedtuple_row)
    values = {"schemas": schemas}
    for row in cursor.execute(_COLUMNS.encode(), values).fetchall():
        found[row.schema].relations[row.relation].append(row)
        found[row.schema].kinds[row.relation] = row.kind
    for row in cursor.execute(_KEYS.encode(), values).fetchall():
        found[row.schema].keys[row.relation].append(row)
    for row in cursor.execute(_FUNCTIONS.encode(), values).fetchall():
        found[row.schema].functions[row.name].append(row)
    for row in cursor.execute(_ENUMS.encode(), values).fetchall():
        found[row.schema].enums[row.name] = row.labels
    return found
