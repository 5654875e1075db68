"""`drizzle.__drizzle_migrations`, as drizzle-orm writes it: the table of 0.x, and that of 1.0.

Source: `migrate` of drizzle-orm 0.45.4 (pg-core/dialect.js) and 1.0.0-rc.4 (pg-core/async/session.js,
up-migrations/pg.js). 1.0 has two more columns: `name` and `applied_at`. Rows name no file in 0.x: they are
matched by time, then by hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, LiteralString

from psycopg import sql

from engines.migrations.files.drizzle import DRIZZLE_1
from engines.migrations.history.table import fill
from engines.migrations.plan import DRIZZLE_TABLE, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from engines.migrations.files.file import DrizzleEntry, MigrationFile
    from engines.migrations.files.folder import Folder

_OLD: Final = {"id", "hash", "created_at"}
_NEW: Final = {"name", "applied_at"}
_DDL: Final[LiteralString] = """
create schema if not exists drizzle;
create table if not exists drizzle.__drizzle_migrations (id serial primary key, hash text not null,
  created_at bigint{});
"""
_NEW_COLUMNS: Final[LiteralString] = ", name text, applied_at timestamp with time zone default now()"
_UPGRADE: Final[LiteralString] = """
alter table drizzle.__drizzle_migrations add column if not exists name text;
alter table drizzle.__drizzle_migrations
  add column if not exists applied_at timestamp with time zone default now();
"""
_NAME: Final[LiteralString] = (
    "update drizzle.__drizzle_migrations set name = {}, applied_at = null where id = any({}::int[]);"
)
_QUERY: Final[LiteralString] = """
select id, null, hash, created_at, {}, {}, null::double precision, null from drizzle.__drizzle_migrations
"""
_SIDE: Final[LiteralString] = """
union all
select null, version, checksum, null, null, applied_at, duration_ms, actor from groundwork.migrations
"""
# Fills the columns that the table has: one statement for both of its forms.
_INSERT: Final[LiteralString] = """
insert into drizzle.__drizzle_migrations
select r.* from jsonb_populate_record(null::drizzle.__drizzle_migrations, jsonb_build_object(
    'id', nextval(pg_get_serial_sequence('drizzle.__drizzle_migrations', 'id')),
    'hash', {}::text, 'created_at', {}::bigint, 'name', {}::text, 'applied_at', now())) r"""
_DELETE: Final[LiteralString] = "delete from drizzle.__drizzle_migrations where id = any({}::int[])"


@dataclass(frozen=True)
class _Row:
    """One row of Drizzle's table."""

    id: int
    digest: str
    when: int | None
    name: str | None
    applied_at: Any


@dataclass(frozen=True)
class _Side:
    """What `groundwork.migrations` has about a version."""

    checksum: str | None = None
    applied_at: Any = None
    duration_ms: float | None = None
    actor: str | None = None


