"""The health document: every check at the same time, each with its latency, and what they add up to.

App and agent have the same module: each image is built from its own folder alone.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Check = Callable[[], Awaitable[None]]
LIMIT_S = 4
# Without it nothing works; the other checks tell of a service that is worse, not gone.
CRITICAL = frozenset({"database"})
# Numbers that are read twice belong together only if the same process gave them.
INSTANCE = uuid.uuid4().hex
STARTED_AT = datetime.now(UTC).isoformat()


class CheckFailedError(Exception):
    """A check found something wrong; the text is shown to everybody who asks for the health."""


async def report(checks: Mapping[str, Check]) -> dict[str, Any]:
    """Run the checks and give the document: status, checks, timestamp, and which process it is."""
    done = await asyncio.gather(*(_timed(check) for check in checks.values()))
    results = dict(zip(checks, done, strict=True))
    return {
        "status": _sum_up(results),
        "checks": results,
        "timestamp": datetime.now(UTC).isoformat(),
        "instance": INSTANCE,
        "started_at": STARTED_AT,
    }


async def _timed(check: Check) -> dict[str, Any]:
    started, error = time.perf_counter(), None
    try:
        async with asyncio.timeout(LIMIT_S):
            await check()
    except CheckFailedError as known:
        error = str(known)
    except TimeoutError:
        error = f"no answer within {LIMIT_S} s"
    except Exception as unknown:  # noqa: BLE001 - a check reports, it never breaks the report
        error = type(unknown).__name__  # a foreign text may quote addresses or rows
    latency = round((time.perf_counter() - started) * 1000, 2)
    return {"ok": error is None, "latency_ms": latency, **({"error": error} if error else {})}


def _sum_up(results: Mapping[str, Mapping[str, Any]]) -> str:
    failed = {name for name, result in results.items() if not result["ok"]}
    if failed & CRITICAL:
        return "unhealthy"
    return "degraded" if failed else "healthy"
