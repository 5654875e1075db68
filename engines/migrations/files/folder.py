"""What exists: the migration files of a folder, in order, or everything that keeps them from being used."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from engines.migrations.errors import FolderError
from engines.migrations.files import drizzle
from engines.migrations.files.drizzle import DRIZZLE, DRIZZLE_1
from engines.migrations.files.file import NAME, MigrationFile, checksum, decode, read_directives

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NUMBERED: Final = "numbered"
SUPABASE: Final = "supabase"
LAYOUTS: Final = (NUMBERED, SUPABASE, DRIZZLE)
CHECKS: Final = "checks"

_TIMESTAMP_DIGITS: Final = 14
_PRISMA: Final = "migration_lock.toml"
_BY_PRISMA: Final = (
    "Prisma made this folder, and keeps a history that is not supported; name a layout to use it"
)
# The Supabase CLI never runs these (they were made by its own first versions), so its history would disagree.
_CLI_SKIPS: Final = re.compile(r"([0-9]{14})_init\.sql")
_CLI_SKIPS_BEFORE: Final = "20211209000000"


@dataclass(frozen=True)
class Folder:
    """The files of a folder in the order in which they run.

    Attributes:
        path: the folder.
        layout: `numbered` (001_name.sql), `supabase` (20260325000000_name.sql), `drizzle` (with a journal) or
            `drizzle-1` (20260325000000_name/migration.sql).
        files: in order of version, or of Drizzle's journal.
        ignored: names of what is no migration (other files, sub-folders, hidden files).
    """

    path: Path
    layout: str
    files: tuple[MigrationFile, ...]
    ignored: tuple[str, ...] = ()

    @property
    def checks(self) -> Path:
        """Give the folder of the assertions that `verify` runs."""
        return self.path / CHECKS

    @property
    def is_drizzle(self) -> bool:
        """Say whether Drizzle made it: its history is Drizzle's."""
        return self.layout in {DRIZZLE, DRIZZLE_1}


def read_folder(path: Path, *, layout: str | None = None) -> Folder:
    """Read every migration of a folder.

    Args:
        path: the folder; sub-folders are not read.
        layout: `numbered`, `supabase` or `drizzle`; None: told by the names.

    Raises:
        FolderError: lists all problems of all files, each by file name.
    """
    if layout is not None and layout not in LAYOUTS:
        raise FolderError(str(path), [f"layout `{layout}` is not known; there are {', '.join(LAYOUTS)}"])
    _must_exist(path)
    if layout is None and (path / _PRISMA).exists():
        raise FolderError(str(path), [f"{_PRISMA}: {_BY_PRISMA}"])
    made_by_drizzle = drizzle.detect(path)
    if layout == DRIZZLE or (layout is None and made_by_drizzle):
        kind = made_by_drizzle or DRIZZLE
        return Folder(path, kind, *drizzle.read(path, kind))
    entries, ignored = _entries(path)
    matched = [(found[1], entry) for entry in entries if (found := NAME.fullmatch(entry.name))]
    read = [_read(entry) for _, entry in matched]
    problems = [
        *(f"{entry.name}: {problem}" for entry in entries for problem in _name_problems(entry.name)),
        *(text for result in read if isinstance(result, list) for text in result),
        *_order_problems([(version, entry.name) for version, entry in matched]),
    ]
    if problems:
        raise FolderError(str(path), problems)
    files = sorted((result for result in read if isinstance(result, MigrationFile)), key=lambda f: f.version)
    return Folder(path, layout or detect(file.version for file in files), tuple(files), ignored)


def detect(versions: Iterable[str]) -> str:
    """Tell the layout from versions: one timestamp makes it `supabase`."""
    return SUPABASE if any(len(version) == _TIMESTAMP_DIGITS for version in versions) else NUMBERED


def _must_exist(path: Path) -> None:
    try:
        path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> FolderError:
    return FolderError(str(path), [f"the folder cannot be read: {error.strerror or error}"])


def _entries(path: Path) -> tuple[list[os.DirEntry[str]], tuple[str, ...]]:
    """List what may be migrations, and the names of what is left aside; the listing knows what is a file."""
    try:
        with os.scandir(path) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(path, error) from None
    migrations = [entry for entry in entries if _is_candidate(entry)]
    chosen = {CHECKS, *(entry.name for entry in migrations)}
    return migrations, tuple(entry.name for entry in entries if entry.name not in chosen)


def _is_candidate(entry: os.DirEntry[str]) -> bool:
    """Say whether an entry claims to be a migration: `.sql` in any case, not hidden."""
    claims = entry.name.lower().endswith(".sql") and not entry.name.startswith(".")
    return claims and (bool(NAME.fullmatch(entry.name)) or not _is_dir(entry))


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _name_problems(name: str) -> list[str]:
    """Say what keeps a file name from being run."""
    if not NAME.fullmatch(name):
        return [
            "would never run: a migration is named VERSION_name.sql (digits, `_`, name, `.sql` in lower case)"
        ]
    skipped = _CLI_SKIPS.fullmatch(name)
    if skipped and skipped[1] < _CLI_SKIPS_BEFORE:
        return ["the Supabase CLI always skips a file of this name and date; rename it"]
    return []


def _read(entry: os.DirEntry[str]) -> MigrationFile | list[str]:
    """Read one file, or say by its name what is wrong with its content."""
    name = entry.name
    try:
        if not entry.is_file() and not stat.S_ISDIR(entry.stat().st_mode):
            return [f"{name}: is a pipe, socket or device, which may never end; write a file"]
        with open(entry.path, "rb", buffering=0) as opened:  # noqa: PTH123  # half the time of Path's own
            sql = decode(opened.read())
        name.encode()
    except OSError as error:
        return [f"{name}: cannot be read: {error.strerror or error}"]
    except UnicodeEncodeError:
        return [f"{name!r}: the name is not UTF-8; rename it"]
    except ValueError as error:
        return [f"{name}: {error}"]
    directives, problems = read_directives(sql)
    version, _, rest = name.removesuffix(".sql").partition("_")
    file = MigrationFile(version, rest, name, sql, checksum(sql), directives)
    return [f"{name}: {problem}" for problem in problems] or file


def _order_problems(named: list[tuple[str, str]]) -> list[str]:
    """Find versions that stand twice, and versions whose order as text is not their order as numbers.

    The Supabase CLI and its history order versions as text; people read numbers.
    """
    problems = []
    ordered = sorted(named)
    for (earlier, first), (later, second) in pairwise(ordered):
        if int(earlier) == int(later):
            problems.append(f"{second}: has the same version as {first}; give one of them another number")
        elif int(earlier) > int(later):
            wide = max(len(earlier), len(later))
            problems.append(
                f"{second}: sorts after {first} as text but before it as a number; "
                f"pad the versions with zeros to {wide} digits"
            )
    return problems
