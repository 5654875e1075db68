"""Several small files in one message: each its own transaction, all in one round trip.

The server runs the transactions of a message in order and stops at the first error: what is before it stays,
its own transaction is rolled back, what is behind it was never begun. Each COMMIT among the answers is a file
that is applied, so the error belongs to the file after the last of them.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from engines.migrations.shape import Atomic, shape
from engines.migrations.statements import Source, read_script
from engines.migrations.whole import Message, compose, run_whole
from engines.migrations.wire import send_transactions, undo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.migrations.file import MigrationFile
    from engines.migrations.plan import History, Options
    from engines.migrations.retry import Patience
    from engines.migrations.wire import ServerError, Session

# On from here a message gains nothing: its round trip is small against its work.
_CHARACTERS: Final = 64 * 1024
_RECORD: Final = 1000  # about what a file's message has besides its text and the copy for the history
_JOIN: Final = ";\n"
# now() is the time of the message (PostgreSQL manual, "Current Date/Time"), so its files see the same one.
_CLOCK: Final = re.compile(
    r"\b(?:now|current_timestamp|current_time|localtimestamp|localtime|transaction_timestamp"
    r"|statement_timestamp|moddatetime|versioning)\b",
    re.IGNORECASE,
)
_WRITES: Final = re.compile(
    r"(?:insert|update|delete|merge|select|with|values|do|call|execute|copy|refresh|\()", re.IGNORECASE
)


@dataclass(frozen=True)
class Sharing:
    """Which files may share a message.

    Attributes:
        folder: all files: a default of an early one acts in a late one.
        history: files of which a part is done go alone.
    """

    folder: tuple[MigrationFile, ...]
    history: History

    @cached_property
    def clock(self) -> bool:
        """Say whether a file knows now(), so that two files which write rows must not see the same one."""
        return any(_CLOCK.search(file.sql) for file in self.folder)

    def take(self, files: Sequence[MigrationFile], *, wide: bool) -> Sequence[MigrationFile]:
        """Give the first files that go together: one at least.

        Args:
            files: what is to run, in order.
            wide: False takes one: progress is told as it happens where files take long.
        """
        size, writers = 0, 0
        for index, file in enumerate(files):
            size += 2 * len(file.sql) + _RECORD
            if not (wide and size <= _CHARACTERS and self._may_share(file)):
                return files[: max(index, 1)]
            writers += _writes(file)
            if writers > 1 and self.clock:
                return files[:index]
        return files

    def _may_share(self, file: MigrationFile) -> bool:
        """Say whether a file is one transaction whose end the parser is sure of, and not known to be slow."""
        if file.directives.lock_timeout or file.directives.statement_timeout:
            return False
        # A backfill is many transactions, and Drizzle's history is more than one statement.
        if file.directives.backfill or file.version in self.history.backfills or file.entry:
            return False
        script = read_script(file.sql)
        way = shape(script, transaction=file.directives.transaction)
        whole = script.source is Source.PARSER and isinstance(way, Atomic)
        return whole and file.version not in self.history.progress


def _writes(file: MigrationFile) -> bool:
    """Say whether a statement of a file may write rows with the time in them."""
    return any(_WRITES.match(file.sql, s.start) for s in read_script(file.sql).statements)


@dataclass(frozen=True)
class _Part:
    """One file's share of a message; `start` is its offset there."""

    file: MigrationFile
    shape: Atomic
    message: Message
    start: int


def run_batch(session: Session, files: Sequence[MigrationFile], options: Options, patience: Patience) -> int:
    """Run files that may share a message; one that does not get a lock is tried again by itself.

    Returns:
        How many files, from the first, are applied; those behind them were not begun.

    Raises:
        FailedError: the server refused a file; it is rolled back, those before it are applied.
    """
    parts = _compose(files, options)
    took, error = send_transactions(session, _JOIN.join(part.message.text for part in parts))
    for file, duration_ms in zip(files, took, strict=False):
        patience.report(f"applied {file.file} in {duration_ms:.0f} ms")
    if error is None:
        return len(files)
    undo(session)
    guilty = _guilty(parts, len(took), error)
    if guilty > len(took):  # a syntax error: the text was refused as a whole, nothing has run
        return run_batch(session, files[:guilty], options, patience)
    return guilty + _alone(session, parts[guilty], error, options, patience)


def _compose(files: Sequence[MigrationFile], options: Options) -> list[_Part]:
    """Write every file's share; each but the first counts its time from the end of the one before."""
    parts: list[_Part] = []
    start, before = 0, None
    for file in files:
        way = shape(read_script(file.sql), transaction=file.directives.transaction)
        if isinstance(way, Atomic):
            message = compose(file, way, options, 0, after=before)
            parts.append(_Part(file, way, message, start))
            start += len(message.text) + len(_JOIN)
        before = file.version
    return parts


def _guilty(parts: Sequence[_Part], committed: int, error: ServerError) -> int:
    """Say whose error it is: the parser's is told by its place, all others by the COMMITs before it."""
    if committed or error.done or error.position is None:
        return committed
    return max(i for i, part in enumerate(parts) if part.start <= error.position or i == 0)


def _alone(session: Session, part: _Part, error: ServerError, options: Options, patience: Patience) -> int:
    """Go on with the file that failed as if it had been sent alone: only a lock is worth another try."""
    position = None if error.position is None else error.position - part.start
    started = time.monotonic()
    first = replace(error, position=position)
    run_whole(session, part.file, part.shape, options, patience, first=first)
    patience.report(f"applied {part.file.file} in {(time.monotonic() - started) * 1000:.0f} ms")
    return 1
