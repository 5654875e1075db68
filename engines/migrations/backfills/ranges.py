"""The ranges of keys that the batches of a backfill walk through, and the tables where that is possible.

Rule: a backfill walks from the smallest key to what was the largest when it began, and then, where the key
may be NULL, does the rows without one as a last batch. A range is open below and closed above, so every row
is in exactly one of them as long as its key stays.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg import sql

from engines.migrations.history.control import KEYS, NULLS, VERIFYING, Control

if TYPE_CHECKING:
    from engines.migrations.files.backfill import Backfill
    from engines.migrations.sessions.wire import Session

# Below so many rows the exact number costs less than a batch.
_COUNTED: Final = 500_000
_TYPES: Final = (
    "int2",
    "int4",
    "int8",
    "uuid",
    "text",
    "varchar",
    "date",
    "timestamp",
    "timestamptz",
)
_TABLE: Final = """
select c.oid::int8, c.relkind::text, c.oid::regclass::text from pg_catalog.pg_class c
where c.oid = pg_catalog.to_regclass(%s)
"""
_COLUMN: Final = """
select a.attnum::int4, coalesce(b.typname, t.typname)::text, a.attnotnull,
  pg_catalog.format_type(a.atttypid, a.atttypmod)
from pg_catalog.pg_attribute a
join pg_catalog.pg_type t on t.oid = a.atttypid
left join pg_catalog.pg_type b on b.oid = t.typbasetype and t.typtype = 'd'
where a.attrelid = %s and a.attname = %s and a.attnum > 0 and not a.attisdropped
"""
# Only such an index gives the next key without sorting the rest of the table for each batch.
_INDEX: Final = """
select 1 from pg_catalog.pg_index i
join pg_catalog.pg_class x on x.oid = i.indexrelid
join pg_catalog.pg_am m on m.oid = x.relam and m.amname = 'btree'
join pg_catalog.pg_opclass o on o.oid = i.indclass[0] and o.opcdefault
join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
where i.indrelid = %s and i.indkey[0] = %s and i.indisvalid and i.indpred is null
  and i.indcollation[0] = a.attcollation
"""


class UnfitError(ValueError):
    """A table cannot be walked through by a key; the text says why and what to do."""


@dataclass(frozen=True)
class Target:
    """A table and its key.

    Attributes:
        oid: of the table.
        table: as SQL.
        column: the key, as SQL.
        base: type of the key, as SQL.
        nullable: rows without a key are possible.
    """

    oid: int
    table: str
    column: str
    base: str
    nullable: bool

    def condition(self, named: str, control: Control, upper: str | None) -> str:
        """Give the condition for one range.

        Args:
            named: the key as the statement must name it.
            control: where the range begins.
            upper: the last key of the range; None: the rows without a key.
        """
        if upper is None:
            return f"({named} is null)"
        above = f"{named} > {self._literal(control.last_key)} and " if control.last_key is not None else ""
        return f"({above}{named} <= {self._literal(upper)})"

    def upper_text(self, control: Control, rows: int) -> str:
        """Give the SQL that finds the key which so many rows further is; no row: fewer are left."""
        within = self.condition(self.column, control, control.end_key)
        return (
            f"select to_jsonb(k) #>> '{{}}' from (select {self.column} as k from {self.table} "  # noqa: S608  # quoted
            f"where {within} order by {self.column} offset {rows - 1} limit 1) s"
        )

    def _literal(self, key: str | None) -> str:
        return f"{sql.Literal(key).as_string(None)}::{self.base}"


def find_target(session: Session, backfill: Backfill) -> Target:
    """Look a backfill's table and key up.

    Raises:
        UnfitError: there is no such table or column, or no index to walk along.
    """
    row = session.execute(_TABLE, [backfill.table]).fetchone()
    if row is None:
        raise UnfitError(f"there is no table {backfill.table}; correct `table=` at the head of the file")
    oid, kind, table = int(str(row[0])), row[1], str(row[2])
    if kind not in {"r", "p"}:
        raise UnfitError(f"{table} is no table, so it cannot be walked through; name the table behind it")
    column = session.execute(_COLUMN, [oid, backfill.column]).fetchone()
    if column is None:
        raise UnfitError(
            f"the table {table} has no column {backfill.key}; correct `key=` at the head of the file"
        )
    number, base, required, called = column
    if base not in _TYPES:
        raise UnfitError(
            f"the key {table}.{backfill.key} is of the type {called}; batches need an integer, uuid, text, "
            "date or timestamp"
        )
    if session.execute(_INDEX, [oid, number]).fetchone() is None:
        raise UnfitError(_without_index(table, backfill))
    return Target(oid, table, sql.Identifier(backfill.column).as_string(None), str(base), not required)


def _without_index(table: str, backfill: Backfill) -> str:
    return (
        f"the key {table}.{backfill.key} has no index that begins with it, so each batch would read the "
        f"whole table; take a key with one, or make it in a file before: "
        f"create index concurrently on {table} ({backfill.key})"
    )


def first_control(session: Session, target: Target, backfill: Backfill) -> Control:
    """Find out where a backfill ends and how long it is.

    Raises:
        UnfitError: too many rows have no key.
    """
    last = _largest(session, target)
    nulls = _count(session, target, f"where {target.column} is null", backfill.high + 1)
    if nulls > backfill.high:
        raise UnfitError(
            f"more than {backfill.high:,} rows of {target.table} have no {backfill.key}, and rows without a "
            "key cannot be cut into batches; take another key, or fill it first"
        )
    after = NULLS if target.nullable else VERIFYING
    return Control(after if last is None else KEYS, None, last, 0, _total(session, target))


def _largest(session: Session, target: Target) -> str | None:
    """Give the largest key as JSON writes it, whatever the settings of the session; None: none."""
    key = target.column
    newest = f"select {key} as k from {target.table} where {key} is not null order by {key} desc limit 1"  # noqa: S608  # quoted
    row = session.execute(f"select to_jsonb(k) #>> '{{}}' from ({newest}) s".encode()).fetchone()  # noqa: S608  # quoted
    return str(row[0]) if row else None


def _count(session: Session, target: Target, where: str, limit: int) -> int:
    query = f"select count(*) from (select 1 from {target.table} {where} limit {limit}) s"  # noqa: S608  # quoted
    row = session.execute(query.encode()).fetchone()
    return int(str(row[0])) if row else 0


def _total(session: Session, target: Target) -> int:
    """Count the rows of a small table, and have the planner estimate those of a large one."""
    query = f"explain (format json) select 1 from {target.table}"  # noqa: S608  # quoted by the server
    row = session.execute(query.encode()).fetchone()
    plan = row[0] if row else []
    parsed = json.loads(plan) if isinstance(plan, str) else plan
    estimate = int(parsed[0]["Plan"]["Plan Rows"])  # type: ignore[index]  # PostgreSQL's manual, EXPLAIN
    return estimate if estimate > _COUNTED else _count(session, target, "", _COUNTED * 4)
