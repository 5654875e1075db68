"""What to do: files and history in, decisions out. Pure; preview and update share it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from engines.migrations.backfills.template import backfill_problems, read_template
from engines.migrations.sql import shape
from engines.migrations.sql.statements import prefix_hashes, read_script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from engines.acting import Acting
    from engines.migrations.files.backfill import Unfinished
    from engines.migrations.files.file import MigrationFile, Phase
    from engines.migrations.files.folder import Folder

HISTORY_TABLE = "supabase_migrations.schema_migrations"
DRIZZLE_TABLE = "drizzle.__drizzle_migrations"
Rank = tuple[int, str]
Status = Literal["applied", "pending", "edited", "missing", "partial"]


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes:
        to: the last version to run; None: all.
        phase: run only this phase; `expand` stops before the first contract file; None: all.
        allow_out_of_order: run files that sort before the last applied one.
        actor: who runs it, for the record.
        stack: which stack, for the record.
        tool_version: for the record.
        git_commit: of the files, for the record.
        wait_s: how long to wait for another runner, in seconds.
        lock_timeout_ms: how long one try may wait for a lock, and so make the product wait.
        retry_s: how long to try again while locks are not granted, in seconds.
        holder: the server process that holds the migration lock, once it is taken.
        count_rows: the caller verifies the run, which compares the rows with those before it.
        acting: what a temporary login works as, and comes back to after each file; None: as itself.
    """

    to: str | None = None
    phase: Phase | None = None
    allow_out_of_order: bool = False
    actor: str = ""
    stack: str = ""
    tool_version: str = ""
    git_commit: str = ""
    wait_s: float = 600.0
    lock_timeout_ms: int = 100
    retry_s: float = 300.0
    holder: int | None = None
    count_rows: bool = False
    acting: Acting | None = None


@dataclass(frozen=True)
class Record:
    """A row of the history: this version is applied.

    Attributes:
        version: its key.
        name: as stored.
        checksum: ours; None: another tool wrote the row.
        statements: the pieces that the row holds, read only where there is no checksum.
        applied_at: None where another tool wrote the row.
        duration_ms: inside of the transaction.
        actor: who ran it.
        rows: keys of its rows, where the version is not the key.
        digest: SHA-256 (hex) of the file's bytes, where the history has it.
    """

    version: str
    name: str = ""
    checksum: str | None = None
    statements: tuple[str, ...] | None = None
    applied_at: datetime | None = None
    duration_ms: float | None = None
    actor: str | None = None
    rows: tuple[int, ...] = ()
    digest: str | None = None


@dataclass(frozen=True)
class Progress:
    """A file that runs in units and is not finished.

    Attributes:
        version: its key.
        done: how many statements of the file are behind it.
        prefix: hash over these statements.
        running: the statement that was begun outside of a transaction and not seen to end well; None: none.
        failed: the server ended that statement with an error, so that it has not taken effect.
    """

    version: str
    done: int
    prefix: str
    running: int | None = None
    failed: bool = False


@dataclass(frozen=True)
class History:
    """What was done: applied versions and unfinished files and backfills, all by version; is it verified?"""

    records: Mapping[str, Record] = field(default_factory=dict)
    progress: Mapping[str, Progress] = field(default_factory=dict)
    backfills: Mapping[str, Unfinished] = field(default_factory=dict)
    unverified: bool = False

    def begun(self, version: str) -> bool:
        """Say whether a part of a version is applied."""
        return version in self.progress or version in self.backfills


@dataclass(frozen=True)
class Entry:
    """One version with its status; `file` is None where the file is missing, `percent` where none is done."""

    version: str
    name: str
    status: Status
    file: MigrationFile | None
    record: Record | None = None
    percent: float | None = None


