"""Doing it: inspect what would be done, and apply it under the migration lock."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import psycopg

from engines.migrations import counts, ledger
from engines.migrations.batch import Packer, run_batch
from engines.migrations.details import read_details
from engines.migrations.errors import MigrationError, RefusedError
from engines.migrations.greeting import greet
from engines.migrations.job import Job
from engines.migrations.lock import hold
from engines.migrations.plan import HISTORY_TABLE, Options, Plan, make_plan
from engines.migrations.pooler import refuse_known_port, refuse_shared
from engines.migrations.retry import Patience
from engines.migrations.shape import Atomic, shape
from engines.migrations.statements import read_script
from engines.migrations.whole import CLEAN, run_whole
from engines.migrations.wire import Session, open_session, send, strings_conform, undo
from engines.postgres import describe, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from engines.migrations.details import Detail
    from engines.migrations.file import MigrationFile
    from engines.migrations.folder import Folder
    from engines.migrations.greeting import Greeting
    from engines.migrations.plan import History

# A message that took longer may hold slow files: the next ones go one by one, each reported as it ends.
_BRIEF_S = 1.0
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
        plan, found = _plan(dsn, session, folder, options, _CAREFUL)
        return replace(plan, unverified=counts.TABLE in found)


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
    with _open(dsn) as session:
        plan, found = _plan(dsn, session, folder, options)
        if plan.refusals or (ledger.is_ready(found, folder) and not plan.pending and not plan.adopted):
            return replace(_done(_allowed(plan), []), to_verify=counts.TABLE in found)
        with hold(session, options.wait_s, report) as holder:
            patience = Patience(dsn, options.retry_s, report)
            return _apply_locked(Job(session, replace(options, holder=holder), patience), folder, plan)


def _allowed(plan: Plan) -> Plan:
    if plan.refusals:
        raise RefusedError(plan.refusals)
    return plan


def _done(plan: Plan, ran: list[MigrationFile]) -> Outcome:
    new = {file.version for file in ran}
    versions = [entry.version for entry in plan.entries if entry.record or entry.version in new]
    latest = versions[-1] if versions else None
    return Outcome(tuple(file.file for file in ran), len(versions), latest, plan.history_table)


def _apply_locked(job: Job, folder: Folder, plan: Plan) -> Outcome:
    """Read the history again, now that nobody else writes it, and run what is pending.

    Args:
        job: the run.
        folder: the files.
        plan: what was to do before the lock was held.
    """
    session = job.session
    found = ledger.tables(session)
    history = ledger.read(session, found, folder)
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
    send(session, f"begin;{ledger.forget_text(stale)};commit;{CLEAN}")
    try:
        _run_all(job, folder, plan.pending, history)
    finally:
        job.close()
    if counted:
        counts.publish(session)
    return replace(_done(plan, list(plan.pending)), to_verify=bool(plan.pending) or counts.TABLE in found)


def _run_all(job: Job, folder: Folder, files: Sequence[MigrationFile], history: History) -> None:
    """Run files in order, several in one message where that is safe."""
    packer = Packer(folder.files, history, job.options)
    done, brief = 0, True
    while done < len(files):
        parts = packer.pack(files[done:], wide=brief and strings_conform(job.session))
        started = time.monotonic()
        if parts:
            done += run_batch(job, parts, partial(packer.look_ahead, files[done + len(parts) :]))
        else:
            file = files[done]
            _run(job, file, history)
            job.patience.report(f"applied {file.file} in {(time.monotonic() - started) * 1000:.0f} ms")
            done += 1
        brief = time.monotonic() - started < _BRIEF_S


def _adopt(session: Session, plan: Plan, options: Options) -> None:
    """Record the checksums of files that another tool applied and that are still the same."""
    records = [ledger.adopt_text(file, options) for file in plan.adopted]
    if records:
        send(session, f"begin;{';'.join(records)};commit")
        undo(session)


def _run(job: Job, file: MigrationFile, history: History) -> None:
    """Run one file the way that it can be run."""
    if file.directives.backfill:
        from engines.migrations.batches import run_backfill  # noqa: PLC0415  # few folders need it

        run_backfill(job, file, file.directives.backfill)
        return
    way = shape(read_script(file.sql), transaction=file.directives.transaction)
    progress = history.progress.get(file.version)
    if isinstance(way, Atomic) and progress is None:
        run_whole(job, file, way)
    else:
        from engines.migrations.units import run_units  # noqa: PLC0415  # as above

        run_units(job, file, progress)
