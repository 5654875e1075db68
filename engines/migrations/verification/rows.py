"""Compares the rows with those before the run, beside other runs, and ends the comparison when all holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engines.migrations.history import ledger
from engines.migrations.sessions.lock import is_held
from engines.migrations.verification import counts

if TYPE_CHECKING:
    from engines.migrations.files.folder import Folder
    from engines.migrations.plan import Plan
    from engines.migrations.sessions.wire import Session
    from engines.migrations.verification.rules import Rules


@dataclass(frozen=True)
class Rows:
    """The result.

    Attributes:
        shrunk: a text for each table that lost more rows than it may.
        notes: what could not be compared, or not now.
        is_final: nothing is left to another run.
    """

    shrunk: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    is_final: bool = True


def compare_rows(session: Session, folder: Folder, plan: Plan, rules: Rules) -> Rows:
    """Compare the rows with those before the run; what another run does meanwhile is left to it.

    Args:
        session: autocommit.
        folder: the files.
        plan: the history before the rows are counted.
        rules: how many rows tables may lose.
    """
    found = counts.judge(session, plan.entries, rules)
    notes = (f"not counted: {', '.join(found.unknown)}",) if found.unknown else ()
    # Asked first, as a run that ends now has written its history.
    busy = "another run is under way" if found.shrunk and is_held(session) else ""
    if found.shrunk and not busy and not _is_current(session, folder, plan):
        busy = "another run has changed the history meanwhile"
    if busy:
        left = (f"{busy}, so these are left to the next verification:", *found.shrunk, *found.left)
        return Rows((), (*notes, *left), is_final=False)
    return Rows(tuple(found.shrunk), (*notes, *found.left), is_final=not found.left)


def settle(session: Session, folder: Folder, plan: Plan) -> str:
    """End the comparison, unless a run has begun since; say why not, if it goes on."""
    return counts.forget(session, lambda: _is_current(session, folder, plan))


def _is_current(session: Session, folder: Folder, plan: Plan) -> bool:
    return ledger.read(session, ledger.tables(session), folder) == plan.history
