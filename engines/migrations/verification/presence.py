"""Looks for what the applied files made: is it still there?"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final, LiteralString

from engines.migrations.verification.effects import expectation
from engines.migrations.verification.expectation import Expectation, Thing
from engines.migrations.verification.groups import GROUPS, POLICIES, ROW_SECURITY, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from engines.migrations.files.file import MigrationFile
    from engines.migrations.plan import Entry
    from engines.migrations.sessions.wire import Session
    from engines.migrations.verification.expectation import Name
    from engines.migrations.verification.groups import Group

_RELATIONS: Final[LiteralString] = """
select n.nspname::text, c.relname::text, c.relrowsecurity, c.relforcerowsecurity,
  array(select p.polname::text from pg_catalog.pg_policy p where p.polrelid = c.oid)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'f', 'v', 'm') and c.relname::text = any(%s)
  and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
"""


@dataclass(frozen=True)
class Relation:
    """A table as the database has it; `details` are its policies, or `enabled` and `forced`."""

    schema: str
    details: frozenset[tuple[Group, str]]


def expected_of_history(entries: Sequence[Entry]) -> Expectation:
    """Tell what the applied files of a folder made that must be there."""
    gone = next((e for e in entries if e.status in {"missing", "edited", "partial"}), None)
    if gone:
        name = gone.file.file if gone.file else f"version {gone.version}"
        return Expectation(
            {}, dict.fromkeys(GROUPS, f"{name} is {gone.status}, so that what it made is not known")
        )
    return _explained(expectation(list(_in_order(entries))))


def expected_of_files(files: Sequence[MigrationFile]) -> Expectation:
    """Tell what files made if all of them were run, in whatever order."""
    return _explained(expectation([(file, False) for file in files]))


def _explained(found: Expectation) -> Expectation:
    reasons = {
        group: f"{file} may undo some whose names are known only when it runs"
        for group, file in found.unknown.items()
    }
    return Expectation(found.things, reasons)


def _in_order(entries: Sequence[Entry]) -> Iterator[tuple[MigrationFile, bool]]:
    """Give the applied files, each with whether it surely ran behind those before it, before the others."""
    applied = [(e.file, e.record.applied_at) for e in entries if e.file and e.record]
    times = [at for _file, at in applied]
    latest = list(accumulate(times, _later))
    earliest = list(accumulate(reversed(times), _earlier))[::-1]
    for index, (file, at) in enumerate(applied):
        yield file, at is not None and latest[index] == at == earliest[index]


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    """Give the later time; one that is not known may be any."""
    return None if one is None or other is None else max(one, other)


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return None if one is None or other is None else min(one, other)


def absent(session: Session, expected: Expectation) -> dict[Group, list[str]]:
    """List what is expected and not there, by check; each text names the file that made it."""
    found = _read(session, sorted({thing.table[1] for thing in expected.things}))
    lost: dict[Group, list[str]] = {group: [] for group in (TABLES, POLICIES, ROW_SECURITY)}
    missing = {
        thing.table
        for thing in expected.things
        if thing.group == TABLES and not _matching(found, thing.table)
    }
    for thing, file in expected.things.items():
        if thing.group == TABLES and thing.table in missing:
            lost[TABLES].append(f"table {shown(thing.table)}, which {file} made, is missing")
        elif thing.group != TABLES and thing.table not in missing and not _holds(found, thing):
            lost[thing.group].append(f"{_described(thing)}, which {file} made, is missing")
    return lost


def _read(session: Session, names: Sequence[str]) -> dict[str, list[Relation]]:
    """Read the tables of these names, in all schemas."""
    found: dict[str, list[Relation]] = defaultdict(list)
    for schema, name, enabled, forced, policies in session.execute(_RELATIONS, [list(names)]).fetchall():
        flags = {("enabled", enabled), ("forced", forced)}
        details: set[tuple[Group, str]] = {(ROW_SECURITY, flag) for flag, is_set in flags if is_set}
        details |= {(POLICIES, str(policy)) for policy in policies or ()}  # type: ignore[attr-defined]  # untyped row
        found[str(name)].append(Relation(str(schema), frozenset(details)))
    return found


def _matching(found: dict[str, list[Relation]], table: Name) -> list[Relation]:
    return [one for one in found.get(table[1], []) if not table[0] or table[0] == one.schema]


def _holds(found: dict[str, list[Relation]], thing: Thing) -> bool:
    return any((thing.group, thing.detail) in one.details for one in _matching(found, thing.table))


def shown(table: Name) -> str:
    """Write a table's name for people."""
    return ".".join(part for part in table if part)


def _described(thing: Thing) -> str:
    if thing.group == POLICIES:
        return f'policy "{thing.detail}" on {shown(thing.table)}'
    return f"row level security ({thing.detail}) of {shown(thing.table)}"
