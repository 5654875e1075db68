"""What a file leaves in its session besides settings and role, and how the next file is kept from it.

psql gives each file of a numbered folder a session of its own, so a file may count on an empty one. The
Supabase CLI and Drizzle run all files in one session, so that a file may count on what an earlier one left:
in their folders it stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from engines.migrations.folder import NUMBERED, Folder
from engines.migrations.wire import send

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.migrations.file import MigrationFile
    from engines.migrations.wire import Session

_LEAVES: Final = re.compile(r"\b(?:temp|temporary|pg_temp|hold|prepare|listen)\b", re.IGNORECASE)
# DISCARD ALL would be shorter, but also end the migration lock.
_REMOVE: Final = "close all;deallocate all;unlisten *;discard temp;discard sequences"
# Defaults of a login or a database are read when a session begins (PostgreSQL manual, ALTER ROLE).
_DEFAULTS: Final = re.compile(
    r"\balter\s+(?:role|user|database)\b[^;]*?\b(?:re)?set\b", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True)
class Traces:
    """Which files of a folder leave something that the next one must not see.

    Attributes:
        folder: all files: a sequence of an early one is used by a late one.
    """

    folder: Folder

    @cached_property
    def _apart(self) -> bool:
        """Say whether each file is to find the session as if it were its own."""
        return self.folder.layout == NUMBERED

    @cached_property
    def _cached(self) -> bool:
        """Say whether a sequence may keep numbers in the session (CREATE SEQUENCE … CACHE)."""
        return any("cache" in file.sql.lower() for file in self.folder.files)

    def _leaves(self, file: MigrationFile) -> bool:
        return self._apart and (self._cached or bool(_LEAVES.search(file.sql)))

    def ends_session(self, file: MigrationFile) -> bool:
        """Say whether what follows a file needs a session that begins after it."""
        return self._apart and bool(_DEFAULTS.search(file.sql))

    def upto_first(self, files: Sequence[MigrationFile]) -> Sequence[MigrationFile]:
        """Give the files up to the first that leaves something: what may share a message."""
        for index, file in enumerate(files):
            if self._leaves(file) or self.ends_session(file):
                return files[: index + 1]
        return files

    def remove(self, session: Session, file: MigrationFile) -> None:
        """Remove what a file may have left; a lost connection is the next message's to tell."""
        if self._leaves(file):
            send(session, _REMOVE)
