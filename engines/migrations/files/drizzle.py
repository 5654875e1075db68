"""Drizzle's folders, as its own migrators read them: the journal of 0.x, and the folders of 1.0.

Source: `readMigrationFiles` of drizzle-orm 0.45.4 and 1.0.0-rc.4 (migrator.js). The order is that of the
journal, or of the folders' names; a migration is known by its tag, or by the name of its folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from engines.migrations.errors import FolderError
from engines.migrations.files.file import DrizzleEntry, MigrationFile, checksum, decode, read_directives

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DRIZZLE: Final = "drizzle"
DRIZZLE_1: Final = "drizzle-1"
JOURNAL: Final = "meta/_journal.json"
MARK: Final = "--> statement-breakpoint"

_FILE: Final = "migration.sql"
_FOLDER: Final = re.compile(r"([0-9]{14})_(.*)", re.DOTALL)
_DIALECT: Final = "postgresql"
_LIKE_A_TAG: Final = re.compile(r"[0-9]+_.*\.sql", re.DOTALL | re.IGNORECASE)
_BOM: Final = b"\xef\xbb\xbf"
_NOT_SQL: Final = r"(?:\s|--[^\n]*(?:\n|\Z)|/\*(?:[^*]|\*(?!/))*\*/)*"
# A piece that is one such statement, with comments around it.
_OPENS: Final = re.compile(rf"(?i){_NOT_SQL}(?:begin|start\s+transaction)\b[^;]*;?{_NOT_SQL}")
_ENDS: Final = re.compile(rf"(?i){_NOT_SQL}(?:commit|end|rollback|abort)\b[^;]*;?{_NOT_SQL}")


def detect(path: Path) -> str | None:
    """Tell which of the two layouts a folder has; None: neither."""
    if (path / JOURNAL).exists():
        return DRIZZLE
    return DRIZZLE_1 if next(_folders(path), None) else None


def _folders(path: Path) -> Iterator[Path]:
    """Give the sub-folders that claim to be migrations."""
    try:
        entries = sorted(path.iterdir(), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir() and (_FOLDER.fullmatch(entry.name) or (entry / _FILE).exists()):
            yield entry


def read(path: Path, layout: str) -> tuple[tuple[MigrationFile, ...], tuple[str, ...]]:
    """Read the migrations in order, and the names of what is none.

    Raises:
        FolderError: lists all problems, each by file name.
    """
    found = _by_journal(path) if layout == DRIZZLE else _by_folder(path)
    problems = [text for result in found if isinstance(result, list) for text in result]
    files = tuple(result for result in found if isinstance(result, MigrationFile))
    used = {file.file.partition("/")[0] for file in files} | {"meta", "checks"}
    others = sorted(entry.name for entry in path.iterdir() if entry.name not in used)
    lost = [name for name in others if _LIKE_A_TAG.fullmatch(name) and (path / name).is_file()]
    problems = problems or [f"{name}: {_lost(layout)}" for name in lost]
    if problems:
        raise FolderError(str(path), problems)
    return files, tuple(others)


def _lost(layout: str) -> str:
    if layout == DRIZZLE:
        return f"would never run: {JOURNAL} does not name it; add an entry, or move the file away"
    return f"would never run: Drizzle 1.0 reads TIME_name/{_FILE}; move it there, or away"


def _by_journal(path: Path) -> list[MigrationFile | list[str]]:
    """Read what the journal names, in its order."""
    stray = [folder.name for folder in _folders(path)]
    if stray:
        raise FolderError(
            str(path),
            [f"{name}: a folder of Drizzle 1.0 beside {JOURNAL}; run `drizzle-kit up`" for name in stray],
        )
    entries, problems = _entries(path)
    if problems:
        raise FolderError(str(path), [f"{JOURNAL}: {problem}" for problem in problems])
    return [_read(path, f"{tag}.sql", tag, when) for tag, when in entries]


def _entries(path: Path) -> tuple[list[tuple[str, int]], list[str]]:
    """Read the journal's tags with their times, or what is wrong with it."""
    try:
        journal = json.loads((path / JOURNAL).read_bytes().decode("utf-8-sig"))
    except OSError as error:
        return [], [f"cannot be read: {error.strerror or error}"]
    except ValueError as error:
        return [], [f"is not JSON: {error}"]
    listed = journal.get("entries") if isinstance(journal, dict) else None
    if not isinstance(listed, list):
        return [], ["has no list `entries`"]
    dialect = journal.get("dialect", _DIALECT)
    problems = [] if dialect in {_DIALECT, "pg"} else [f"is for {dialect}, not for PostgreSQL"]
    problems += [text for index, entry in enumerate(listed) for text in _entry_problems(index, entry)]
    if problems:
        return [], problems
    entries = [(entry["tag"], entry["when"]) for entry in listed]
    tags = sorted(tag for tag, _ in entries)
    return entries, [f"names {tag} twice" for tag, other in pairwise(tags) if tag == other]


