"""The controller: it aims at 50 ms a batch, stays within its limits, and gives way to trouble."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.migrations.backfills.meter import Meter, duration, percent
from engines.migrations.backfills.pace import (
    TARGET_S,
    Limits,
    Pace,
    Signals,
    after_batch,
    after_trouble,
    first_pace,
    why_slow,
)

LIMITS: Final = Limits(1_000, 50_000)
limits = st.builds(
    lambda low, more, pause: Limits(low, low + more, pause),
    st.integers(1, 10_000),
    st.integers(0, 100_000),
    st.floats(0, 2),
)
signals = st.builds(Signals, st.floats(0, 1e6), st.floats(0, 1e12), st.booleans())
seconds = st.floats(0, 1e4)


@given(limits, st.lists(st.tuples(seconds, signals), max_size=40))
def test_stays_within_its_limits(allowed: Limits, batches: list[tuple[float, Signals]]) -> None:
    """Whatever is measured: the size is within the limits, and the pause is neither shorter nor endless."""
    pace = first_pace(allowed)
    for took, seen in batches:
        pace = after_batch(pace, allowed, (pace.rows, took), seen)

        assert allowed.low <= pace.rows <= allowed.high
        assert allowed.pause_s <= pace.pause_s <= max(allowed.pause_s, 5.0)


@given(st.floats(1e-7, 1e-2), st.floats(0, 0.01))
def test_aims_at_the_target(row_s: float, fixed_s: float) -> None:
    """When rows cost the same, batches come to take 50 ms, as near as the limits let them."""
    pace = first_pace(LIMITS)
    for _ in range(40):
        took = fixed_s + pace.rows * row_s
        pace = after_batch(pace, LIMITS, (pace.rows, took))

    took = fixed_s + pace.rows * row_s
    near = 0.9 * TARGET_S <= took <= 1.1 * TARGET_S
    assert (
        near
        or (pace.rows == LIMITS.low and took > TARGET_S)
        or (pace.rows == LIMITS.high and took < TARGET_S)
    )


def test_gets_up_to_speed_soon() -> None:
    """Rows of 5 µs, as in a plain UPDATE: after five batches the size is about 10,000."""
    pace = first_pace(LIMITS)
    for _ in range(5):
        pace = after_batch(pace, LIMITS, (pace.rows, pace.rows * 5e-6))

    assert 9_000 <= pace.rows <= 11_000


def test_gives_way_to_a_long_batch_at_once() -> None:
    """A batch that takes four times as long cuts the next to a quarter; a short one does not double it."""
    pace = Pace(10_000, row_s=TARGET_S / 10_000)

    assert after_batch(pace, LIMITS, (10_000, 4 * TARGET_S)).rows == 2_500
    assert 10_000 < after_batch(pace, LIMITS, (10_000, TARGET_S / 2)).rows < 15_000


@given(st.integers(1, 100_000), st.one_of(st.none(), st.floats(1e-7, 1)))
def test_gives_way_to_trouble(rows: int, row_s: float | None) -> None:
    """Trouble always makes the batch smaller, until one row is left, within 17 times."""
    pace = Pace(rows, row_s=row_s)
    for _ in range(17):
        smaller = after_trouble(pace)
        assert smaller.rows < pace.rows or pace.rows == 1
        pace = smaller

    assert pace.rows == 1


@given(st.integers(1, 100_000))
def test_recovers_from_trouble(rows: int) -> None:
    """After trouble the size grows back, at most to the double each time."""
    pace = after_trouble(Pace(rows, row_s=1e-6))
    for _ in range(20):
        before = pace
        pace = after_batch(pace, LIMITS, (pace.rows, pace.rows * 1e-6))
        assert pace.rows <= before.rows * 2

    assert pace.rows >= LIMITS.high * 0.99


def test_standby_behind() -> None:
    """While a standby is behind, the pause doubles up to 5 s; then it is over at once."""
    pace = first_pace(LIMITS)
    pauses = []
    for _ in range(8):
        pace = after_batch(pace, LIMITS, (1_000, 0.05), Signals(lag_s=6))
        pauses.append(pace.pause_s)

    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert after_batch(pace, LIMITS, (1_000, 0.05)).pause_s == 0


@pytest.mark.parametrize(
    ("seen", "pause"), [(Signals(vacuum=True), 0.05), (Signals(wal_per_s=3 * 2**28), 0.1), (Signals(), 0)]
)
def test_pauses_for_the_server(seen: Signals, pause: float) -> None:
    """Half speed beside a vacuum, and as much pause as brings WAL down to its limit."""
    pace = after_batch(first_pace(LIMITS), LIMITS, (1_000, 0.05), seen)

    assert pace.pause_s == pytest.approx(pause)
    assert (why_slow(seen) is None) == (pause == 0)


def test_meter() -> None:
    """Progress has rows, percent, this run's speed and the time left; every two seconds at most."""
    now = [0.0]
    lines: list[str] = []
    meter = Meter("001_a.sql", 2_000_000, 500_000, lines.append, clock=lambda: now[0])
    for at, done in ((1.0, 600_000), (2.0, 700_000), (3.0, 800_000), (4.5, 950_000)):
        now[0] = at
        meter.tell(done, "busy" if at > 4 else None)

    assert lines == [
        "001_a.sql: 700,000 of about 2,000,000 rows (35 %), 100,000 a second, 13 s left",
        "001_a.sql: 950,000 of about 2,000,000 rows (48 %), 100,000 a second, 10 s left (slowed: busy)",
    ]


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.floats(0, 1e9))
def test_numbers_for_people(done: int, total: int, left: float) -> None:
    """A wrong estimate never shows 100 percent, and every time can be written."""
    assert 0 <= percent(done, total) <= 99.9
    assert duration(left)[-1] in {"s", "n"}
