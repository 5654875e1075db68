"""Columns that must hold no NULL: those that the rules name, and those of constraints that are NOT VALID."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, LiteralString

from psycopg import sql

from engines.migrations.sessions.wire import ask, undo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.migrations.sessions.wire import Session
    from engines.migrations.verification.rules import Rules

_EXISTING: Final[LiteralString] = """
select n.nspname::text, c.relname::text, a.attname::text
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relkind in ('r', 'p', 'f', 'v', 'm') and n.nspname = any(%s) and c.relname::text = any(%s)
"""
# CHECK (c IS NOT NULL) NOT VALID and, from PostgreSQL 18 on, NOT NULL c NOT VALID. The expression is taken
# as the catalog has it, as pg_get_constraintdef() would wait for a lock on the table.
_PROMISED: Final[LiteralString] = r"""
select n.nspname::text, t.relname::text, a.attname::text, k.conname::text
from pg_catalog.pg_constraint k
join pg_catalog.pg_class t on t.oid = k.conrelid
join pg_catalog.pg_namespace n on n.oid = t.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = k.conkey[1]
where not k.convalidated and cardinality(k.conkey) = 1 and pg_catalog.pg_has_role(t.relowner, 'USAGE')
  and (k.contype = 'n' or k.contype = 'c'
    and k.conbin::text ~ '^\{NULLTEST :arg \{VAR [^{}]*\} :nulltesttype 1 [^{}]*\}$')
order by 1, 2, 3
"""
# Too slow, locked, or hidden: no violation has been seen.
_NOT_COUNTED: Final = {"57014", "55P03", "42501"}
_LIMITS: Final = (
    "set local statement_timeout = '60s';set local lock_timeout = '2s';set local row_security = off"
)


@dataclass(frozen=True)
class Column:
    """A column, and why it must hold no NULL."""

    schema: str
    table: str
    column: str
    why: str

    @property
    def count(self) -> str:
        """Give the query for its NULLs."""
        where = sql.Identifier(self.schema, self.table), sql.Identifier(self.column)
        return sql.SQL("select count(*) from {} where {} is null").format(*where).as_string(None)

    def __str__(self) -> str:
        """Write it for people."""
        return f"{self.schema}.{self.table}.{self.column}"


def null_violations(session: Session, rules: Rules, *, complete: bool) -> tuple[list[str], list[str]]:
    """List columns that hold NULLs and may not, each with their number; and those that could not be counted.

    Args:
        session: autocommit.
        rules: name columns.
        complete: every file is applied, so that what the rules name has to be there.
    """
    promised = [
        Column(str(row[0]), str(row[1]), str(row[2]), f"constraint {row[3]}, which is not validated")
        for row in session.execute(_PROMISED).fetchall()
    ]
    named = [
        Column(schema, table, column, "rules.toml")
        for (schema, table), columns in rules.not_null.items()
        for column in columns
    ]
    there = _existing(session, named)
    lost = [c for c in named if (c.schema, c.table, c.column) not in there]
    found = [f"column {column} of rules.toml does not exist" for column in lost if complete]
    unknown: list[str] = []
    for column in [c for c in named if c not in lost] + promised:
        found += _count(session, column, unknown)
    return found, unknown


def _existing(session: Session, columns: Sequence[Column]) -> set[tuple[object, ...]]:
    if not columns:
        return set()
    names = [[c.schema for c in columns], [c.table for c in columns]]
    return {tuple(row) for row in session.execute(_EXISTING, names).fetchall()}


def _count(session: Session, column: Column, unknown: list[str]) -> list[str]:
    """Count the NULLs of one column; say so if there are some, or note that it can only be counted later."""
    answers, failure = ask(session, f"begin read only;{_LIMITS};{column.count};rollback")
    undo(session)
    if failure and failure.sqlstate in _NOT_COUNTED:
        unknown.append(f"{column} ({failure.text.splitlines()[0]})")
        return []
    if failure:
        return [f"the NULLs of {column} ({column.why}) cannot be counted: {failure.text}"]
    number = int(answers[-1][0][0])
    rows = "1 row" if number == 1 else f"{number:,} rows"
    return [f"{column} is NULL in {rows} ({column.why})"] if number else []
