"""Show the scheduled calls of a database and their outcomes. Reads the database URL from standard input."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from engines import cron
from engines.errors import GroundworkError

SHOWN = 20


def rows(dsn: str) -> dict[str, list[dict[str, Any]]]:
    """Collect jobs and outcomes as plain values."""
    jobs = [{**asdict(job), "body": dict(job.body)} for job in cron.read_jobs(dsn)]
    calls = [{**asdict(call), "called_at": call.called_at.isoformat()} for call in cron.outcomes(dsn, SHOWN)]
    return {"jobs": jobs, "calls": calls}


def text(found: dict[str, list[dict[str, Any]]]) -> str:
    """Write them for people."""
    jobs = [f"  {job['name']:<20}{job['schedule']:<16}{job['url']}" for job in found["jobs"]]
    calls = [f"  {call['called_at'][:19]}Z  {call['job']:<20}{_result(call)}" for call in found["calls"]]
    return "\n".join(["jobs", *(jobs or ["  none"]), "latest calls", *(calls or ["  none yet"])])


def _result(call: dict[str, Any]) -> str:
    return str(call["error"] or call["status_code"] or "on its way")


def main() -> int:
    """Read the DSN, print, and say by the exit code whether the database could be asked."""
    dsn = sys.stdin.read().strip()
    if not dsn:
        # Whoever was to write it has said why there is none.
        return 1
    try:
        found = rows(dsn)
    except GroundworkError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write((json.dumps(found, indent=2) if "--json" in sys.argv else text(found)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