def _entry_problems(index: int, entry: Any) -> list[str]:
    """Say what is wrong with one entry of the journal."""
    values = entry if isinstance(entry, dict) else {}
    tag, when = values.get("tag"), values.get("when")
    if not isinstance(tag, str) or not tag or "/" in tag or "\\" in tag or "\0" in tag:
        return [f"entry {index} has no usable `tag`"]
    if not isinstance(when, int) or isinstance(when, bool):
        return [f"entry {index} ({tag}) has no time `when` in milliseconds"]
    return []


def _by_folder(path: Path) -> list[MigrationFile | list[str]]:
    """Read every folder, in the order of JavaScript's localeCompare."""
    folders = sorted(_folders(path), key=lambda folder: _collated(folder.name))
    return [_read_folder(path, folder.name) for folder in folders]


def _collated(name: str) -> tuple[str, str]:
    """Give a key that orders names of one second as localeCompare does: `_` first, then without case."""
    return name.casefold().replace("_", "\1"), name.swapcase()


def _read_folder(path: Path, folder: str) -> MigrationFile | list[str]:
    named = _FOLDER.fullmatch(folder)
    if not named:
        return [f"{folder}: a folder of Drizzle 1.0 is named YYYYMMDDHHMMSS_name; rename it"]
    try:
        time = datetime.strptime(named[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return [f"{folder}: {named[1]} is not a time; rename it"]
    return _read(path, f"{folder}/{_FILE}", folder, int(time.timestamp()) * 1000)


def _read(path: Path, file: str, tag: str, when: int) -> MigrationFile | list[str]:
    """Read one migration, or say by its name what is wrong with it."""
    try:
        raw = (path / file).read_bytes()
        text = decode(raw)
    except FileNotFoundError:
        return [f"{file}: does not exist; get it back from version control"]
    except OSError as error:
        return [f"{file}: cannot be read: {error.strerror or error}"]
    except ValueError as error:
        return [f"{file}: {error}"]
    directives, problems = read_directives(text)
    entry = DrizzleEntry(when, _digest(raw), _digests(raw), _name(tag, when))
    name = tag.partition("_")[2] or tag
    made = MigrationFile(tag, name, file, join_pieces(text), checksum(text), directives, entry)
    return [f"{file}: {problem}" for problem in problems] or made


def _name(tag: str, when: int) -> str:
    """Name the folder of a tag as `drizzle-kit up` does (its `migrateToFoldersV3`)."""
    if _FOLDER.fullmatch(tag):
        return tag
    time = datetime.fromtimestamp(when // 1000, tz=UTC)
    return f"{time:%Y%m%d%H%M%S}_{tag.partition('_')[2]}"


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _digests(raw: bytes) -> frozenset[str]:
    """Hash the forms that a text takes in the checkouts of different systems."""
    unix = raw.removeprefix(_BOM).replace(b"\r\n", b"\n")
    forms = (raw, unix, unix.replace(b"\n", b"\r\n"))
    return frozenset(_digest(form) for text in forms for form in (text, _BOM + text.removeprefix(_BOM)))


def join_pieces(text: str) -> str:
    """Make one script of the pieces between breakpoints, with the same lines.

    Drizzle sends each piece by itself, so that it need not end with a semicolon, and inside of its own
    transaction, which a piece `COMMIT` leaves and a last piece `BEGIN` opens again for it.
    """
    pieces = text.split(MARK)
    if len(pieces) == 1:
        return text
    joined = [pieces[0]]
    for before, after in pairwise(pieces):
        joined += [_border(before, after), after]
    return "".join(joined) + ("\n;COMMIT" if _left_open(pieces) else "")


def _border(before: str, after: str) -> str:
    """Give what stands between two pieces: the mark, a comment for SQL, where nothing else is needed."""
    in_comment = "--" in before.rpartition("\n")[2]
    is_ended = not before.strip() or before.rstrip().endswith(";")
    if is_ended and not in_comment and not after.partition("\n")[0].strip():
        return MARK
    return "\n;" if in_comment else ";".ljust(len(MARK))


def _left_open(pieces: list[str]) -> bool:
    """Say whether the last piece that controls a transaction opens one."""
    opened = False
    for piece in pieces:
        opened = bool(_OPENS.fullmatch(piece)) or (opened and not _ENDS.fullmatch(piece))
    return opened
