"""Several small files in one message: each its own transaction, all in one round trip.

The server runs the transactions of a message in order and stops at the first error: what is before it stays,
its own transaction is rolled back, what is behind it was never begun. Each COMMIT among the answers is a file
that is applied, so the error belongs to the file after the last of them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from engines.migrations.execution.times import Times
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
    def _times(self) -> Times:
        return Times(self.folder)

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
            if way is None or not self._times.may_follow(file, written):
                break
            message = compose(file, way, self.options, shared=bool(parts))
            parts.append(Part(file, way, message, start))
            start += len(message.followed) + len(_JOIN)
        return parts if len(parts) > 1 else []

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
