"""Which migrations a project has had, by the table that names them, and how a folder of files fits to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from engines.errors import GroundworkError
from engines.migrations.files.folder import read_folder

if TYPE_CHECKING:
    from pathlib import Path

    from engines.adoption.notes import Notes
    from engines.adoption.reading import Live
    from engines.migrations.files.folder import Folder

_SUPABASE: Final = "supabase_migrations.schema_migrations"
_DRIZZLE: Final = "drizzle.__drizzle_migrations"
_TIMESTAMP_DIGITS: Final = 14
_SHOWN: Final = 3


@dataclass(frozen=True)
class History:
    """What the database knows of its migrations.

    Attributes:
        table: where it is kept; empty: nowhere.
        layout: of the files that it speaks of, as a stack file names it; `auto` when it does not tell.
    """

    table: str
    layout: str
    versions: tuple[str, ...]

    @property
    def text(self) -> str:
        """Tell it in a line."""
        if not self.table:
            return "no migration history"
        latest = f", the latest is {self.versions[-1]}" if self.versions else ""
        number = f"{len(self.versions)} migration{'' if len(self.versions) == 1 else 's'}"
        return f"{number} in {self.table}{latest}"


def history_of(live: Live) -> History:
    """Tell the history of a project: the Supabase CLI's, Drizzle's of 0.x or 1.0, or none."""
    if live.catalog.has_supabase:
        is_timed = any(len(version) == _TIMESTAMP_DIGITS for version in live.versions)
        layout = "supabase" if is_timed else "numbered" if live.versions else "auto"
        return History(_SUPABASE, layout, live.versions)
    if live.catalog.drizzle:
        release = "1.0" if "applied_at" in live.catalog.drizzle else "0.x"
        return History(f"{_DRIZZLE} (Drizzle {release})", "drizzle", live.versions)
    return History("", "auto", ())


def describe_migrations(live: Live, folder: str, root: Path, notes: Notes) -> dict[str, Any]:
    """Give the section `migrations` of a stack file, and note what to do about it."""
    history = history_of(live)
    notes.steps += _steps(live, history, folder, root)
    return {"dir": folder, "layout": history.layout}


def _steps(live: Live, history: History, folder: str, root: Path) -> list[str]:
    options = f"--dir {folder}" + (f" --layout {history.layout}" if history.layout != "auto" else "")
    has_tables = any(schema.tables for schema in live.catalog.schemas)
    if not (root / folder).is_dir():
        return [f"put the migration files into {folder}/, then compare: `scripts/db list {options}`"]
    if not history.table and has_tables:
        advice = (
            "the database has tables and no migration history: write what it has as the first files of "
            f"{folder}/, then record them without running: `scripts/db baseline {options}`"
        )
        return [advice]
    return _compared(history, folder, root, options)


def _compared(history: History, folder: str, root: Path, options: str) -> list[str]:
    """Say how the files of a folder and the history differ."""
    try:
        read = read_folder(root / folder, layout=None if history.layout == "auto" else history.layout)
    except GroundworkError as error:
        return [f"the files do not fit the history: {error}"]
    compare = f"compare files and history: `scripts/db list {options}`"
    if read.is_drizzle:
        return [compare]
    return [*_differences(history, folder, read), compare]


def _differences(history: History, folder: str, read: Folder) -> list[str]:
    files = {file.version: file.file for file in read.files}
    lost = [version for version in history.versions if version not in files]
    new = [file for version, file in files.items() if version not in history.versions]
    lines = []
    if lost:
        lines.append(f"{folder}/ lacks migrations that the database has had: {_some(lost)}; put them there")
    if new:
        lines.append(f"the first update will run what the history does not name: {_some(new)}")
    return lines


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest
