"""What a file leaves in its session besides settings and role, and how the next file is kept from it.

psql gives each file of a numbered folder a session of its own, so a file may count on an empty one. The
Supabase CLI and Drizzle run all files in one session, so that a file may count on what an earlier one left:
in their folders it stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from engines.migrations.folder import NUMBERED
from engines.migrations.wire import send

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.migrations.file import MigrationFile
    from engines.migrations.folder import Folder
    from engines.migrations.wire import Session

_LEAVES: Final = re.compile(r"\b(?:temp|temporary|pg_temp|hold|prepare|listen)\b")
# DISCARD ALL would be shorter, but also end the migration lock.
_REMOVE: Final = "close all;deallocate all;unlisten *;discard temp;discard sequences"
# Defaults of a login or a database are read when a session begins (PostgreSQL manual, ALTER ROLE).
_DEFAULTS: Final = re.compile(r"\balter (?:role|user|database)\b[^;]*?\b(?:re)?set\b")
# Much cheaper to look for in a long text than the patterns themselves.
_LEAVES_WORDS: Final = ("temp", "hold", "prepare", "listen")
_DEFAULTS_WORDS: Final = ("alter role", "alter user", "alter database")


@dataclass(frozen=True)
class _Trace:
    """What one file leaves."""

    objects: bool
    defaults: bool


class Traces:
    """Which files of a folder leave something that the next one must not see."""

    def __init__(self, folder: Folder) -> None:
        """Look at all files: a sequence of an early one is used by a late one."""
        self._apart = folder.layout == NUMBERED
        # A sequence may keep numbers in the session (CREATE SEQUENCE … CACHE).
        self._cached = self._apart and any("cache" in file.sql.lower() for file in folder.files)
        self._known: dict[str, _Trace] = {}

    def _trace(self, file: MigrationFile) -> _Trace:
        if not self._apart:
            return _Trace(objects=False, defaults=False)
        if file.version not in self._known:
            text = " ".join(file.sql.lower().split())
            self._known[file.version] = _Trace(
                self._cached or (_mentions(text, _LEAVES_WORDS) and bool(_LEAVES.search(text))),
                _mentions(text, _DEFAULTS_WORDS) and bool(_DEFAULTS.search(text)),
            )
        return self._known[file.version]

    def ends_session(self, file: MigrationFile) -> bool:
        """Say whether what follows a file needs a session that begins after it."""
        return self._trace(file).defaults

    def upto_first(self, files: Sequence[MigrationFile]) -> Sequence[MigrationFile]:
        """Give the files up to the first that leaves something: what may share a message."""
        for index, file in enumerate(files):
            if self._trace(file).objects or self.ends_session(file):
                return files[: index + 1]
        return files

    def remove(self, session: Session, file: MigrationFile) -> None:
        """Remove what a file may have left; a lost connection is the next message's to tell."""
        if self._trace(file).objects:
            send(session, _REMOVE)


def _mentions(text: str, words: Sequence[str]) -> bool:
    return any(word in text for word in words)
