"""Runs a file that cannot be one transaction: unit by unit, each recorded as it happens.

A unit in a transaction is recorded inside of it: done or not, never in between. A statement that cannot run
in a transaction is announced before and recorded after; after a crash in between, `recover` looks whether it
happened.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from psycopg import sql

from engines.migrations.execution.failure import Place, failed
from engines.migrations.execution.marks import Body, marked_body, plain_body, way_back
from engines.migrations.execution.recover import happened
from engines.migrations.execution.whole import clean, limits
from engines.migrations.history import ledger
from engines.migrations.history.journal import Waits
from engines.migrations.sessions.pooler import still_ours
from engines.migrations.sessions.retry import Tried, try_until_granted
from engines.migrations.sessions.wire import LOCK_NOT_AVAILABLE, ServerError, send, send_marked, undo
from engines.migrations.sql.kinds import Kind
from engines.migrations.sql.shape import Unit, UnitKind, shape
from engines.migrations.sql.statements import Script, Statement, read_script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engines.migrations.execution.job import Job
    from engines.migrations.files.file import MigrationFile
    from engines.migrations.plan import Progress
    from engines.migrations.sessions.wire import Session


@dataclass(frozen=True)
class _Run:
    """What all steps of one file need."""

    job: Job
    file: MigrationFile
    script: Script
    login: str  # the role that owns the record, quoted
    sets_lock_timeout: bool  # the file has its own idea of it, which then holds
    failed_at: int | None  # the statement that an earlier run saw fail
    waits: Waits = field(default_factory=Waits)

    @property
    def session(self) -> Session:
        """Give the session that holds the lock."""
        return self.job.session

    def as_login(self, record: str) -> str:
        """Let a record be written whatever role the file has taken, without changing that role."""
        return f"set local role {self.login};select {still_ours(self.job.options.holder)};{record}"


def run_units(job: Job, file: MigrationFile, progress: Progress | None) -> None:
    """Run what is left of a file and record it.

    Args:
        job: the run.
        file: the file.
        progress: where an earlier run stopped; None: nothing is done yet.

    Raises:
        FailedError: the server refused a statement; what is before it stays and is not run again.
    """
    run = _prepare(job, file, progress)
    begin = clean(job.options)
    first = f"{begin};set lock_timeout = 0"
    _must(run, first if progress else f"{first};{ledger.begin_progress_text(file)}")
    if progress:
        _repeat_settings(run, progress.done)
    for unit in _layout(file, run.script):
        if progress is None or unit.first >= progress.done:
            _step(run, unit, resumed=progress is not None and progress.running == unit.first)
    record = ledger.insert_text(file, job.options, waits=run.waits, resumable=True)
    finish = f"{record};{ledger.end_progress_text(file.version)}"
    _must(run, f"begin;{begin};{job.journal.text}{finish};commit")
    job.journal.clear()


def _prepare(job: Job, file: MigrationFile, progress: Progress | None) -> _Run:
    script = read_script(file.sql)
    own = any(s.kind is Kind.SETTING and s.tag == "lock_timeout" for s in script.statements)
    failed_at = progress.running if progress and progress.failed else None
    return _Run(job, file, script, _login(job.session), own, failed_at)


def _layout(file: MigrationFile, script: Script) -> tuple[Unit, ...]:
    """Give the units, also of a file that was made transactional after it had begun."""
    found = shape(script, transaction=file.directives.transaction)
    return found if isinstance(found, tuple) else _layout_forced(script)


def _layout_forced(script: Script) -> tuple[Unit, ...]:
    found = shape(script, transaction=False)
    return found if isinstance(found, tuple) else ()


def _login(session: Session) -> str:
    row = session.execute("select current_user::text").fetchone()
    return sql.Identifier(str(row[0]) if row else "").as_string(session)


def _repeat_settings(run: _Run, done: int) -> None:
    """Bring the session to where the file had it: settings hold, unless their block was rolled back."""
    kept: list[Statement] = []
    block: list[Statement] | None = None
    for statement in run.script.statements[:done]:
        if statement.kind is Kind.BEGIN:
            block = []
        elif statement.kind in {Kind.COMMIT, Kind.ROLLBACK}:
            kept += block if block and statement.kind is Kind.COMMIT else []
            block = None
        elif statement.kind is Kind.SETTING:
            (kept if block is None else block).append(statement)
    for statement in kept:
        back = way_back(statement, run.job.options.acting)
        _must(run, run.script.sql[statement.start : statement.end] + (f";{back}" if back else ""))


def _must(run: _Run, message: str) -> None:
    """Send what has no reason to fail but a lost connection or missing rights."""
    error = send(run.session, message)
    if error:
        undo(run.session)
        raise failed(run.file, run.script, Place(None, None), Tried(error, 0), _AGAIN)


_AGAIN = "What is done is recorded; run again to go on from there."


def _step(run: _Run, unit: Unit, *, resumed: bool) -> None:
    """Run one unit, or find that it has happened."""
    if unit.kind is UnitKind.ALONE:
        tried, body = _alone(run, unit, resumed=resumed)
    else:
        tried, body = _together(run, unit)
    if tried.error:
        error = tried.error
        if error.sqlstate is not None:
            _keep_reason(run, unit, error)
        raise failed(run.file, run.script, _place(run, unit, error, body), tried, _consequence(run, unit))


def _keep_reason(run: _Run, unit: Unit, error: ServerError) -> None:
    """Record why the file stopped; CONCURRENTLY leaves traces (an INVALID index) even when it fails."""
    traces = "CONCURRENTLY" in run.script.statements[unit.first].tag
    record = ledger.error_text(run.file, error.text, leaves_traces=traces)
    send(run.session, f"begin;{run.as_login(record)};commit")
    undo(run.session)


def _place(run: _Run, unit: Unit, error: ServerError, body: Body | None) -> Place:
    """Find the error in the file."""
    inside = None if error.position is None or body is None else body.origin(error.position)
    begin, end = _extent(run, unit)
    if inside is None or not begin <= inside < end:
        return Place(unit.first, None)
    at = [i for i in range(unit.first, unit.end) if run.script.statements[i].start <= inside]
    return Place(at[-1] if at else unit.first, inside)


def _extent(run: _Run, unit: Unit) -> tuple[int, int]:
    return run.script.statements[unit.first].start, run.script.statements[unit.end - 1].end


def _together(run: _Run, unit: Unit) -> tuple[Tried, Body | None]:
    """Run a unit in one transaction with its record: ours, or the file's own block."""
    record = run.as_login(run.job.journal.text + ledger.progress_text(run.file, unit.end))
    settings = limits(run.file, run.job.options)[1 if run.sets_lock_timeout else 0 :]
    opening, body, ending = _borders(run, unit, record)
    head = ";".join([opening, *settings]) + ";\n"

    def attempt() -> ServerError | None:
        answers = send_marked(run.session, f"{head}{body.text}\n;{ending}")
        if answers.error:
            undo(run.session)
            return _inside(answers.error, head)
        run.job.journal.clear()
        _note(run, body.times(answers.commits[-1] if answers.commits else ()))
        return None

    return _patiently(run, unit, attempt), body


