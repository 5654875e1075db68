"""Is the database what the applied files and the product's own rules say? Asked after every run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from engines.migrations.errors import UnverifiedError
from engines.migrations.history import ledger
from engines.migrations.plan import make_plan
from engines.migrations.run import connect
from engines.migrations.sessions.wire import send, undo
from engines.migrations.verification.checks import Check, check_files, shorten
from engines.migrations.verification.exposure import open_tables
from engines.migrations.verification.groups import POLICIES, ROW_SECURITY, TABLES
from engines.migrations.verification.names import lost_schemas, lost_tables
from engines.migrations.verification.nulls import null_violations
from engines.migrations.verification.presence import absent, expected_of_history
from engines.migrations.verification.rows import Rows, compare_rows
from engines.migrations.verification.rows import settle as settle_rows
from engines.migrations.verification.rules import FILE, read_rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.migrations.files.folder import Folder
    from engines.migrations.plan import Plan
    from engines.migrations.sessions.wire import Session
    from engines.migrations.verification.groups import Group
    from engines.migrations.verification.rules import Rules

ROW_COUNTS: Final = "row counts"
NULLS: Final = "nulls"
_SNAPSHOT: Final = "begin isolation level repeatable read read only"
_ADVICE: Final = {
    TABLES: "make it again with a further migration; if it was dropped on purpose, so that a fresh database "
    "lacks it too, add one with DROP TABLE IF EXISTS",
    POLICIES: "make it again with a further migration, or add one with DROP POLICY IF EXISTS",
    ROW_SECURITY: "add a migration with ALTER TABLE … ENABLE ROW LEVEL SECURITY; a table that is open on "
    "purpose is named by `without_rls` in checks/rules.toml",
    ROW_COUNTS: "restore the rows from the backup; if they were meant to go, give the table's percentage "
    "below [shrink] in checks/rules.toml and run again (the next time, put `-- groundwork: shrinks=TABLE` at "
    "the head of the file)",
    NULLS: "fill the columns with a further migration",
    FILE: "correct the name in checks/rules.toml, or make the schema with a further migration",
}


def verify(dsn: str, folder: Folder, *, settle: bool = False) -> tuple[Check, ...]:
    """Compare a database with its applied files and with the rules and checks of the folder.

    Args:
        dsn: of the database.
        folder: the files, and `checks/*.sql` and `checks/rules.toml` below them.
        settle: when all hold, end the comparison of rows that the last run began.

    Raises:
        DatabaseUnreachableError: nothing answers, or the login is refused.
        FolderError: the rules cannot be used.
    """
    rules = read_rules(folder.checks)
    with connect(dsn, writes=False) as session:
        session.execute("set default_transaction_read_only = on;set statement_timeout = '60s'")
        plan, rows, checks = _own(session, folder, rules)
        checks += check_files(session, folder)
        if settle and plan.history.unverified and rows.is_final and all(check.ok for check in checks):
            kept = settle_rows(session, folder, plan)
            checks = [_noted(check, kept) if check.name == ROW_COUNTS else check for check in checks]
        return tuple(checks)


def require(checks: Sequence[Check], folder: Folder) -> None:
    """End an update whose files are applied, but whose result is wrong.

    Raises:
        UnverifiedError: a check does not hold; the text has every violation.
    """
    failed = [check for check in checks if not check.ok]
    if failed:
        raise UnverifiedError([f"{check.name}: {check.message}" for check in failed], str(folder.checks))


def _own(session: Session, folder: Folder, rules: Rules) -> tuple[Plan, Rows, list[Check]]:
    """Run the checks that need no file."""
    found = ledger.tables(session)
    send(session, _SNAPSHOT)  # history and catalog at one moment: another run may be under way
    plan = make_plan(folder, ledger.read(session, found, folder))
    expected = expected_of_history(plan.entries)
    lost = absent(session, expected)
    lost[ROW_SECURITY] += open_tables(session, rules)
    undo(session)
    checks = [_check(name, lost[name], _note(name, expected.unknown)) for name in lost]
    rows = compare_rows(session, folder, plan, rules) if plan.history.unverified else Rows()
    checks += [_check(ROW_COUNTS, rows.shrunk, "\n".join(rows.notes))] if plan.history.unverified else []
    nulls, uncounted = null_violations(session, rules, complete=not plan.pending)
    checks += [_check(NULLS, nulls, _not_counted(uncounted)), *_names(session, rules, plan)]
    return plan, rows, checks


def _names(session: Session, rules: Rules, plan: Plan) -> list[Check]:
    """Say which names of the rules lead nowhere; what pending files will make is no violation."""
    schemas, tables = lost_schemas(session, rules), lost_tables(session, rules)
    if plan.pending:
        schemas, tables = [], [*schemas, *tables]
    return [_check(FILE, schemas, "\n".join(tables))] if schemas or tables else []


def _noted(check: Check, note: str) -> Check:
    return replace(check, message="\n".join(text for text in (check.message, note) if text))


def _not_counted(names: Sequence[str]) -> str:
    return f"not counted: {', '.join(names)}" if names else ""


def _note(name: Group, unknown: dict[Group, str]) -> str:
    return f"not compared with the files: {unknown[name]}" if name in unknown else ""


def _check(name: str, violations: Sequence[str], note: str = "") -> Check:
    """Give the result of a check, with what to do."""
    if not violations:
        return Check(name, ok=True, message=note)
    return Check(name, ok=False, message=f"{shorten(violations)}\n→ {_ADVICE[name]}")
