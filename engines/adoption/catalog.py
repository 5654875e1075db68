"""What a project's database holds, by its catalog; read as the API's reader, so nothing changes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What the platform keeps for itself: https://supabase.com/docs/guides/database/overview.
_PLATFORM_SCHEMAS: Final = (
    *("_analytics", "_realtime", "auth", "cron", "dbdev", "drizzle", "extensions", "graphql"),
    *("graphql_public", "groundwork", "information_schema", "net", "pgbouncer", "pgmq", "pgsodium"),
    *("pgsodium_masks", "pgtle", "realtime", "storage", "supabase_functions", "supabase_migrations", "vault"),
)
# https://supabase.com/docs/guides/database/postgres/roles
_PLATFORM_ROLES: Final = (
    *("anon", "authenticated", "authenticator", "dashboard_user", "pgbouncer", "postgres", "service_role"),
)
_PLATFORM_ROLE_PREFIXES: Final = "^(pg_|pgsodium_|pgtle_|supabase_|cli_login_)"
# Extensions that a new project has.
_PLATFORM_EXTENSIONS: Final = (
    *("pg_graphql", "pg_stat_statements", "pgcrypto", "plpgsql", "supabase_vault", "uuid-ossp"),
)


def _array(names: Sequence[str]) -> str:
    quoted = ", ".join(f"'{name}'" for name in names)
    return f"array[{quoted}]"


SURVEY: Final = f"""
select
  (select coalesce(jsonb_agg(s order by s.name), '[]') from (
     select n.nspname as name,
            count(c.oid) filter (where c.relkind in ('r', 'p')) as tables,
            count(c.oid) filter (where c.relkind in ('r', 'p') and not c.relrowsecurity) as without_rls
     from pg_catalog.pg_namespace n
     left join pg_catalog.pg_class c on c.relnamespace = n.oid and not c.relispartition
     where n.nspname !~ '^pg_' and n.nspname <> all ({_array(_PLATFORM_SCHEMAS)})
     group by 1) s) as schemas,
  (select coalesce(jsonb_agg(e.extname || ' ' || e.extversion order by e.extname), '[]')
   from pg_catalog.pg_extension e where e.extname <> all ({_array(_PLATFORM_EXTENSIONS)})) as extensions,
  (select coalesce(jsonb_agg(r.rolname order by r.rolname), '[]') from pg_catalog.pg_roles r
   where r.rolname !~ '{_PLATFORM_ROLE_PREFIXES}' and r.rolname <> all ({_array(_PLATFORM_ROLES)})) as roles,
  (select coalesce(jsonb_agg(p order by p.policyname), '[]') from (
     select policyname, permissive, to_jsonb(roles::text[]) as roles, cmd, qual, with_check
     from pg_catalog.pg_policies where schemaname = 'storage' and tablename = 'objects') p) as policies,
  (select coalesce(jsonb_agg(a.attname), '[]') from pg_catalog.pg_attribute a
   where a.attrelid = pg_catalog.to_regclass('drizzle.__drizzle_migrations') and a.attnum > 0
     and not a.attisdropped) as drizzle,
  pg_catalog.to_regclass('supabase_migrations.schema_migrations') is not null as supabase,
  pg_catalog.to_regclass('cron.job') is not null as cron
"""  # noqa: S608 - made of the names above only
BUCKETS: Final = "select to_jsonb(b) as bucket from storage.buckets b order by b.id"
JOBS: Final = "select jobname, schedule, active from cron.job order by jobname, jobid"
SUPABASE_HISTORY: Final = "select version from supabase_migrations.schema_migrations order by version"
DRIZZLE_HISTORY: Final = "select created_at::text as version from drizzle.__drizzle_migrations order by id"


@dataclass(frozen=True)
class Policy:
    """A policy on the files of all buckets, as `pg_policies` shows it."""

    name: str
    is_permissive: bool
    roles: tuple[str, ...]
    command: str
    using: str | None
    check: str | None

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Policy:
        """Read it from a row."""
        permissive = raw["permissive"] == "PERMISSIVE"
        roles, command = tuple(raw["roles"]), raw["cmd"].lower()
        return cls(raw["policyname"], permissive, roles, command, raw["qual"], raw["with_check"])


@dataclass(frozen=True)
class Schema:
    """A schema that is not the platform's, with how many tables are in it."""

    name: str
    tables: int
    without_rls: int


@dataclass(frozen=True)
class Job:
    """A scheduled job; what it runs may hold secrets, and is not read."""

    name: str
    schedule: str
    active: bool


@dataclass(frozen=True)
class Catalog:
    """What the database holds beside what the platform put there.

    Attributes:
        has_supabase, has_cron: whether these tables are there.
        drizzle: columns of Drizzle's history; none: there is no such table.
    """

    schemas: tuple[Schema, ...] = ()
    extensions: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    policies: tuple[Policy, ...] = ()
    drizzle: tuple[str, ...] = ()
    has_supabase: bool = False
    has_cron: bool = False

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Catalog:
        """Read it from the row that SURVEY gives."""
        return cls(
            schemas=tuple(Schema(**one) for one in value_of(raw["schemas"])),
            extensions=tuple(value_of(raw["extensions"])),
            roles=tuple(value_of(raw["roles"])),
            policies=tuple(map(Policy.read, value_of(raw["policies"]))),
            drizzle=tuple(value_of(raw["drizzle"])),
            has_supabase=bool(raw["supabase"]),
            has_cron=bool(raw["cron"]),
        )


@dataclass(frozen=True)
class Bucket:
    """A bucket as its table has it.

    Attributes:
        type: STANDARD, or another kind that holds no files.
        policies: those that are about this bucket only.
    """

    name: str
    public: bool
    file_size_limit: int | None = None
    allowed_mime_types: tuple[str, ...] | None = None
    type: str = "STANDARD"
    policies: tuple[Policy, ...] = field(default=())

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Bucket:
        """Read it from a row of the table, whose columns differ with the release."""
        types = raw.get("allowed_mime_types")
        return cls(
            name=raw["id"],
            public=bool(raw.get("public")),
            file_size_limit=raw.get("file_size_limit"),
            allowed_mime_types=None if types is None else tuple(types),
            type=raw.get("type") or "STANDARD",
        )


def value_of(cell: Any) -> Any:
    """Give a JSON cell, which some answers hold as text."""
    return json.loads(cell) if isinstance(cell, str) else cell
