"""Adopts a database that was made without a history: its files are recorded, and not run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engines.acting import acting
from engines.migrations.amend import all_or_nothing, record_text
from engines.migrations.errors import RefusedError
from engines.migrations.history import ledger
from engines.migrations.plan import History, Options
from engines.migrations.run import connect
from engines.migrations.sessions.lock import hold
from engines.migrations.target import named
from engines.migrations.verification.presence import absent, expected_of_files
from engines.postgres import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.migrations.files.file import MigrationFile
    from engines.migrations.files.folder import Folder
    from engines.migrations.sessions.wire import Session


def baseline(
    dsn: str, folder: Folder, *, to: str | None = None, options: Options | None = None
) -> tuple[str, ...]:
    """Record files as applied in a database that has no history and already is as they say.

    Args:
        dsn: of the database; must name it.
        folder: the files.
        to: the last version to record; None: all.
        options: who does it.

    Returns:
        The files, by name.

    Raises:
        RefusedError: the database has a history, or lacks what the files make; nothing is changed.
    """
    options = options or Options()
    dsn = named(dsn, "baseline")
    files = _upto(folder, to)
    with connect(dsn, writes=True) as session, hold(session, options.wait_s, lambda _text: None) as holder:
        options = replace(options, holder=holder, acting=acting(session))
        found = ledger.tables(session)
        history = ledger.read(session, found, folder)
        if wrong := _known(history, dsn) or _lacking(session, files, dsn):
            raise RefusedError(wrong)
        ledger.ensure(session, folder, found, history)
        all_or_nothing(session, [record_text(file, options, ()) for file in files])
    return tuple(file.file for file in files)


def _upto(folder: Folder, to: str | None) -> Sequence[MigrationFile]:
    """Choose the files up to a version."""
    versions = [file.version for file in folder.files]
    if to is not None and to not in versions:
        raise RefusedError([f"there is no file with the version {to} in {folder.path}"])
    if not versions:
        raise RefusedError([f"there is no migration in {folder.path} to record"])
    return folder.files if to is None else folder.files[: versions.index(to) + 1]


def _known(history: History, dsn: str) -> list[str]:
    """Refuse a database that has a history."""
    number = len(history.records.keys() | history.progress.keys() | history.backfills.keys())
    if not number:
        return []
    refusal = (
        f"{describe(dsn)} has a history of {number} versions; baseline is for a database without one. Single "
        "versions are recorded with `scripts/db repair --applied VERSION`"
    )
    return [refusal]


def _lacking(session: Session, files: Sequence[MigrationFile], dsn: str) -> list[str]:
    """Refuse files whose work is not in the database."""
    lost = [text for texts in absent(session, expected_of_files(files)).values() for text in texts]
    if not lost:
        return []
    advice = (
        f"{describe(dsn)} is not as these files make it; name the last version that it really has with --to, "
        "or record single versions with `scripts/db repair --applied VERSION`"
    )
    return [*lost, advice]
