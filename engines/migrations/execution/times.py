"""Which files may not share a message because their rows would have the same time.

now() is the time of the message (PostgreSQL manual, "Current Date/Time"). Rows that two files write into one
table must have two times, and what one file wrote before now() another must find before its own now().
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Final

from engines.migrations.sql.statements import read_script

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engines.migrations.files.file import MigrationFile

_CLOCK: Final = re.compile(
    r"\b(?:now|current_timestamp|current_time|current_date|localtimestamp|localtime|transaction_timestamp"
    r"|statement_timestamp|moddatetime|versioning)\b"
)
# Much cheaper to look for in a long text.
_CLOCK_WORDS: Final = ("now", "current_", "localtime", "_timestamp", "moddatetime", "versioning")
# By these, writing one table writes others.
_INDIRECT: Final = re.compile(r"\b(?:trigger|rule)\b")
# Names under which the rows of another table are written.
_OTHER_NAMES: Final = re.compile(
    r"\bview\s+(?:if\s+not\s+exists\s+)?(?:[\w$\"]+\s*\.\s*)?\"?([\w$]+)"
    r"|(?:[\w$\"]+\s*\.\s*)?\"?([\w$]+)\"?\s+partition\s+of\s+(?:[\w$\"]+\s*\.\s*)?\"?([\w$]+)"
    r"|\b(?:inherits?\s*\(?|attach\s+partition)\s*(?:[\w$\"]+\s*\.\s*)?\"?([\w$]+)"
)
_OTHER_WORDS: Final = ("view", "partition", "inherit")
_READS_OR_WRITES: Final = re.compile(
    r"insert|update|delete|merge|select|with|values|do\b|call|execute|copy|refresh|table|\("
    r"|create\s+(?:(?:global|local|temp|temporary|unlogged)\s+)*table\b[^;]*?\bas\s*(?:\(|select|table|values|with|exec)"
    r"|create\s+materialized",
)
_TARGET: Final = re.compile(
    r"(?:insert\s+into|(?:update|delete\s+from)(?:\s+only)?|merge\s+into)\s+"
    r"(?:[\w$]+\s*\.\s*)?([\w$]+)(?![\w$\s]*[.\"])"
)
_READS_OTHERS: Final = re.compile(r"\b(?:select|from|using|table|join)\b")
_ANY: Final = "*"


class Times:
    """Tells whether files of a folder may see the same time."""

    def __init__(self, folder: Sequence[MigrationFile]) -> None:
        """Remember all files: a default, trigger or view of an early one acts in a late one."""
        self._folder = folder

    @cached_property
    def _matters(self) -> bool:
        """Say whether any file knows the time."""
        return any(_knows_the_time(file.sql.lower()) for file in self._folder)

    @cached_property
    def _is_indirect(self) -> bool:
        return any(_INDIRECT.search(file.sql.lower()) for file in self._folder)

    @cached_property
    def _other_names(self) -> set[str]:
        """List the names under which the rows of another table may be written."""
        texts = (file.sql.lower() for file in self._folder)
        likely = (text for text in texts if any(word in text for word in _OTHER_WORDS))
        return {name for text in likely for found in _OTHER_NAMES.findall(text) for name in found if name}

    def may_follow(self, file: MigrationFile, used: set[str]) -> bool:
        """Say whether a file has nothing to do with the tables that are used before it in the message.

        Args:
            file: the next one.
            used: tables whose rows those before it use, without schema; `*` is any. Gets its own.
        """
        if not self._matters:
            return True
        found = {_ANY if name in self._other_names else name for name in _used(file)}
        if found and used and (self._is_indirect or _ANY in found | used or found & used):
            return False
        used |= found
        return True


def _knows_the_time(text: str) -> bool:
    return any(word in text for word in _CLOCK_WORDS) and bool(_CLOCK.search(text))


def _used(file: MigrationFile) -> Iterator[str]:
    """Name the tables whose rows a file reads or writes; `*` where that cannot be told."""
    text = file.sql.lower() if len(file.sql.lower()) == len(file.sql) else ""
    for statement in read_script(file.sql).statements:
        start, end = statement.start, statement.end
        if not text or (text.startswith("alter", start) and _knows_the_time(text[start:end])):
            yield _ANY
        elif _READS_OR_WRITES.match(text, start, end):
            target = _TARGET.match(text, start, end)
            alone = target and not _READS_OTHERS.search(text, target.end(), end)
            yield target[1] if target and alone else _ANY