@dataclass(frozen=True)
class Plan:
    """What an update would do.

    Attributes:
        entries: every version known to the folder or the database, in order.
        pending: the files that would run, in order.
        refusals: why nothing would run; empty: it would.
        adopted: applied files whose rows another tool wrote; their checksums are recorded by the next update.
        history_table: where the history is.
        history: what it was made from.
    """

    entries: tuple[Entry, ...]
    pending: tuple[MigrationFile, ...]
    refusals: tuple[str, ...]
    adopted: tuple[MigrationFile, ...] = ()
    history_table: str = HISTORY_TABLE
    history: History = field(default_factory=History, repr=False)

    def _named(self, *statuses: Status) -> tuple[str, ...]:
        return tuple(e.file.file if e.file else e.version for e in self.entries if e.status in statuses)

    @property
    def applied(self) -> tuple[str, ...]:
        """Name the files that are applied."""
        return self._named("applied", "edited")

    @property
    def edited(self) -> tuple[str, ...]:
        """Name the files that were changed after they were applied."""
        return self._named("edited")

    @property
    def missing(self) -> tuple[str, ...]:
        """List the applied versions that have no file."""
        return self._named("missing")

    @property
    def partial(self) -> tuple[str, ...]:
        """Name the files of which a part is applied."""
        return self._named("partial")

    @property
    def percents(self) -> Mapping[str, float]:
        """Say by version how much of a file is done that is not finished."""
        return {e.version: e.percent for e in self.entries if e.percent is not None}

    @property
    def latest(self) -> str | None:
        """Give the last applied version."""
        done = [e.version for e in self.entries if e.record is not None]
        return done[-1] if done else None


def make_plan(folder: Folder, history: History, options: Options | None = None) -> Plan:
    """Compare folder and history and decide what runs."""
    options = options or Options()
    rank = _ranks(folder)
    entries = sorted(_entries(folder, history), key=lambda entry: rank(entry.version))
    chosen = [e for e in entries if e.status in {"pending", "partial"} and e.file]
    pending = _select([e.file for e in chosen if e.file], options, rank)
    refusals = [
        *_option_refusals(folder, options),
        *_history_refusals(entries),
        *_order_refusals(pending, history, options, rank),
        *(f"{file.file}, {text}" for file in pending for text in _file_problems(file, history)),
    ]
    adopted = [
        e.file for e in entries if e.file and e.status == "applied" and e.record and not e.record.checksum
    ]
    table = DRIZZLE_TABLE if folder.is_drizzle else HISTORY_TABLE
    return Plan(tuple(entries), tuple(pending), tuple(refusals), tuple(adopted), table, history)


def _ranks(folder: Folder) -> Callable[[str], Rank]:
    """Give the order of versions: that of the history (text), or of Drizzle's journal, unknown ones first."""
    if not folder.is_drizzle:
        return lambda version: (0, version)
    places = {file.version: place for place, file in enumerate(folder.files)}
    return lambda version: (places.get(version, -1), version)


def _entries(folder: Folder, history: History) -> list[Entry]:
    """Give every version its status."""
    entries = [_entry(file, history) for file in folder.files]
    local = {file.version for file in folder.files}
    gone = [record for version, record in history.records.items() if version not in local]
    entries += [Entry(record.version, record.name, "missing", None, record) for record in gone]
    # What was stopped by its first statement has left nothing: its file may go.
    halves = {p.version for p in history.progress.values() if p.done or p.running is not None}
    begun = halves | history.backfills.keys()
    lost = sorted(begun - local - history.records.keys())
    entries += [Entry(version, "", "partial", None) for version in lost]
    return entries


def _entry(file: MigrationFile, history: History) -> Entry:
    record = history.records.get(file.version)
    if record is None:
        status: Status = "partial" if history.begun(file.version) else "pending"
    else:
        status = "applied" if _is_same(file, record) else "edited"
    percent = _percent(file, history) if status == "partial" else None
    return Entry(file.version, file.name, status, file, record, percent)


def _percent(file: MigrationFile, history: History) -> float | None:
    """Say how much of a file is done: rows of a backfill, statements of any other."""
    unfinished, progress = history.backfills.get(file.version), history.progress.get(file.version)
    if unfinished:
        return unfinished.percent
    total = len(read_script(file.sql).statements)
    return min(100.0 * progress.done / max(total, 1), 100.0) if progress else None


