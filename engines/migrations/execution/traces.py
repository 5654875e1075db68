"""What a file leaves in its session besides settings and role, and how the next file is kept from it.

psql gives each file of a numbered folder a session of its own, so a file may count on an empty one. The
Supabase CLI and Drizzle run all files in one session, so that a file may count on what an earlier one left:
in their folders it stays.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from engines.migrations.files.folder import NUMBERED
from engines.migrations.sessions.wire import send

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.migrations.files.file import MigrationFile
    from engines.migrations.files.folder import Folder
    from engines.migrations.sessions.wire import Session

# In lower case, with single blanks. In a comment it costs a round trip.
_LEAVES: Final = re.compile(
    r"\b(?:temp|temporary|pg_temp|with hold)\b|\bprepare \S+?(?: as |\(| \()|\blisten \S+? ?(?:;|'|$)"
)
# DISCARD ALL would be shorter, but also end the migration lock.
_REMOVE: Final = "close all;deallocate all;unlisten *;discard temp;discard sequences"
# Defaults of a login or a database are read when a session begins (PostgreSQL manual, ALTER ROLE).
_DEFAULTS: Final = re.compile(r"\balter (?:role|user|database)\b[^;]*?\b(?:re)?set\b")
# Much cheaper to look for in a long text than the patterns themselves.
_WORDS: Final = ("temp", "hold", "prepare", "listen", "alter")


class Traces:
    """Which of some files leave something that the next one must not see."""

    def __init__(self, folder: Folder, files: Sequence[MigrationFile]) -> None:
        """Look through the files that are to run; a sequence of any file of the folder is used by all."""
        apart = files if folder.layout == NUMBERED else ()
        texts = {file.version: " ".join(text.split()) for file in apart if (text := _worth_a_look(file))}
        # A sequence may keep numbers in the session (CREATE SEQUENCE … CACHE).
        cached = bool(apart) and any("cache" in file.sql.lower() for file in folder.files)
        self._objects = {file.version for file in apart if cached}
        self._objects |= {version for version, text in texts.items() if _leaves_objects(text)}
        self._defaults = {version for version, text in texts.items() if _changes_defaults(text)}
        self._any = self._objects | self._defaults

    def ends_session(self, file: MigrationFile) -> bool:
        """Say whether what follows a file needs a session that begins after it."""
        return file.version in self._defaults

    def upto_first(self, files: Sequence[MigrationFile]) -> Sequence[MigrationFile]:
        """Give the files up to the first that leaves something: what may share a message."""
        places = (index for index, file in enumerate(files) if file.version in self._any)
        first = next(places, None) if self._any else None
        return files if first is None else files[: first + 1]

    def remove(self, session: Session, file: MigrationFile) -> None:
        """Remove what a file may have left; a lost connection is the next message's to tell."""
        if file.version in self._objects:
            send(session, _REMOVE)


def _worth_a_look(file: MigrationFile) -> str:
    """Give a file's text in lower case, empty where it has none of the words."""
    text = file.sql.lower()
    return text if any(word in text for word in _WORDS) else ""


def _leaves_objects(text: str) -> bool:
    return bool(_LEAVES.search(text))


def _changes_defaults(text: str) -> bool:
    return bool(_DEFAULTS.search(text))
