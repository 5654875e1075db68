"""What services count of their requests, as differences between two looks. Pure.

A service counts since its process started (`requests`, `errors`, and seconds in buckets that add up, as a
Prometheus histogram does). A process that started anew counts from zero; several replicas behind one address
answer in turn, each with its own counters.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True)
class Traffic:
    """Counters of one process, or what they grew by.

    Attributes:
        requests: how many were answered.
        errors: how many of them with 5xx.
        bounds: upper bounds of the buckets, in seconds, ascending.
        counts: per bound, how many took at most that long; slower ones are in `requests` only.
    """

    requests: int = 0
    errors: int = 0
    bounds: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    @property
    def error_rate(self) -> float:
        """The share of requests that were answered with 5xx, from 0 to 1."""
        return self.errors / self.requests if self.requests else 0.0

    def since(self, before: Traffic | None) -> Traffic:
        """Say what was added since an earlier look; counters that went back were begun anew."""
        if before is None or before.bounds != self.bounds or self.requests < before.requests:
            return self
        counts = tuple(max(now - then, 0) for now, then in zip(self.counts, before.counts, strict=True))
        requests, errors = self.requests - before.requests, max(self.errors - before.errors, 0)
        return Traffic(requests, errors, self.bounds, counts)

    def __add__(self, other: Traffic) -> Traffic:
        """Put the counters of two processes together; of two kinds of buckets, the fuller ones stay."""
        requests, errors = self.requests + other.requests, self.errors + other.errors
        if self.bounds != other.bounds:
            kept = max(self, other, key=lambda one: one.requests if one.bounds else -1)
            return Traffic(requests, errors, kept.bounds, kept.counts)
        counts = tuple(one + more for one, more in zip(self.counts, other.counts, strict=True))
        return Traffic(requests, errors, self.bounds, counts)


def parse(document: object) -> Traffic | None:
    """Read what a health document has under `traffic`; None: it has none, or nothing that can be read."""
    try:
        raw: Any = document
        bounds = tuple(float(one) for one in raw["seconds"]["le"])
        counts = tuple(int(one) for one in raw["seconds"]["counts"])
        found = Traffic(int(raw["requests"]), int(raw["errors"]), bounds, counts)
    except (KeyError, TypeError, ValueError):
        return None
    ascending = all(one < other for one, other in pairwise(bounds))
    return found if ascending and len(bounds) == len(counts) else None


def quantile(traffic: Traffic, share: float) -> float | None:
    """Estimate within how many seconds a share of the requests was answered, from 0 to 1.

    As Prometheus' `histogram_quantile` does: evenly spread inside of a bucket, and the last bound for what
    was slower than all of them. None: nothing was counted.
    """
    if not traffic.requests or not traffic.bounds:
        return None
    # A request that is counted in no bucket yet, because it was read in between, is a slow one.
    rank, lower, below = share * traffic.requests, 0.0, 0
    for bound, count in zip(traffic.bounds, traffic.counts, strict=True):
        if count >= rank:
            inside = (rank - below) / (count - below) if count > below else 1.0
            return lower + (bound - lower) * inside
        lower, below = bound, count
    return traffic.bounds[-1]


def slower_bound(traffic: Traffic, limit_s: float) -> tuple[float, int]:
    """Give the first bound from a limit on, in seconds, and how many requests took at most that long.

    What lies beyond all bounds is not known: then all count as quick.
    """
    buckets = zip(traffic.bounds, traffic.counts, strict=True)
    return next(((bound, count) for bound, count in buckets if bound >= limit_s), (limit_s, traffic.requests))


def added(looks: Iterable[tuple[str, Traffic]], begun: Mapping[str, Traffic]) -> Traffic:
    """Add up what all instances counted over a window.

    Args:
        looks: instance and its counters, in the order of looking.
        begun: what instances had counted when the window began; others count from their first look.
    """
    series: dict[str, list[Traffic]] = {name: [first] for name, first in begun.items()}
    for name, counters in looks:
        series.setdefault(name, []).append(counters)
    total = Traffic()
    for counters in (_growth(one) for one in series.values()):
        total += counters
    return total


def _growth(series: Sequence[Traffic]) -> Traffic:
    total = Traffic(bounds=series[-1].bounds, counts=(0,) * len(series[-1].bounds))
    for before, now in pairwise(series):
        total += now.since(before)
    return total
