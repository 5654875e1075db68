"""Several small files in one message: each its own transaction, all in one round trip.

The server runs the transactions of a message in order and stops at the first error: what is before it stays,
its own transaction is rolled back, what is behind it was never begun. Each COMMIT among the answers is a file
that is applied, so the error belongs to the file after the last of them.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from engines.migrations.execution.whole import Message, compose, run_whole
from engines.migrations.sessions.wire import undo
from engines.migrations.sql.shape import Atomic, shape
from engines.migrations.sql.statements import Source, read_script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engines.migrations.execution.job import Job
    from engines.migrations.files.file import MigrationFile
    from engines.migrations.plan import History, Options
    from engines.migrations.sessions.wire import ServerError

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
# Much cheaper to look for in a long text.
_CLOCK_WORDS: Final = ("now", "current_time", "localtime", "_timestamp", "moddatetime", "versioning")
_WRITES: Final = re.compile(
    r"(?:insert|update|delete|merge|select|with|values|do|call|execute|copy|refresh|\()", re.IGNORECASE
)
_TARGET: Final = re.compile(
    r"(?:insert\s+into|(?:update|delete\s+from)(?:\s+only)?|merge\s+into)\s+"
    r"(?:[\w$]+\s*\.\s*)?([\w$]+)(?![\w$\s]*[.\"])",
    re.IGNORECASE,
)
_ANY: Final = "*"


@dataclass(frozen=True)
class Part:
    """One file's share of a message; `start` is its offset there."""

    file: MigrationFile
    shape: Atomic
    message: Message
    start: int


@dataclass
class Packer:
    """Chooses which files share a message, and writes it.

    Attributes:
        folder: all files: a default of an early one acts in a late one.
        history: files of which a part is done go alone.
        options: how to run.
    """

    folder: tuple[MigrationFile, ...]
    history: History
    options: Options
    _ahead: list[Part] = field(default_factory=list)

    @cached_property
    def clock(self) -> bool:
        """Say whether a file knows now(), so that two files which write rows must not see the same one."""
        return any(_knows_the_time(file.sql) for file in self.folder)

    def pack(self, files: Sequence[MigrationFile], *, wide: bool) -> list[Part]:
        """Write the message of the first files that go together; empty: the first one goes alone.

        Args:
            files: what is to run, in order.
            wide: False takes none: progress is told as it happens where files take long.
        """
        ahead, self._ahead = self._ahead, []
        if not wide or not files:
            return []
        return ahead if ahead and ahead[0].file is files[0] else self._pack(files)

    def look_ahead(self, files: Sequence[MigrationFile]) -> None:
        """Write the message of the files that may be next, while the server is busy."""
        self._ahead = self._pack(files)

    def _pack(self, files: Sequence[MigrationFile]) -> list[Part]:
        parts: list[Part] = []
        size, start, written = 0, 0, set[str]()
        for file in files:
            size += 2 * len(file.sql) + _RECORD
            way = self._way(file) if size <= _CHARACTERS else None
            if way is None or not self._may_follow(file, written):
                break
            message = compose(file, way, self.options, shared=bool(parts))
            parts.append(Part(file, way, message, start))
            start += len(message.followed) + len(_JOIN)
        return parts if len(parts) > 1 else []

    @cached_property
    def triggers(self) -> bool:
        """Say whether a file may make a trigger, by which writing one table writes others."""
        return any("trigger" in file.sql.lower() or "create rule" in file.sql.lower() for file in self.folder)

    def _may_follow(self, file: MigrationFile, written: set[str]) -> bool:
        """Say whether a file writes none of the tables that are written before it in the message.

        Args:
            file: the next one.
            written: what those before it write; gets what it writes.
        """
        if not self.clock:
            return True
        found = _written(file)
        if found and written and (self.triggers or _ANY in found | written or found & written):
            return False
        written |= found
        return True

    def _way(self, file: MigrationFile) -> Atomic | None:
        """Give the shape of a file that is one transaction, of whose end the parser is sure, and not slow."""
        if file.directives.lock_timeout or file.directives.statement_timeout:
            return None
        # A backfill is many transactions, and Drizzle's history is more than one statement.
        if file.directives.backfill or file.version in self.history.backfills or file.entry:
            return None
        script = read_script(file.sql)
        way = shape(script, transaction=file.directives.transaction)
        whole = script.source is Source.PARSER and file.version not in self.history.progress
        return way if whole and isinstance(way, Atomic) else None


def _written(file: MigrationFile) -> set[str]:
    """Name the tables that a file writes rows of, without their schema; `*` stands for any."""
    found = set()
    for statement in read_script(file.sql).statements:
        if _WRITES.match(file.sql, statement.start):
            target = _TARGET.match(file.sql, statement.start)
            found.add(target[1].lower() if target else _ANY)
    return found


def _knows_the_time(sql: str) -> bool:
    text = sql.lower()
    return any(word in text for word in _CLOCK_WORDS) and bool(_CLOCK.search(text))


def run_batch(job: Job, parts: Sequence[Part], meanwhile: Callable[[], None]) -> int:
    """Run files that share a message; one that does not get a lock is tried again by itself.

    Args:
        job: the run.
        parts: their shares.
        meanwhile: what to do while the server is busy.

    Returns:
        How many files, from the first, are applied; those behind them were not begun.

    Raises:
        FailedError: the server refused a file; it is rolled back, those before it are applied.
    """
    texts = [*(part.message.followed for part in parts[:-1]), parts[-1].message.text]
    answers = job.send(_JOIN.join(texts), meanwhile)
    for part, clock in zip(parts, answers.commits, strict=False):
        _note(job, part, clock)
    done, error = len(answers.commits), answers.error
    if error is None:
        return len(parts)
    undo(job.session)
    guilty = _guilty(parts, done, error)
    if guilty > done:  # a syntax error: the text was refused as a whole, nothing has run
        return run_batch(job, parts[:guilty], lambda: None)
    return guilty + _alone(job, parts[guilty], error)


def _note(job: Job, part: Part, clock: Sequence[float]) -> None:
    """Note the times of a file that is applied, and tell."""
    body, version = part.message.body, part.file.version
    job.journal.add(version, part.message.script, body.times(clock))
    if len(clock) > 1:
        took = (clock[-1] - clock[0]) * 1000
        job.journal.add_file(version, took)
        job.patience.report(f"applied {part.file.file} in {took:.0f} ms")
    else:
        job.patience.report(f"applied {part.file.file}")


def _guilty(parts: Sequence[Part], committed: int, error: ServerError) -> int:
    """Say whose error it is: the parser's is told by its place, all others by the COMMITs before it."""
    if committed or error.done or error.position is None:
        return committed
    return max(i for i, part in enumerate(parts) if part.start <= error.position or i == 0)


def _alone(job: Job, part: Part, error: ServerError) -> int:
    """Go on with the file that failed as if it had been sent alone: only a lock is worth another try."""
    position = None if error.position is None else error.position - part.start
    started = time.monotonic()
    run_whole(job, part.file, part.shape, first=replace(error, position=position))
    job.patience.report(f"applied {part.file.file} in {(time.monotonic() - started) * 1000:.0f} ms")
    return 1
