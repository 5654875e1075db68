"""Runs a file that cannot be one transaction: unit by unit, each recorded as it happens.

A unit in a transaction is recorded inside of it: done or not, never in between. A statement that cannot run
in a transaction is announced before and recorded after; after a crash in between, `recover` looks whether it
happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

from engines.migrations import ledger
from engines.migrations.failure import Place, failed
from engines.migrations.kinds import Kind
from engines.migrations.recover import happened
from engines.migrations.retry import Patience, Tried, try_until_granted
from engines.migrations.shape import Unit, UnitKind, shape
from engines.migrations.statements import Script, Statement, read_script
from engines.migrations.whole import CLEAN, limits
from engines.migrations.wire import ServerError, Session, send, undo

if TYPE_CHECKING:
    from engines.migrations.file import MigrationFile
    from engines.migrations.plan import Options, Progress


@dataclass(frozen=True)
class _Run:
    """What all steps of one file need."""

    session: Session
    file: MigrationFile
    script: Script
    options: Options
    patience: Patience
    login: str  # the role that owns the record, quoted
    sets_lock_timeout: bool  # the file has its own idea of it, which then holds
    failed_at: int | None  # the statement that an earlier run saw fail

    def as_login(self, record: str) -> str:
        """Let a record be written whatever role the file has taken, without changing that role."""
        return f"set local role {self.login};{record}"


def run_units(
    session: Session, file: MigrationFile, progress: Progress | None, options: Options, patience: Patience
) -> None:
    """Run what is left of a file and record it.

    Args:
        session: autocommit; holds the migration lock.
        file: the file.
        progress: where an earlier run stopped; None: nothing is done yet.
        options: how to run.
        patience: how to wait for locks.

    Raises:
        FailedError: the server refused a statement; what is before it stays and is not run again.
    """
    run = _prepare(session, file, progress, options, patience)
    first = f"{CLEAN};set lock_timeout = 0"
    _must(run, first if progress else f"{first};{ledger.begin_progress_text(file)}")
    if progress:
        _repeat_settings(run, progress.done)
    for unit in _layout(file, run.script):
        if progress is None or unit.first >= progress.done:
            _step(run, unit, resumed=progress is not None and progress.running == unit.first)
    finish = f"{ledger.insert_text(file, options, resumable=True)};{ledger.end_progress_text(file.version)}"
    _must(run, f"begin;{CLEAN};{finish};commit")


def _prepare(
    session: Session, file: MigrationFile, progress: Progress | None, options: Options, patience: Patience
) -> _Run:
    script = read_script(file.sql)
    own = any(s.kind is Kind.SETTING and s.tag == "lock_timeout" for s in script.statements)
    failed_at = progress.running if progress and progress.failed else None
    return _Run(session, file, script, options, patience, _login(session), own, failed_at)


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
        _must(run, run.script.sql[statement.start : statement.end])


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
        tried, offset = _alone(run, unit, resumed=resumed)
    else:
        tried, offset = _together(run, unit)
    if tried.error:
        error = tried.error
        if error.sqlstate is not None:
            _keep_reason(run, unit, error)
        raise failed(run.file, run.script, _place(run, unit, error, offset), tried, _consequence(run, unit))


def _keep_reason(run: _Run, unit: Unit, error: ServerError) -> None:
    """Record why the file stopped; CONCURRENTLY leaves traces (an INVALID index) even when it fails."""
    traces = "CONCURRENTLY" in run.script.statements[unit.first].tag
    record = ledger.error_text(run.file, error.text, leaves_traces=traces)
    send(run.session, f"begin;{run.as_login(record)};commit")
    undo(run.session)


def _place(run: _Run, unit: Unit, error: ServerError, offset: int) -> Place:
    """Find the error in the file; `offset` is how much further back the text is in the message."""
    inside = None if error.position is None else error.position - offset
    begin, end = _extent(run, unit)
    if inside is None or not begin <= inside < end:
        return Place(unit.first, None)
    at = [i for i in range(unit.first, unit.end) if run.script.statements[i].start <= inside]
    return Place(at[-1] if at else unit.first, inside)


def _extent(run: _Run, unit: Unit) -> tuple[int, int]:
    return run.script.statements[unit.first].start, run.script.statements[unit.end - 1].end


def _together(run: _Run, unit: Unit) -> tuple[Tried, int]:
    """Run a unit in one transaction with its record: ours, or the file's own block."""
    record = run.as_login(ledger.progress_text(run.file, unit.end))
    settings = limits(run.file, run.options)[1 if run.sets_lock_timeout else 0 :]
    opening, (begin, end), ending = _borders(run, unit, record)
    head = ";".join([opening, *settings]) + ";\n"
    message = f"{head}{run.script.sql[begin:end]}\n;{ending}"

    def attempt(_retries: int) -> ServerError | None:
        error = send(run.session, message)
        if error:
            undo(run.session)
        return error

    return try_until_granted(run.session, attempt, run.patience), len(head) - begin


def _borders(run: _Run, unit: Unit, record: str) -> tuple[str, tuple[int, int], str]:
    """Give what opens a unit's transaction, the extent of its body, and what records and ends it."""
    if unit.kind is UnitKind.TRANSACTION:
        return "begin", _extent(run, unit), f"{record};commit"
    first, last = run.script.statements[unit.first], run.script.statements[unit.end - 1]
    ending = run.script.sql[last.start : last.end]
    # What is rolled back must not take the record with it.
    recorded = f"{ending};begin;{record};commit" if last.kind is Kind.ROLLBACK else f"{record};{ending}"
    return run.script.sql[first.start : first.end], (first.end, last.start), recorded


def _alone(run: _Run, unit: Unit, *, resumed: bool) -> tuple[Tried, int]:
    """Run a statement outside of a transaction, announced before and recorded after."""
    statement = run.script.statements[unit.first]
    begin, end = _extent(run, unit)
    record = f"begin;{run.as_login(ledger.progress_text(run.file, unit.end))};commit"
    failed_before = run.failed_at == unit.first
    if resumed and happened(run.session, run.file, run.script, statement, failed=failed_before):
        _must(run, record)
        return Tried(None, 0), -begin
    # A timeout would leave an INVALID index: the wait for old transactions counts as a wait for a lock.
    patient = run.sets_lock_timeout or "CONCURRENTLY" in statement.tag
    timeout = f";set lock_timeout = '{run.options.lock_timeout_ms}ms'" if not patient else ""
    _must(run, f"begin;{run.as_login(ledger.running_text(run.file, unit.first))};commit{timeout}")

    tried = try_until_granted(
        run.session, lambda _retries: send(run.session, run.script.sql[begin:end]), run.patience
    )
    if tried.error is None:
        _must(run, record + ("" if patient else ";set lock_timeout = 0"))
    return tried, -begin


def _consequence(run: _Run, unit: Unit) -> str:
    done, total = unit.first, len(run.script.statements)
    return (
        f"{done} of {total} statements of the file are done and stay, as it cannot run in one transaction. "
        f"Fix the rest and run again: it goes on with statement {done + 1}."
    )