def _is_same(file: MigrationFile, record: Record) -> bool:
    """Say whether a file is what was applied; a row without a checksum is compared by its statements."""
    if record.digest is not None and file.entry:
        return record.digest in file.entry.digests or record.checksum == file.checksum
    if record.checksum is not None:
        return record.checksum == file.checksum
    if record.statements is None:
        return True
    return _blanks_apart(record.statements) == _blanks_apart(read_script(file.sql).pieces)


def _blanks_apart(pieces: Sequence[str]) -> str:
    """Give text without what other tools' splitting changes: semicolons and runs of blanks."""
    return re.sub(r"[\s;]+", " ", "\n".join(pieces)).strip()


def _select(
    files: Sequence[MigrationFile], options: Options, rank: Callable[[str], Rank]
) -> list[MigrationFile]:
    """Keep the files that the options ask for."""
    chosen = [file for file in files if options.to is None or rank(file.version) <= rank(options.to)]
    if options.phase == "expand":
        contract = next((i for i, file in enumerate(chosen) if file.phase == "contract"), len(chosen))
        return chosen[:contract]
    return chosen


def _option_refusals(folder: Folder, options: Options) -> list[str]:
    versions = {file.version for file in folder.files}
    if options.to is None or options.to in versions:
        return []
    return [f"there is no file with the version {options.to} in {folder.path}"]


def _history_refusals(entries: Sequence[Entry]) -> list[str]:
    """Refuse what contradicts the history."""
    found = []
    for entry in entries:
        if entry.file is None:
            known = f" ({entry.version}_{entry.name}.sql)" if entry.name else ""
            found.append(
                f"version {entry.version}{known} is in the database's history, but the folder has no file "
                "for it; get the file back from version control, or, if its effects are gone from the "
                f"database, run `scripts/db repair --reverted {entry.version}`"
            )
        elif entry.status == "edited":
            found.append(
                f"{entry.file.file} was edited after it was applied; restore it and put the change into a "
                "new file, or, if the database already is as the file says, run "
                f"`scripts/db repair --applied {entry.version}`"
            )
    return found


def _order_refusals(
    pending: Sequence[MigrationFile], history: History, options: Options, rank: Callable[[str], Rank]
) -> list[str]:
    """Refuse files that sort before the last applied version."""
    last = max(history.records, default="", key=rank)
    if options.allow_out_of_order:
        return []
    end = rank(last)
    late = [file for file in pending if rank(file.version) < end and not history.begun(file.version)]
    return [
        f"{file.file} sorts before {last}, which is already applied; give it a later version, "
        f"or allow it once with --allow-out-of-order"
        for file in late
    ]


def _backfill_problems(file: MigrationFile, history: History) -> list[str]:
    """Refuse a backfill that cannot run, or whose first batches were another statement's."""
    backfill, begun = file.directives.backfill, history.backfills.get(file.version)
    found = backfill_problems(file, backfill) if backfill else []
    if backfill and not file.directives.transaction:
        found.append("a backfill's batches are transactions; remove the directive `no-transaction`")
    same = backfill and not found and begun and read_template(file, backfill).digest == begun.statement
    if begun and not found and not same:
        found.append(
            f"{begun.percent:.0f} % of its rows are done with another statement or key; restore it, or, to "
            f"run all batches anew, run `scripts/db repair --reverted {file.version}`"
        )
    return found


@lru_cache(maxsize=4096)
def _text_problems(sql: str, *, transaction: bool) -> tuple[str, ...]:
    """Look through a text once, though it is planned twice: before the lock is taken, and after."""
    return tuple(shape.problems(read_script(sql), transaction=transaction))


def _file_problems(file: MigrationFile, history: History) -> list[str]:
    if file.directives.backfill or file.version in history.backfills:
        return _backfill_problems(file, history)
    found = list(_text_problems(file.sql, transaction=file.directives.transaction))
    progress = history.progress.get(file.version)
    if progress and progress.prefix not in prefix_hashes(file.sql)[progress.done : progress.done + 1]:
        found.append(
            f"the first {progress.done} statements are applied, and one of them was edited since; restore "
            "them, or, if the database already is as the file says, run "
            f"`scripts/db repair --applied {file.version}`"
        )
    return found
