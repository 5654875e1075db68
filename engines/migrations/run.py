"""Doing it: inspect what would be done, and apply it under the migration lock."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict

from engines.migrations import ledger
from engines.migrations.batch import Sharing, run_batch
from engines.migrations.batches import run_backfill
from engines.migrations.errors import MigrationError, RefusedError
from engines.migrations.lock import hold
from engines.migrations.plan import HISTORY_TABLE, Options, Plan, make_plan
from engines.migrations.retry import Patience
from engines.migrations.shape import Atomic, shape
from engines.migrations.statements import read_script
from engines.migrations.traces import Traces
from engines.migrations.units import run_units
from engines.migrations.whole import CLEAN, run_whole
from engines.migrations.wire import Session, open_session, send, strings_conform, undo
from engines.postgres import describe, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engines.migrations.file import MigrationFile
    from engines.migrations.folder import Folder
    from engines.migrations.plan import History

_TRANSACTION_POOLER_PORT = "6543"
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
    """

    applied: tuple[str, ...]
    total: int
    latest: str | None
    history_table: str = HISTORY_TABLE


def refuse_transaction_pooler(dsn: str) -> None:
    """Refuse a pooler that gives each transaction another session.

    Source: https://supabase.com/docs/guides/database/connecting-to-postgres

    Raises:
        RefusedError: the port is that of such a pooler.
    """
    if str(conninfo_to_dict(dsn).get("port")) == _TRANSACTION_POOLER_PORT:
        raise RefusedError(
            ["port 6543 is a transaction pooler, which cannot hold the migration lock; use the port 5432"]
        )


@contextmanager
def connect(dsn: str) -> Iterator[Session]:
    """Hold the session of a run.

    Raises:
        DatabaseUnreachableError: nothing answers, or the login is refused.
        RefusedError: it is a transaction pooler.
        MigrationError: the login may not read or write the history, or the connection was lost.
    """
    target = describe(dsn)  # raises, without the password, when it cannot be parsed
    refuse_transaction_pooler(dsn)
    with open_session(dsn) as session:
        try:
            yield session
        except psycopg.Error as error:
            raise MigrationError(f"{target}: {redact(str(error).strip(), dsn)}") from None


def inspect(dsn: str, folder: Folder, *, options: Options | None = None) -> Plan:
    """Say what `apply` would do; changes nothing and waits for nobody.

    Raises:
        DatabaseUnreachableError: nothing answers, or the login is refused.
        RefusedError: it is a transaction pooler.
    """
    with connect(dsn) as session:
        send(session, _CAREFUL)
        return make_plan(folder, ledger.read(session, ledger.tables(session), folder), options)


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
    while True:
        outcome, finished = _apply_once(folder, options, Patience(dsn, options.retry_s, report))
        applied += outcome.applied
        if finished:
            return replace(outcome, applied=applied)


def _apply_once(folder: Folder, options: Options, patience: Patience) -> tuple[Outcome, bool]:
    """Run what is pending in one session; False: what is left needs a new one."""
    with connect(patience.dsn) as session:
        found = ledger.tables(session)
        plan = make_plan(folder, ledger.read(session, found, folder), options)
        if plan.refusals or (ledger.is_ready(found, folder) and not plan.pending and not plan.adopted):
            return _done(_allowed(plan), []), True
        with hold(session, options.wait_s, patience.report):
            return _apply_locked(session, folder, options, patience)


def _allowed(plan: Plan) -> Plan:
    if plan.refusals:
        raise RefusedError(plan.refusals)
    return plan


def _done(plan: Plan, ran: list[MigrationFile]) -> Outcome:
    new = {file.version for file in ran}
    versions = [entry.version for entry in plan.entries if entry.record or entry.version in new]
    latest = versions[-1] if versions else None
    return Outcome(tuple(file.file for file in ran), len(versions), latest, plan.history_table)


def _apply_locked(
    session: Session, folder: Folder, options: Options, patience: Patience
) -> tuple[Outcome, bool]:
    """Read the history again, now that nobody else writes it, and run what is pending."""
    found = ledger.tables(session)
    history = ledger.read(session, found, folder)
    if not ledger.is_ready(found, folder):
        ledger.ensure(session, folder, found, history)
        history = ledger.read(session, ledger.tables(session), folder)
    plan = _allowed(make_plan(folder, history, options))
    _adopt(session, plan, options)
    send(session, CLEAN)
    sharing, traces = Sharing(folder.files, history), Traces(folder)
    done, brief = 0, True
    while done < len(plan.pending):
        apart = traces.upto_first(plan.pending[done:])
        files = sharing.take(apart, wide=brief and strings_conform(session))
        started = time.monotonic()
        if len(files) > 1:
            done += run_batch(session, files, options, patience)
        else:
            _run(session, files[0], history, options, patience)
            patience.report(f"applied {files[0].file} in {(time.monotonic() - started) * 1000:.0f} ms")
            done += 1
        brief = time.monotonic() - started < _BRIEF_S
        traces.remove(session, plan.pending[done - 1])
        if traces.ends_session(plan.pending[done - 1]):
            break
    return _done(plan, list(plan.pending[:done])), done == len(plan.pending)


def _adopt(session: Session, plan: Plan, options: Options) -> None:
    """Record the checksums of files that another tool applied and that are still the same."""
    records = [ledger.adopt_text(file, options) for file in plan.adopted]
    if records:
        send(session, f"begin;{';'.join(records)};commit")
        undo(session)


def _run(
    session: Session, file: MigrationFile, history: History, options: Options, patience: Patience
) -> None:
    """Run one file the way that it can be run."""
    if file.directives.backfill:
        run_backfill(session, file, file.directives.backfill, options, patience)
        return
    way = shape(read_script(file.sql), transaction=file.directives.transaction)
    progress = history.progress.get(file.version)
    if isinstance(way, Atomic) and progress is None:
        run_whole(session, file, way, options, patience)
    else:
        run_units(session, file, progress, options, patience)
