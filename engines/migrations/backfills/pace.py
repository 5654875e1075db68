"""How many rows the next batch takes, and how long to wait before it. Pure: measures in, decisions out.

A batch aims at 50 ms: shorter ones pay for themselves with commits, longer ones make the product wait. The
idea of steering by a moving average is that of GitLab's batched background migrations (batch_optimizer.rb).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

TARGET_S: Final = 0.05
# What took longer makes the next batch smaller at once; how much others count against those before them.
_LONG_S: Final = 2.0 * TARGET_S
_WEIGHT: Final = 0.4
_GROWTH: Final = 2.0
_SHRINKAGE: Final = 0.25
# A standby that is further behind is waited for, up to so long at a time.
_LAG_S: Final = 5.0
_LAG_FIRST_S: Final = 0.1
_LAG_LONGEST_S: Final = 5.0
_WAL_PER_S: Final = 256 * 1024 * 1024.0
_STRAIN_MOST: Final = 16


@dataclass(frozen=True)
class Limits:
    """What a file allows: rows of a batch from `low` to `high`, and the least pause in seconds."""

    low: int
    high: int
    pause_s: float = 0.0


@dataclass(frozen=True)
class Signals:
    """How the server is.

    Attributes:
        lag_s: how far the slowest standby is behind, in seconds.
        wal_per_s: bytes of WAL that all sessions write in a second.
        vacuum: the table is being vacuumed.
    """

    lag_s: float = 0.0
    wal_per_s: float = 0.0
    vacuum: bool = False


QUIET: Final = Signals()


@dataclass(frozen=True)
class Pace:
    """How to go on.

    Attributes:
        rows: of the next batch.
        pause_s: before the next batch.
        row_s: seconds that one row takes, smoothed; None: nothing is measured yet.
        strain: for how many batches in a row a standby has been behind.
    """

    rows: int
    pause_s: float = 0.0
    row_s: float | None = None
    strain: int = 0


def first_pace(limits: Limits) -> Pace:
    """Begin with the smallest batch: what one row costs (triggers, indexes) is not known."""
    return Pace(limits.low, limits.pause_s)


def after_batch(pace: Pace, limits: Limits, measured: tuple[int, float], signals: Signals = QUIET) -> Pace:
    """Decide after a batch that went well.

    Args:
        pace: of that batch.
        limits: what the file allows.
        measured: its rows and its seconds.
        signals: how the server is.
    """
    rows, took_s = measured
    row_s = max(took_s, 1e-6) / max(rows, 1)
    if pace.row_s is not None and took_s <= _LONG_S:
        row_s = _WEIGHT * row_s + (1 - _WEIGHT) * pace.row_s
    wanted = min(max(TARGET_S / row_s, pace.rows * _SHRINKAGE), pace.rows * _GROWTH)
    strain = min(pace.strain + 1, _STRAIN_MOST) if signals.lag_s > _LAG_S else 0
    # After trouble the way back to the lower limit is gradual too.
    least = min(limits.low, round(pace.rows * _GROWTH))
    steered = Pace(min(max(round(wanted), least), limits.high), 0.0, row_s, strain)
    return replace(steered, pause_s=_pause(limits, took_s, signals, strain))


def _pause(limits: Limits, took_s: float, signals: Signals, strain: int) -> float:
    """Take the longest of the pauses that the file and the server ask for."""
    pauses = [limits.pause_s]
    if signals.vacuum:
        pauses.append(min(took_s, 1.0))  # half speed: each batch makes dead rows faster than it clears them
    if signals.wal_per_s > _WAL_PER_S:
        pauses.append(min(took_s * (signals.wal_per_s / _WAL_PER_S - 1.0), 1.0))
    if strain:
        pauses.append(min(_LAG_FIRST_S * 2.0 ** (strain - 1), _LAG_LONGEST_S))
    return max(pauses)


def after_trouble(pace: Pace) -> Pace:
    """Halve the batch after a lock that was not granted or a timeout, also below the limit, down to one row.

    The average is doubled with it, so that the size grows back step by step.
    """
    row_s = None if pace.row_s is None else pace.row_s * 2
    return replace(pace, rows=max(pace.rows // 2, 1), row_s=row_s)


def why_slow(signals: Signals) -> str | None:
    """Say why a backfill goes slower than it could; None: it does not."""
    reasons = [
        f"a standby is {signals.lag_s:.0f} s behind" if signals.lag_s > _LAG_S else "",
        f"{signals.wal_per_s / 2**20:.0f} MB of WAL a second" if signals.wal_per_s > _WAL_PER_S else "",
        "the table is being vacuumed" if signals.vacuum else "",
    ]
    return ", ".join(reason for reason in reasons if reason) or None
