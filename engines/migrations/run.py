"""Doing it: inspect what would be done, and apply it under the migration lock."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import psycopg

from engines.acting import acting
from engines.migrations.errors import MigrationError, RefusedError
from engines.migrations.execution.batch import Packer, run_batch
from engines.migrations.execution.job import Job
from engines.migrations.execution.traces import Traces
from engines.migrations.execution.whole import clean, run_whole
from engines.migrations.history import ledger
from engines.migrations.history.details import read_details
from engines.migrations.plan import HISTORY_TABLE, Options, Plan, make_plan
from engines.migrations.sessions.greeting import greet
from engines.migrations.sessions.lock import hold
from engines.migrations.sessions.pooler import refuse_known_port, refuse_shared
from engines.migrations.sessions.retry import Patience
from engines.migrations.sessions.wire import Session, open_session, send, strings_conform
from engines.migrations.sql.shape import Atomic, shape
from engines.migrations.sql.statements import read_script
from engines.migrations.verification import counts
from engines.postgres import describe, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from engines.migrations.files.file import MigrationFile
    from engines.migrations.files.folder import Folder
    from engines.migrations.history.details import Detail
    from engines.migrations.plan import History
    from engines.migrations.sessions.greeting import Greeting

# A message that took longer may hold slow files: the next ones go one by one, each reported as it ends.
_BRIEF_S = 1.0
# No run waits or takes longer, and no two clocks differ by more.
_LONGEST_RUN = timedelta(days=1)
_CAREFUL = "set default_transaction_read_only = on;set statement_timeout = '10s';set lock_timeout = '1s'"


@dataclass(frozen=True)
class Outcome:
    """What an update did.

    Attributes:
        applied: the files that it ran, in order.
        total: how many versions are applied now.
        latest: the last of them.
        history_table: where the history is.
        to_verify: files ran, or an earlier run has not passed its verification.
    """

    applied: tuple[str, ...]
    total: int
    latest: str | None
    history_table: str = HISTORY_TABLE
    to_verify: bool = False


@contextmanager
def connect(dsn: str, *, writes: bool) -> Iterator[Session]:
    """Hold a session that is ours alone.

    Args:
        dsn: where to.
        writes: refuse a session that may only read.

    Raises:
        DatabaseUnreachableError: nothing answers, or the login is refused.
        RefusedError: it is a transaction pooler, the login's search_path hides PostgreSQL's own functions, or
            it may only read.
        MigrationError: the login may not read or write the history, or the connection was lost.
    """
    with _open(dsn) as session:
        greeting = greet(session)
        _accept(dsn, session, greeting)
        if writes and greeting.unwritable:
            raise RefusedError([greeting.unwritable])
        yield session


@contextmanager
def _open(dsn: str) -> Iterator[Session]:
    """Hold a session that may still be shared."""
    target = describe(dsn)  # raises, without the password, when it cannot be parsed
    refuse_known_port(dsn)
    with open_session(dsn) as session:
        try:
            yield session
        except psycopg.Error as error:
            raise MigrationError(f"{target}: {redact(str(error).strip(), dsn)}") from None


def _accept(dsn: str, session: Session, greeting: Greeting) -> None:
    """Refuse a session in which our own SQL would not do what it says."""
    refuse_shared(dsn, session, greeting.backend)
    if greeting.shadowed:
        raise RefusedError([greeting.shadowed])


def _plan(
    dsn: str, session: Session, folder: Folder, options: Options | None, opening: str = ""
) -> tuple[Plan, ledger.Columns]:
    """Plan in two round trips, and give our tables.

    Args:
        dsn: where the session was opened.
        session: may still be shared.
        folder: the files.
        options: how to run.
        opening: settings, which a pooler that shares the session would hand to its other clients.
    """
    found, greeting = ledger.look(session)
    _accept(dsn, session, greeting)
    if opening:
        send(session, opening)
    plan = make_plan(folder, ledger.read(session, found, folder), options)
    if plan.pending and greeting.unwritable:
        plan = replace(plan, refusals=(*plan.refusals, greeting.unwritable))
    return plan, found


def inspect(dsn: str, folder: Folder, *, options: Options | None = None) -> Plan:
    """Say what `apply` would do; changes nothing and waits for nobody.

    Raises:
        DatabaseUnreachableError: nothing answers, or the login is refused.
        RefusedError: it is a transaction pooler.
    """
    with _open(dsn) as session:
        return _plan(dsn, session, folder, options, _CAREFUL)[0]


def survey(dsn: str, folder: Folder) -> tuple[Plan, Mapping[str, Detail]]:
    """Say what is applied and pending, with the record of each version; changes nothing.

    Raises:
        DatabaseUnreachableError: nothing answers, or the login is refused.
        RefusedError: it is a transaction pooler.
    """
    with _open(dsn) as session:
        plan, found = _plan(dsn, session, folder, None, _CAREFUL)
        return plan, read_details(session, found)


def apply(dsn: str, folder: Folder, *, options: Options, report: Callable[[str], None]) -> Outcome:
    """Run every pending file, each once, in order.

    Args:
        dsn: of the login that will own what the files make; a direct connection or a session pooler.
        folder: the files.
        options: how to run.
        report: told one line per file, and about waits.

    Raises:
        DatabaseUnreachableError: nothing answers, or the login is refused.
        RefusedError: nothing was run.
        FailedError: a file was refused by the server; the files before it stay.
    """
    applied: tuple[str, ...] = ()
    to_verify = False
    seen: frozenset[str] | None = frozenset()
    while seen is not None:
        outcome, seen = _apply_once(folder, options, Patience(dsn, options.retry_s, report), seen)
        applied += outcome.applied
        to_verify |= outcome.to_verify
    return replace(outcome, applied=applied, to_verify=to_verify)


def _apply_once(
    folder: Folder, options: Options, patience: Patience, seen: frozenset[str]
) -> tuple[Outcome, frozenset[str] | None]:
    """Run what is pending in one session.

    Args:
        folder: the files.
        options: how to run.
        patience: how to wait for locks.
        seen: versions that were applied before the session begins.

    Returns:
        What it did, and the versions that are applied now; None: nothing is left for another session.
    """
    with _open(patience.dsn) as session:
        plan, found = _plan(patience.dsn, session, folder, options)
        if plan.refusals or (ledger.is_ready(found, folder) and not plan.pending and not plan.adopted):
            return replace(_done(_allowed(plan), []), to_verify=plan.history.unverified), None
        with hold(session, options.wait_s, patience.report) as holder:
            job = Job(session, replace(options, holder=holder, acting=acting(session)), patience)
            return _apply_locked(job, folder, plan, seen)


def _allowed(plan: Plan) -> Plan:
    if plan.refusals:
        raise RefusedError(plan.refusals)
    return plan


def _done(plan: Plan, ran: Sequence[MigrationFile]) -> Outcome:
    new = {file.version for file in ran}
    versions = [entry.version for entry in plan.entries if entry.record or entry.version in new]
    latest = versions[-1] if versions else None
    return Outcome(tuple(file.file for file in ran), len(versions), latest, plan.history_table)


def _apply_locked(
    job: Job, folder: Folder, plan: Plan, seen: frozenset[str]
) -> tuple[Outcome, frozenset[str] | None]:
    """Read the history again, now that nobody else writes it, and run what is pending.

    Args:
        job: the run.
        folder: the files.
        plan: what was to do before the lock was held.
        seen: as for `_apply_once`.
    """
    session = job.session
    found = ledger.tables(session)
    history = ledger.read(session, found, folder)
    if _is_stale(folder, history, seen):
        return _done(plan, []), frozenset(history.records)
    if not ledger.is_ready(found, folder):
        ledger.ensure(session, folder, found, history)
        history = ledger.read(session, ledger.tables(session), folder)
    if history != plan.history:
        plan = make_plan(folder, history, job.options)
    _allowed(plan)
    _adopt(session, plan, job.options)
    stale = [file.version for file in plan.pending if not history.begun(file.version)]
    counted = job.options.count_rows and bool(plan.pending)
    if counted:
        counts.take(session, job.patience.report)
    # What we knew of versions that another tool has reverted is stale.
    ledger.write(session, f"{ledger.forget_text(stale)};", "the record cannot be written")
    send(session, clean(job.options))
    try:
        done = _run_all(job, folder, plan.pending, history)
    finally:
        job.close()
    if counted:
        counts.publish(session)
    ran = plan.pending[:done]
    known = frozenset(history.records) | {file.version for file in ran}
    outcome = replace(_done(plan, ran), to_verify=bool(ran) or history.unverified)
    return outcome, None if ran == plan.pending else known


def _is_stale(folder: Folder, history: History, seen: frozenset[str]) -> bool:
    """Say whether the session may be older than an applied file that changes what sessions begin with."""
    recent = datetime.now(UTC) - _LONGEST_RUN
    records = [record for version, record in history.records.items() if version not in seen]
    new = {record.version for record in records if record.applied_at and record.applied_at > recent}
    files = [file for file in folder.files if file.version in new]
    return any(map(Traces(folder, files).ends_session, files))


def _run_all(job: Job, folder: Folder, files: Sequence[MigrationFile], history: History) -> int:
    """Run files in order, several in one message where that is safe; give how many this session can run."""
    packer, traces = Packer(folder.files, history, job.options), Traces(folder, files)
    done, brief = 0, True
    while done < len(files):
        parts = packer.pack(traces.upto_first(files[done:]), wide=brief and strings_conform(job.session))
        started = time.monotonic()
        if parts:
            behind = traces.upto_first(files[done + len(parts) :])
            done += run_batch(job, parts, partial(packer.look_ahead, behind))
        else:
            file = files[done]
            _run(job, file, history)
            job.patience.report(f"applied {file.file} in {(time.monotonic() - started) * 1000:.0f} ms")
            done += 1
        brief = time.monotonic() - started < _BRIEF_S
        traces.remove(job.session, files[done - 1])
        if traces.ends_session(files[done - 1]):
            break
    return done


def _adopt(session: Session, plan: Plan, options: Options) -> None:
    """Record the checksums of files that another tool applied and that are still the same."""
    records = [ledger.adopt_text(file, options) for file in plan.adopted]
    if records:
        ledger.write(session, f"{';'.join(records)};", "what another tool applied cannot be recorded")


def _run(job: Job, file: MigrationFile, history: History) -> None:
    """Run one file the way that it can be run."""
    if file.directives.backfill:
        from engines.migrations.backfills.batches import run_backfill  # noqa: PLC0415  # few folders need it

        run_backfill(job, file, file.directives.backfill)
        return
    way = shape(read_script(file.sql), transaction=file.directives.transaction)
    progress = history.progress.get(file.version)
    if isinstance(way, Atomic) and progress is None:
        run_whole(job, file, way)
    else:
        from engines.migrations.execution.units import run_units  # noqa: PLC0415  # as above

        run_units(job, file, progress)