def _inside(error: ServerError, head: str) -> ServerError:
    """Count an error's position from the end of the head."""
    position = None if error.position is None else error.position - len(head)
    return replace(error, position=position)


def _note(run: _Run, times: Sequence[tuple[int, float]]) -> None:
    """Have the times of statements written together with what is recorded next."""
    run.job.journal.add(run.file.version, run.script, times, run.waits)


def _patiently(run: _Run, unit: Unit, attempt: Callable[[], ServerError | None]) -> Tried:
    """Try while the unit does not get its locks, and count the tries."""

    def counted(_retries: int) -> ServerError | None:
        run.waits.begin()
        error = attempt()
        if error and error.sqlstate == LOCK_NOT_AVAILABLE:
            run.waits.refuse(unit.first)
        return error

    return try_until_granted(run.session, counted, run.job.patience)


def _borders(run: _Run, unit: Unit, record: str) -> tuple[str, Body, str]:
    """Give what opens a unit's transaction, its body, and what records and ends it."""
    acting = run.job.options.acting
    if unit.kind is UnitKind.TRANSACTION:
        body = marked_body(run.script, *_extent(run, unit), unit.first, acting=acting)
        return "begin", body, f"{record};commit"
    first, last = run.script.statements[unit.first], run.script.statements[unit.end - 1]
    ending = run.script.sql[last.start : last.end]
    # What is rolled back must not take the record with it.
    recorded = f"{ending};begin;{record};commit" if last.kind is Kind.ROLLBACK else f"{record};{ending}"
    body = marked_body(run.script, first.end, last.start, unit.first + 1, acting=acting)
    return run.script.sql[first.start : first.end], body, recorded


def _alone(run: _Run, unit: Unit, *, resumed: bool) -> tuple[Tried, Body | None]:
    """Run a statement outside of a transaction, announced before and recorded after."""
    statement = run.script.statements[unit.first]
    begin, end = _extent(run, unit)
    failed_before = run.failed_at == unit.first
    if resumed and happened(run.session, run.file, run.script, statement, failed=failed_before):
        _record(run, ledger.progress_text(run.file, unit.end))
        return Tried(None, 0), None
    # A timeout would leave an INVALID index: the wait for old transactions counts as a wait for a lock.
    patient = run.sets_lock_timeout or "CONCURRENTLY" in statement.tag
    timeout = f";set lock_timeout = '{run.job.options.lock_timeout_ms}ms'" if not patient else ""
    _record(run, ledger.running_text(run.file, unit.first), timeout)

    tries = 0

    def attempt() -> ServerError | None:
        nonlocal tries
        tries += 1
        # A file's own lock_timeout may have left an INVALID index.
        traces = tries > 1 and "CONCURRENTLY" in statement.tag
        if traces and happened(run.session, run.file, run.script, statement, failed=True):
            return None
        started = time.monotonic()
        error = send(run.session, run.script.sql[begin:end])
        if error is None:
            _note(run, [(unit.first, (time.monotonic() - started) * 1000)])
        return error

    tried = _patiently(run, unit, attempt)
    if tried.error is None:
        _record(run, ledger.progress_text(run.file, unit.end), "" if patient else ";set lock_timeout = 0")
    return tried, plain_body(run.script, begin, end, unit.first)


def _record(run: _Run, text: str, then: str = "") -> None:
    """Write to the record, and the times with it."""
    _must(run, f"begin;{run.as_login(run.job.journal.text + text)};commit{then}")
    run.job.journal.clear()


def _consequence(run: _Run, unit: Unit) -> str:
    done, total = unit.first, len(run.script.statements)
    return (
        f"{done} of {total} statements of the file are done and stay, as it cannot run in one transaction. "
        f"Fix the rest and run again: it goes on with statement {done + 1}."
    )
