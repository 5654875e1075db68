"""Runs a backfill: batch after batch, each in a transaction of its own together with its progress.

A runner that is killed loses at most the batch that was running; the next run goes on behind the last one
that was committed. Ctrl+C cancels the running batch. People pause and stop it in the control row.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import psycopg

from engines.migrations.backfills.meter import Meter, percent
from engines.migrations.backfills.pace import Limits, Pace, after_batch, after_trouble, first_pace, why_slow
from engines.migrations.backfills.ranges import Target, UnfitError, find_target, first_control
from engines.migrations.backfills.template import Template, read_template
from engines.migrations.backfills.vitals import Vitals
from engines.migrations.errors import FailedError
from engines.migrations.execution.failure import Place, failed
from engines.migrations.execution.whole import clean, limits
from engines.migrations.history import control as row
from engines.migrations.history.journal import Waits
from engines.migrations.history.ledger import insert_text
from engines.migrations.sessions.lock import backoff
from engines.migrations.sessions.pooler import explain, still_ours
from engines.migrations.sessions.retry import Tried, try_until_granted
from engines.migrations.sessions.wire import LOCK_NOT_AVAILABLE, ServerError, Session, ask, send, undo
from engines.migrations.sql.statements import read_script

if TYPE_CHECKING:
    from engines.migrations.execution.job import Job
    from engines.migrations.files.backfill import Backfill
    from engines.migrations.files.file import MigrationFile
    from engines.migrations.history.control import Control

# Rows hidden by row security would be left out silently; with this the server refuses instead.
_SESSION: Final = "set lock_timeout = '10s';set row_security = off"
# A batch that is lost in a crash of the server is lost together with its progress: no need to wait for disk.
_BATCH: Final = "set local synchronous_commit = off"
_TIMEOUT: Final = "57014"
_DIVISION: Final = "22012"
_COLLISIONS: Final = {"40001", "40P01"}
# A batch that takes so long makes the product wait: it is undone, and tried with half of the rows.
_LONGEST_S: Final = 2.0
_TIMEOUTS_MOST: Final = 12
_POLL_S: Final = 0.25
_SHOWN: Final = 20


@dataclass(frozen=True)
class _Run:
    """What all batches of one file need."""

    job: Job
    file: MigrationFile
    template: Template
    target: Target
    limits: Limits
    vitals: Vitals
    meter: Meter

    @property
    def session(self) -> Session:
        """Give the session that holds the lock."""
        return self.job.session


@dataclass
class _Attempt:
    """Tries of one batch, each smaller than the one before.

    Attributes:
        control: where the batch begins.
        pace: its size.
        after: where it ends; None: people want something else than to run.
        wanted: what they want.
        took_s: inside of the server.
        timeouts: tries that took too long.
        offset: where the statement begins in the message.
        width: how long the condition in it is.
        waits: tries that did not get a lock.
    """

    run: _Run
    control: Control
    pace: Pace
    after: Control | None = None
    wanted: str | None = row.RUN
    took_s: float = 0.0
    timeouts: int = 0
    offset: int = 0
    width: int = 0
    waits: Waits = field(default_factory=Waits)
    begun: float = field(default_factory=time.monotonic)

    def __call__(self, tries: int) -> ServerError | None:
        """Try once, and count it if a lock was not granted."""
        self.waits.begin()
        error = self._try(tries)
        if error and error.sqlstate == LOCK_NOT_AVAILABLE:
            self.waits.refuse(self.run.template.index)
        return error

    def _try(self, tries: int) -> ServerError | None:
        """Find the range and run it; a try after a lock was not granted is smaller."""
        if tries:
            self.pace = after_trouble(self.pace)
        question = row.wanted_text(self.run.file.version)
        if self.control.stage == row.KEYS:
            question += f";{self.run.target.upper_text(self.control, self.pace.rows)}"
        answers, error = ask(self.run.session, question)
        if error:
            undo(self.run.session)
            return error
        self.wanted = answers[0][0][0] if answers[0] else None
        if self.wanted != row.RUN:
            return None
        found = answers[1] if self.control.stage == row.KEYS else []
        return self._send(found[0][0] if found else None)

    def _send(self, upper: str | None) -> ServerError | None:
        """Run one range and record it; `upper` is None where fewer rows are left than the batch may have."""
        run, after = self.run, self._next(upper).waited(self.waits)
        bound = after.last_key if self.control.stage == row.KEYS else None
        condition = run.target.condition(run.template.column, self.control, bound)
        opening = ["begin", *self._limits(), _BATCH]
        head = ";".join(opening) + ";\n"
        self.offset, self.width = len(head), len(condition)
        record = f"select {still_ours(run.job.options.holder)};"
        record += row.advance_text(run.file.version, self.control, after)
        answers, error = ask(run.session, f"{head}{run.template.fill(condition)}\n;{record};commit")
        if error is None:
            self.after, self.took_s = after, float(answers[-1][0][0]) / 1000
            return None
        undo(run.session)
        if error.sqlstate == _DIVISION and error.done > len(opening):
            self.wanted = None  # the row was not there
            return None
        return error

    def _next(self, upper: str | None) -> Control:
        """Give the state after this batch."""
        control = self.control
        if control.stage == row.NULLS:
            return control.after(row.VERIFYING, control.last_key, 0)
        if upper is not None and upper != control.end_key:
            return control.after(row.KEYS, upper, self.pace.rows)
        left = max(control.rows_total - control.rows_done, 0)
        following = row.NULLS if self.run.target.nullable else row.VERIFYING
        return control.after(following, control.end_key, min(self.pace.rows, left))

    def _limits(self) -> list[str]:
        """Give the timeouts of a batch; ours is doubled after each batch that it has ended."""
        found = limits(self.run.file, self.run.job.options)
        if self.run.file.directives.statement_timeout is None:
            longest = _LONGEST_S * 2.0**self.timeouts * 1000
            found.append(f"set local statement_timeout = {longest:.0f}")
        return found

    def may_go_on(self, error: ServerError) -> bool:
        """Say whether a smaller or later try may end better, and prepare it."""
        if error.sqlstate == _TIMEOUT:
            self.timeouts += 1
            own = self.run.file.directives.statement_timeout is None
            again = self.timeouts <= _TIMEOUTS_MOST and (own or self.pace.rows > 1)
        else:
            again = (
                error.sqlstate in _COLLISIONS
                and time.monotonic() - self.begun < self.run.job.patience.retry_s
            )
            time.sleep(backoff(0) if again else 0.0)
        self.pace = after_trouble(self.pace)
        return again


def run_backfill(job: Job, file: MigrationFile, backfill: Backfill) -> None:
    """Run what is left of a backfill, verify the result and record the file as applied.

    Args:
        job: the run.
        file: the file.
        backfill: what its head asks for.

    Raises:
        FailedError: the table is unfit, a batch was refused, somebody stopped it, or the verification found
            violations; the batches before stay and are not run again.
    """
    session = job.session
    send(session, f"{clean(job.options)};{_SESSION}")
    template = read_template(file, backfill)
    try:
        target = find_target(session, backfill)
        control = row.read_control(session, file.version) or _begin(session, file, template, target, backfill)
    except UnfitError as error:
        raise _stopped(file, f"{error}. Nothing of the file was run; what ran before it stays") from None
    meter = Meter(file.file, control.rows_total, control.rows_done, job.patience.report)
    steps = Limits(backfill.low, backfill.high, backfill.pause_s)
    vitals = Vitals(session, target.oid)
    run = _Run(job, file, template, target, steps, vitals, meter)
    _walk(run, control)
    _verify(run)
    _finish(run)


def _begin(
    session: Session, file: MigrationFile, template: Template, target: Target, backfill: Backfill
) -> Control:
    control = first_control(session, target, backfill)
    row.begin_control(session, file, template, control)
    return control


def _stopped(file: MigrationFile, text: str) -> FailedError:
    return FailedError(f"{file.file}: {text}", file=file.file, statement=None, position=None, sqlstate=None)


def _walk(run: _Run, control: Control) -> None:
    """Run batch after batch until none is left."""
    done = f" after {control.rows_done:,}" if control.batches else ""
    run.job.patience.report(f"{run.file.file}: backfill of about {control.rows_total:,} rows{done}")
    pace = first_pace(run.limits)
    try:
        while control.stage in {row.KEYS, row.NULLS}:
            control, pace = _batch(run, control, pace)
            time.sleep(pace.pause_s)
    except KeyboardInterrupt:
        undo(run.session)
        # The batch that was running may have been committed just before.
        with contextlib.suppress(psycopg.Error):
            control = row.read_control(run.session, run.file.version) or control
        run.job.patience.report(f"{run.file.file}: interrupted; {_how_far(control)}")
        raise


def _batch(run: _Run, control: Control, pace: Pace) -> tuple[Control, Pace]:
    """Run one batch, smaller and later while something is in its way; or do what people want instead."""
    attempt = _Attempt(run, control, pace)
    while (tried := try_until_granted(run.session, attempt, run.job.patience)).error:
        if not attempt.may_go_on(tried.error):
            raise _failed(run, attempt, tried)
    if attempt.after is None:
        _obey(run, control, attempt.wanted)
        return control, pace
    signals = run.vitals.look()
    run.meter.tell(attempt.after.rows_done, why_slow(signals))
    measured = (attempt.after.batch_rows or 0, attempt.took_s)
    return attempt.after, after_batch(attempt.pace, run.limits, measured, signals)


def _how_far(control: Control) -> str:
    share = percent(control.rows_done, control.rows_total)
    return (
        f"{control.rows_done:,} of about {control.rows_total:,} rows ({share:.0f} %) are done and stay; "
        "the next run goes on behind them"
    )


def _obey(run: _Run, control: Control, wanted: str | None) -> None:
    """Wait while it is paused, end when it is stopped.

    Raises:
        FailedError: it is stopped, or its row was deleted.
    """
    steer = row.steer_text(run.file.version, row.RUN)
    if wanted == row.PAUSE:
        run.job.patience.report(f"{run.file.file}: paused; {_how_far(control)}; to go on: {steer}")
    while wanted == row.PAUSE:
        time.sleep(_POLL_S)
        answers, error = ask(run.session, row.wanted_text(run.file.version))
        if error:
            raise _stopped(run.file, f"{error.text}; {_how_far(control)}")
        wanted = answers[0][0][0] if answers[0] else None
    if wanted is None:
        raise _stopped(run.file, f"its row in {row.TABLE} was deleted while it ran; {_how_far(control)}")
    if wanted != row.RUN:
        raise _stopped(run.file, f"stopped, as {row.TABLE} asks for; {_how_far(control)}, after: {steer}")


def _failed(run: _Run, attempt: _Attempt, tried: Tried) -> FailedError:
    """Say where in the file a batch failed, and how far it had come."""
    script = read_script(run.file.sql)
    offset = None
    position = tried.error.position if tried.error else None
    if position is not None and position >= attempt.offset:
        inside = run.template.origin(position - attempt.offset, attempt.width)
        offset = script.statements[run.template.index].start + inside
    return failed(run.file, script, Place(run.template.index, offset), tried, f"{_how_far(attempt.control)}.")


def _verify(run: _Run) -> None:
    """Ask the verification query; its rows are violations.

    Raises:
        FailedError: there are some, or it cannot be asked.
    """
    if not run.template.verification:
        return
    opening = ["begin read only", *limits(run.file, run.job.options)]
    answers, error = ask(run.session, f"{';'.join(opening)};\n{run.template.verification}\n;rollback")
    undo(run.session)
    if error:
        text = f"all batches are done, but the verification cannot be asked: {error.text}"
        raise _stopped(run.file, f"{text}; correct it and run again")
    violations = [" | ".join(cells) for rows in answers for cells in rows]
    if violations:
        raise _stopped(run.file, _violated(run.file, violations))


def _violated(file: MigrationFile, violations: list[str]) -> str:
    shown = [f"  - {text}" for text in violations[:_SHOWN]]
    more = [f"  … and {len(violations) - _SHOWN} more"] if len(violations) > _SHOWN else []
    headline = f"all batches are done, but the verification found {len(violations)} rows:"
    advice = (
        "Correct these rows and run again, which asks once more; or run every batch again after "
        f"`scripts/db repair --reverted {file.version}`."
    )
    return "\n".join([headline, *shown, *more, advice])


def _finish(run: _Run) -> None:
    """Write the history rows and end the record, in one transaction."""
    record = f"{insert_text(run.file, run.job.options)};{row.finish_text(run.file.version)}"
    error = send(run.session, f"begin;{clean(run.job.options)};{record};commit")
    if error:
        undo(run.session)
        text = f"all batches are done, but that cannot be recorded: {explain(error).text}"
        raise _stopped(run.file, f"{text}; run again, which records it")
