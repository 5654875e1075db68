"""Tells how far a backfill is: rows, percent, speed and the time that is left."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY_S: Final = 2.0


def percent(done: int, total: int) -> float:
    """Give a share of an estimated total, below 100: only the end is the end."""
    return min(100.0 * done / max(total, 1), 99.9)


def duration(seconds: float) -> str:
    """Write a time for people."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@dataclass
class Meter:
    """Tells progress now and then.

    Attributes:
        file: base name.
        total: how many rows there are, estimated.
        already: rows that earlier runs did.
        report: told one line.
        clock: seconds.
    """

    file: str
    total: int
    already: int
    report: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _begun: float = field(init=False)
    _told: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin to count."""
        self._begun = self._told = self.clock()

    def tell(self, done: int, slow: str | None = None) -> None:
        """Report, unless the last report is too fresh.

        Args:
            done: rows that are behind, those of earlier runs included.
            slow: why it is slower than it could be.
        """
        now = self.clock()
        if now - self._told >= _EVERY_S:
            self._told = now
            self.report(self.line(done, now) + (f" (slowed: {slow})" if slow else ""))

    def line(self, done: int, now: float) -> str:
        """Write one line of progress."""
        speed = (done - self.already) / max(now - self._begun, 1e-3)
        left = f", {duration(max(self.total - done, 0) / speed)} left" if speed > 0 else ""
        share = percent(done, self.total)
        return (
            f"{self.file}: {done:,} of about {self.total:,} rows ({share:.0f} %), {speed:,.0f} a second{left}"
        )
