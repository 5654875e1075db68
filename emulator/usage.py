"""How often each project's own services were called: counted by the minute, since the start."""

from __future__ import annotations

import re
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

SERVICES = ("auth", "realtime", "rest", "storage")
# What is older is forgotten.
KEPT = timedelta(days=7)
_CALL = re.compile(rf"/projects/([a-z]{{20}})/({'|'.join(SERVICES)})/v1(/.*)?")


class Usage:
    """The counts of all projects."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._counts: dict[str, dict[datetime, Counter[str]]] = {}

    def add(self, path: str) -> None:
        """Count a request, if it was one to a project's service."""
        found = _CALL.fullmatch(path)
        if found is None:
            return
        now = datetime.now(UTC)
        with self._lock:
            minutes = self._counts.setdefault(found[1], {})
            minutes.setdefault(now.replace(second=0, microsecond=0), Counter())[found[2]] += 1
            for minute in [one for one in minutes if one < now - KEPT]:
                del minutes[minute]

    def of(self, ref: str, span: timedelta) -> dict[datetime, Counter[str]]:
        """Give a project's counts of the last `span`, by minute and service, oldest first."""
        since = datetime.now(UTC) - span
        with self._lock:
            minutes = self._counts.get(ref, {})
            return {minute: Counter(minutes[minute]) for minute in sorted(minutes) if minute > since}


class Counting:
    """ASGI middleware: counts the requests to projects' services."""

    def __init__(self, app: ASGIApp, *, usage: Usage) -> None:
        """Wrap `app`."""
        self._app = app
        self._usage = usage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count and pass on."""
        if scope["type"] == "http":
            self._usage.add(scope["path"])
        await self._app(scope, receive, send)
