"""Makes the next migration file."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from engines.migrations.errors import FolderError
from engines.migrations.files.folder import NUMBERED, read_folder

if TYPE_CHECKING:
    from pathlib import Path

    from engines.migrations.files.folder import Folder

_STAMP: Final = "%Y%m%d%H%M%S"
_DIGITS: Final = 3
_BY_DRIZZLE: Final = "its journal and snapshots are Drizzle's own; run `drizzle-kit generate --custom`"


def create(path: Path, name: str, *, layout: str | None = None, now: datetime | None = None) -> Path:
    """Make an empty file with the next version.

    Args:
        path: the folder; made when missing.
        name: any words, in any script.
        layout: `numbered` or `supabase`; None: that of the folder.
        now: for timestamps; None: the clock.

    Raises:
        FolderError: the folder cannot be used, or the name is empty or too long.
    """
    words = re.sub(r"\W+", "_", name.strip().lower()).strip("_")
    if not words:
        raise FolderError(
            str(path), [f"`{name}` is no name; say what the migration does, such as add_invoices"]
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
        folder = read_folder(path, layout=layout)
        if folder.is_drizzle:
            raise FolderError(str(path), [_BY_DRIZZLE])
        file = path / f"{next_version(folder, now or datetime.now(UTC))}_{words}.sql"
        file.open("x", encoding="utf-8").close()
    except OSError as error:
        raise FolderError(str(path), [f"the file cannot be made: {error.strerror or error}"]) from None
    return file


def next_version(folder: Folder, now: datetime) -> str:
    """Give the version after the last: the next number as wide as the others, or the time (UTC)."""
    last = folder.files[-1].version if folder.files else ""
    if folder.layout == NUMBERED:
        wide = max(_DIGITS, len(last))
        number = f"{int(last or 0) + 1:0{wide}d}"
        if len(number) > wide:
            raise FolderError(
                str(folder.path), [f"{last} is the last number of {wide} digits; pad the versions"]
            )
        return number
    stamp = now.strftime(_STAMP)
    if stamp > last:
        return stamp
    later = datetime.strptime(last[:14].ljust(14, "0"), _STAMP).replace(tzinfo=UTC) + timedelta(seconds=1)
    return later.strftime(_STAMP)
