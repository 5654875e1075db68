"""What this process has served since it started: how many requests, how many failed, how long they took.

A release is judged by it: whoever reads twice has the numbers of the time between.

App and agent have the same module: each image is built from its own folder alone.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from typing import Any

# Prometheus' default buckets, without its 7.5 ms, 75 ms, 750 ms and 7.5 s.
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Traffic:
    """Counts requests; the questions after the service's own health are not counted."""

    def __init__(self, health_path: str) -> None:
        """Take the path that is not counted."""
        self._health_path = health_path
        self._requests = 0
        self._errors = 0
        self._buckets = [0] * (len(BOUNDS_S) + 1)

    def add(self, path: str, seconds: float, *, failed: bool) -> None:
        """Count one request.

        Args:
            path: its path.
            seconds: from the request to the start of the answer; the length of a stream is the model's.
            failed: it was answered with 5xx, or broke.
        """
        if path == self._health_path:
            return
        self._requests += 1
        self._errors += failed
        self._buckets[bisect_left(BOUNDS_S, seconds)] += 1

    def document(self) -> dict[str, Any]:
        """Give the numbers; those of the buckets are cumulative, as in Prometheus."""
        counts = list(itertools.accumulate(self._buckets))[:-1]
        seconds = {"le": list(BOUNDS_S), "counts": counts}
        return {"requests": self._requests, "errors": self._errors, "seconds": seconds}
