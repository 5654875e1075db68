"""What the command line prints, for people and for machines. Pure: values in, text out."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engines.migrations.files.file import MigrationFile
    from engines.migrations.files.folder import Folder
    from engines.migrations.history.details import Detail, Timing
    from engines.migrations.plan import Entry, Plan
    from engines.migrations.run import Outcome
    from engines.migrations.verification.checks import Check


def list_json(plan: Plan, details: Mapping[str, Detail]) -> list[dict[str, Any]]:
    """Describe every version, with its record."""
    return [_entry_json(entry) | _detail_json(details.get(entry.version)) for entry in plan.entries]


def _detail_json(detail: Detail | None) -> dict[str, Any]:
    """Describe what a run said of itself; nothing where another tool ran the file."""
    return {} if detail is None else asdict(detail)


def _entry_json(entry: Entry) -> dict[str, Any]:
    record, file = entry.record, entry.file
    return {
        "version": entry.version,
        "name": entry.name,
        "file": file.file if file else None,
        "status": entry.status,
        "phase": file.phase if file else None,
        "applied_at": record.applied_at.isoformat() if record and record.applied_at else None,
        "duration_ms": record.duration_ms if record else None,
        "actor": record.actor if record else None,
        "checksum": file.checksum if file else record.checksum if record else None,
        **_percent(entry.percent),
    }


def _percent(percent: float | None) -> dict[str, float]:
    """Give the share of a file that is done, where it has begun."""
    return {} if percent is None else {"percent": round(percent, 1)}


def list_text(plan: Plan, details: Mapping[str, Detail], *, statements: bool = False) -> str:
    """Give a table of every version; with `statements`, of what is known of each of their statements too."""
    rows: list[tuple[str, ...]] = [("STATUS", "APPLIED AT", "TOOK", "WAITED", "BY", "COMMIT", "FILE")]
    for entry in plan.entries:
        detail = details.get(entry.version)
        rows.append(_row(entry, detail))
        if detail and statements:
            rows += [_statement_row(part) for part in detail.statements]
    return _table(rows) if plan.entries else "no migrations\n"


def _statement_row(part: Timing) -> tuple[str, ...]:
    took = "" if part.duration_ms is None else f"{part.duration_ms:.0f} ms"
    return "", "", took, _waited(part.lock_wait_ms, part.retries), "", "", f"  line {part.line}"


def _waited(lock_wait_ms: float, retries: int) -> str:
    return f"{lock_wait_ms:.0f} ms, {retries + 1} tries" if retries else ""


def _row(entry: Entry, detail: Detail | None) -> tuple[str, ...]:
    record = entry.record
    at = record.applied_at.strftime("%Y-%m-%d %H:%M:%S") if record and record.applied_at else ""
    took = f"{record.duration_ms:.0f} ms" if record and record.duration_ms is not None else ""
    name = entry.file.file if entry.file else f"{entry.version} (no file)"
    status = entry.status if entry.percent is None else f"{entry.status} {entry.percent:.0f} %"
    waited = _waited(detail.lock_wait_ms, detail.retries) if detail else ""
    commit = _short(detail.git_commit) if detail else ""
    return status, at, took, waited, (record.actor or "") if record else "", commit, name


def _short(commit: str) -> str:
    """Shorten a commit as git does, and keep the mark of a changed work tree."""
    name, dirty, _ = commit.partition("-dirty")
    return name[:7] + ("+" if dirty else "")


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Align columns with two blanks between."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join(lines) + "\n"


def plan_json(plan: Plan) -> list[dict[str, Any]]:
    """Describe what `up` would run, in order; with `percent` where a part is done."""
    done = plan.percents
    return [
        {
            "version": file.version,
            "name": file.name,
            "file": file.file,
            "phase": file.phase,
            "checksum": file.checksum,
            **_percent(done.get(file.version)),
        }
        for file in plan.pending
    ]


def plan_text(plan: Plan, folder: Folder) -> str:
    """Say what `up` would run, and what of the folder is no migration."""
    done = plan.percents
    lines = [_step(file, done.get(file.version)) for file in plan.pending]
    if not lines:
        lines = [f"nothing to do: {len(plan.applied)} applied, latest {plan.latest or 'none'}"]
    lines += [f"not a migration, left alone: {name}" for name in folder.ignored]
    return "\n".join(lines) + "\n"


def _step(file: MigrationFile, percent: float | None) -> str:
    """Say what would happen with a file."""
    notes: list[str] = [file.phase] if file.phase != "expand" else []
    notes += [f"{percent:.0f} % done"] if percent is not None else []
    does = "apply" if percent is None else "go on with"
    return f"would {does} {file.file}" + (f" ({', '.join(notes)})" if notes else "")


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """Describe what `up` did."""
    return {
        "applied": list(outcome.applied),
        "total": outcome.total,
        "latest": outcome.latest,
        "history_table": outcome.history_table,
    }


def outcome_text(outcome: Outcome) -> str:
    """Sum up what `up` did."""
    did = f"{len(outcome.applied)} applied" if outcome.applied else "nothing to do"
    return f"{did}; {outcome.total} in all, latest {outcome.latest or 'none'}\n"


def recorded_text(files: Sequence[str], database: str) -> str:
    """Say what `baseline` recorded, and where."""
    lines = [f"recorded {file} without running it" for file in files]
    return "\n".join([*lines, f"{len(files)} recorded in {database}"]) + "\n"


def verified_text(checks: Sequence[Check]) -> str:
    """Name the checks that hold, below what they had to leave out; nothing when none was asked."""
    notes = [f"note: {check.name}: {line}\n" for check in checks for line in check.message.splitlines()]
    return "".join([*notes, f"verified: {', '.join(check.name for check in checks)}\n"]) if checks else ""


def checks_json(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """Describe every check."""
    return [{"name": check.name, "ok": check.ok, "message": check.message} for check in checks]


def checks_text(checks: Sequence[Check]) -> str:
    """Say which checks hold, with the violations of the others."""
    if not checks:
        return "no checks\n"
    return "".join(_check_text(check) for check in checks)


def _check_text(check: Check) -> str:
    below = "".join(f"    {line}\n" for line in check.message.splitlines())
    return f"{'ok    ' if check.ok else 'FAILED'}  {check.name}\n{below}"
