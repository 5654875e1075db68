"""The table of another tool in which a row means that a file is applied: the Supabase CLI's, or Drizzle's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString, Protocol

from psycopg import sql

from engines.migrations.plan import Record
from engines.migrations.sql.statements import read_script

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from engines.migrations.files.file import MigrationFile
    from engines.migrations.files.folder import Folder


class HistoryTable(Protocol):
    """How one tool keeps its history.

    Attributes:
        name: schema and table.
    """

    name: str

    def is_ready(self, columns: AbstractSet[str], folder: Folder) -> bool:
        """Say whether `prepare` has nothing to do; no columns: there is no table."""

    def prepare(self, columns: AbstractSet[str], folder: Folder, known: Mapping[str, Record]) -> str:
        """Give the SQL that makes the table, or brings it to the form that the folder's tool expects."""

    def query(self, columns: AbstractSet[str], *, has_side: bool) -> sql.Composable:
        """Give the query for all rows, with what `groundwork.migrations` adds, if it is there."""

    def records(self, rows: Sequence[Sequence[Any]], folder: Folder) -> dict[str, Record]:
        """Read the answer to `query`, by version."""

    def insert_text(self, file: MigrationFile, replaces: Sequence[int] | None) -> str:
        """Give the SQL that records a file, in place of these rows; None: it has none."""

    def delete_text(self, version: str, rows: Sequence[int]) -> str:
        """Give the SQL that forgets a version with these rows."""


def fill(template: LiteralString, *cells: object) -> str:
    """Write values into an SQL text, as literals that are right under every setting."""
    return template.format(*map(_literal, cells))


def _literal(cell: object) -> str:
    """Write one value; for texts the driver's own way costs more than the round trip of a small file."""
    if isinstance(cell, str):
        return quoted(cell)
    if type(cell) is int:
        return str(cell)
    if isinstance(cell, list) and all(isinstance(item, str) for item in cell):
        return quoted(_array(cell))
    return sql.Literal(cell).as_string(None)


def quoted(text: str) -> str:
    """Write a text as a literal that is right under every setting."""
    escaped = text.replace("'", "''")
    if "\\" in text:
        return "E'" + escaped.replace("\\", "\\\\") + "'"
    return f"'{escaped}'"


def _array(cells: Sequence[str]) -> str:
    """Write an array's text form (PostgreSQL manual, "Array Input and Output Syntax")."""
    quoted = (cell.replace("\\", "\\\\").replace('"', '\\"') for cell in cells)
    return '{"' + '","'.join(quoted) + '"}' if cells else "{}"


# The statements of the Supabase CLI, in its order: a database it prepared looks the same.
_DDL: Final[LiteralString] = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;
"""
_JOINED: Final[LiteralString] = """
select h.version, {}, case when m.checksum is null then {} end,
       m.checksum, m.applied_at, m.duration_ms, m.actor
from supabase_migrations.schema_migrations h left join groundwork.migrations m using (version)
"""
_ALONE: Final[LiteralString] = (
    "select h.version, {}, {}, null, null, null, null from supabase_migrations.schema_migrations h"
)
_INSERT: Final[LiteralString] = (
    "insert into supabase_migrations.schema_migrations (version, name, statements) values ({}, {}, {})"
)
_OVERWRITE: Final[LiteralString] = (
    " on conflict (version) do update set name = excluded.name, statements = excluded.statements"
)
_DELETE: Final[LiteralString] = "delete from supabase_migrations.schema_migrations where version = {}"


class SupabaseTable:
    """`supabase_migrations.schema_migrations`, as the Supabase CLI writes it."""

    name = "supabase_migrations.schema_migrations"

    def is_ready(self, columns: AbstractSet[str], _folder: Folder) -> bool:
        """Say whether it has the columns of today's CLI."""
        return columns >= {"version", "statements", "name"}

    def prepare(self, _columns: AbstractSet[str], _folder: Folder, _known: Mapping[str, Record]) -> str:
        """Give the CLI's own statements."""
        return _DDL

    def query(self, columns: AbstractSet[str], *, has_side: bool) -> sql.Composable:
        """Name only columns that exist: older CLIs made fewer, hosted projects have more."""
        name = sql.SQL("h.name" if "name" in columns else "null")
        stored = sql.SQL("h.statements" if "statements" in columns else "null")
        return sql.SQL(_JOINED if has_side else _ALONE).format(name, stored)

    def records(self, rows: Sequence[Sequence[Any]], _folder: Folder) -> dict[str, Record]:
        """Read the rows; their version is that of the file."""
        return {str(row[0]): self._record(row) for row in rows}

    @staticmethod
    def _record(row: Sequence[Any]) -> Record:
        version, name, statements, checksum, applied_at, duration, actor = row
        pieces = None if statements is None else tuple(statements)
        return Record(version, name or "", checksum, pieces, applied_at, duration, actor)

    def insert_text(self, file: MigrationFile, replaces: Sequence[int] | None) -> str:
        """Store the statements as the CLI does."""
        conflict: LiteralString = "" if replaces is None else _OVERWRITE
        return fill(_INSERT + conflict, file.version, file.name, read_script(file.sql).pieces)

    def delete_text(self, version: str, _rows: Sequence[int]) -> str:
        """Delete by the version, which is the key."""
        return fill(_DELETE, version)
