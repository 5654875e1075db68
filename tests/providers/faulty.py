"""How a request may fail, and a time in which nobody waits long for that."""

from __future__ import annotations

import math
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

import engines
from engines import supabase
from engines.supabase import Limiter, Timing
from providers import _access, owner

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# A pause of a second takes this long; while requests are to be lost, one is after so many seconds.
SECOND_S = 0.002
TIMEOUT_S = 0.1
LATE_S = 0.12


@dataclass(frozen=True)
class Route:
    """A request as it is asked for: its method, and a regular expression for its path."""

    method: str
    path: str

    @classmethod
    def of(cls, request: httpx.Request) -> Route:
        """Take a request; ids differ from run to run."""
        return cls(request.method, _UUID.sub("[^/]+", re.escape(request.url.path).replace(r"\-", "-")))

    @property
    def is_reading(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET" or self.path.endswith("read-only")

    def meets(self, fault: dict[str, Any]) -> dict[str, Any]:
        """Give a fault that meets this route."""
        return {**fault, "method": self.method, "path": self.path}


LASTING: dict[str, Any] = {"kind": "status", "status": 503, "times": 50}
# What passes, and may meet each request of an operation in turn.
PASSING: list[dict[str, Any]] = [
    {"kind": "status", "status": 429, "headers": {"retry-after": "5"}},
    {"kind": "status", "status": 500},
]
LOST: list[dict[str, Any]] = [{"kind": "slow", "seconds": LATE_S}, {"kind": "cut"}]
# Of a request that only reads, it makes no difference that it was carried out.
CARRIED_OUT: list[dict[str, Any]] = [{"kind": "late", "seconds": LATE_S}, {"kind": "cut_after"}]


# Kinds that let a caller wait.
WAITING = frozenset({"slow", "late"})


def readings(routes: list[Route]) -> Iterator[list[dict[str, Any]]]:
    """Give the faults of each trial of something that only reads, many things at once."""
    for fault in (*PASSING, *LOST):
        yield [route.meets(fault) for route in routes]
    for route in routes:
        yield [route.meets(LASTING)]


def cases(routes: list[Route]) -> Iterator[list[dict[str, Any]]]:
    """Give the faults of each trial: each route meets each kind, those that pass together with the others."""
    reading = [route for route in routes if route.is_reading]
    for fault in PASSING:
        yield [route.meets(fault) for route in routes]
    for fault in LOST if reading else ():
        yield [route.meets(fault) for route in reading]
    for route in routes:
        yield [route.meets(LASTING)]
        for fault in () if route.is_reading else (*LOST, *CARRIED_OUT):
            yield [route.meets(fault)]


class Haste:
    """Time in which pauses are short, each thread by its own clock; and the requests that were sent in it."""

    def __init__(self) -> None:
        """Begin now."""
        self._mine = threading.local()
        self._longest_s = math.inf
        self.requests: list[Route] | None = None

    def pause(self, seconds: float) -> None:
        """Wait a little, and let the clock show the whole."""
        time.sleep(seconds * SECOND_S)
        self._mine.skipped = self._skipped + seconds

    def clock(self) -> float:
        """Tell the time of this thread."""
        return time.monotonic() + self._skipped

    @property
    def _skipped(self) -> float:
        return float(getattr(self._mine, "skipped", 0.0))

    def timing(self, *, timeout_s: float = 30.0, attempts: int = 6) -> Timing:
        """Stand in for `default_timing`."""
        return Timing(self.pause, self.clock, min(timeout_s, self._longest_s), attempts)

    @contextmanager
    def losing(self, faults: list[dict[str, Any]]) -> Iterator[None]:
        """Give requests up early meanwhile, if these faults let them wait: elsewhere a busy machine may."""
        self._longest_s = TIMEOUT_S if faults[0]["kind"] in WAITING else math.inf
        try:
            yield
        finally:
            self._longest_s = math.inf

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Let all clients live in this time, and remember what they send."""
        limiter = Limiter(self.pause, self.clock)
        for module in (supabase, supabase.client, engines.supabase.storage):
            patch.setattr(module, "default_timing", self.timing)
        patch.setattr(supabase.client, "shared_limiter", lambda _url, _token: limiter)
        patch.setattr(engines.supabase.storage, "Limiter", partial(Limiter, self.pause, self.clock))
        patch.setattr(_access, "_PAUSES_S", (SECOND_S, SECOND_S))
        patch.setattr(owner, "_PAUSE_S", SECOND_S)
        send = httpx.HTTPTransport.handle_request

        def remember(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
            if self.requests is not None:
                self.requests.append(Route.of(request))
            return send(transport, request)

        patch.setattr(httpx.HTTPTransport, "handle_request", remember)

    @contextmanager
    def recording(self) -> Iterator[list[Route]]:
        """Give the requests that are sent meanwhile."""
        self.requests = []
        try:
            yield self.requests
        finally:
            self.requests = None