class DrizzleTable:
    """Drizzle's history, of either version."""

    name = DRIZZLE_TABLE

    def is_ready(self, columns: AbstractSet[str], folder: Folder) -> bool:
        """Say whether it has the columns that the folder's Drizzle expects."""
        return columns >= (_OLD | _NEW if folder.layout == DRIZZLE_1 else _OLD)

    def prepare(self, columns: AbstractSet[str], folder: Folder, known: Mapping[str, Record]) -> str:
        """Make the table as the folder's Drizzle does; its 1.0 names the rows of 0.x, and so do we."""
        is_new = folder.layout == DRIZZLE_1
        made = sql.SQL(_DDL).format(sql.SQL(_NEW_COLUMNS if is_new else "")).as_string(None)
        if not columns or self.is_ready(columns, folder):
            return made
        files = {file.version: file for file in folder.files}
        named = [
            fill(_NAME, file.entry.name, list(record.rows))
            for version, record in known.items()
            if (file := files.get(version)) and file.entry
        ]
        return made + _UPGRADE + "".join(named)

    def query(self, columns: AbstractSet[str], *, has_side: bool) -> sql.Composable:
        """Ask for Drizzle's rows and for ours, told apart by the first column."""
        cells = [sql.SQL("name" if "name" in columns else "null::text")]
        cells += [sql.SQL("applied_at" if "applied_at" in columns else "null::timestamptz")]
        query = sql.SQL(_QUERY).format(*cells)
        return query + sql.SQL(_SIDE) if has_side else query

    def records(self, rows: Sequence[Sequence[Any]], folder: Folder) -> dict[str, Record]:
        """Find the file of each row; a row without one goes by its name, or by its time."""
        found = [_Row(row[0], *row[2:6]) for row in rows if row[0] is not None]
        sides = {str(row[1]): _Side(row[2], *row[5:8]) for row in rows if row[0] is None}
        matched = match(sorted(found, key=lambda row: row.id), folder.files)
        names = {file.version: file.name for file in folder.files}
        return {
            version: _record(version, names.get(version, ""), of, sides.get(version, _Side()))
            for version, of in matched.items()
        }

    def insert_text(self, file: MigrationFile, replaces: Sequence[int] | None) -> str:
        """Write the row that Drizzle would write."""
        entry = _entry(file)
        inserted = fill(_INSERT, entry.digest, entry.when, entry.name)
        return f"{fill(_DELETE, list(replaces))};{inserted}" if replaces else inserted

    def delete_text(self, _version: str, rows: Sequence[int]) -> str:
        """Delete by id: rows have no other key."""
        return fill(_DELETE, list(rows))


def _entry(file: MigrationFile) -> DrizzleEntry:
    if file.entry is None:
        raise ValueError(f"{file.file} was not read from a Drizzle folder")
    return file.entry


def _record(version: str, name: str, rows: Sequence[_Row], side: _Side) -> Record:
    """Put together what both tables know; of rows written twice, the last counts."""
    last = rows[-1]
    at = side.applied_at or last.applied_at
    ids = tuple(row.id for row in rows)
    return Record(
        version, name, side.checksum, None, at, side.duration_ms, side.actor, rows=ids, digest=last.digest
    )


def match(rows: Sequence[_Row], files: Sequence[MigrationFile]) -> dict[str, list[_Row]]:
    """Give every row to a file, by what is surest first; a row without one goes by its name, or its time.

    Two equal rows belong to one file: Drizzle writes them when two of it run at once.
    """
    matched: dict[str, list[_Row]] = {}
    left = list(rows)
    for row_key, entry_keys in _WAYS:
        free = [file for file in reversed(files) if file.version not in matched]
        places: dict[object, list[str]] = {}
        for file in free:
            for key in entry_keys(_entry(file)):
                places.setdefault(key, []).append(file.version)
        left = [row for row in left if not _place(row, places.get(row_key(row), []), matched)]
    for row in left:
        twin = next((v for v, of in matched.items() if _is_twin(row, of[0])), None)
        matched.setdefault(twin or row.name or str(row.when), []).append(row)
    return matched


def _second(row: _Row) -> int:
    return (row.when or 0) // 1000 * 1000


def _is_twin(row: _Row, other: _Row) -> bool:
    return (row.when, row.digest, row.name) == (other.when, other.digest, other.name)


def _place(row: _Row, versions: list[str], matched: dict[str, list[_Row]]) -> bool:
    """Give a row to the first of these versions that nobody has; say whether there was one."""
    while versions:
        version = versions.pop()
        if version not in matched:
            matched[version] = [row]
            return True
    return False


# What a row and a file must have in common, the surest first.
_WAYS: Final[tuple[tuple[Callable[[_Row], object], Callable[[DrizzleEntry], Iterable[object]]], ...]] = (
    (lambda row: row.name, lambda entry: [entry.name]),
    (lambda row: (row.when, row.digest), lambda entry: [(entry.when, digest) for digest in entry.digests]),
    (lambda row: row.when, lambda entry: [entry.when]),
    # `drizzle-kit up` keeps the seconds of a time only.
    (
        lambda row: (_second(row), row.digest),
        lambda entry: [(entry.when, digest) for digest in entry.digests],
    ),
    (_second, lambda entry: [entry.when]),
    (lambda row: row.digest, lambda entry: entry.digests),
)
