"""What services count, as differences, whoever answers and however often processes begin anew."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from engines.release.traffic import Traffic, added, quantile, slower_bound

BOUNDS = (0.1, 0.5, 1.0)


@st.composite
def grown(draw: st.DrawFn) -> Traffic:
    """Make what one process counted between two looks."""
    parts = draw(st.lists(st.integers(0, 50), min_size=4, max_size=4))
    counts = tuple(accumulate(parts))
    return Traffic(counts[-1], draw(st.integers(0, counts[-1])), BOUNDS, counts[:-1])


@given(st.lists(grown(), min_size=1, max_size=8))
def test_growth_of_one_process_adds_up(steps: list[Traffic]) -> None:
    """Looked at after each step, a process has counted in all what it counted after the first look."""
    series = list(accumulate(steps))

    assert added([("a", one) for one in series], {}) == sum(
        steps[1:], Traffic(bounds=BOUNDS, counts=(0, 0, 0))
    )


@given(st.lists(st.tuples(st.sampled_from("abc"), grown()), max_size=12))
def test_replicas_that_answer_in_turn_are_told_apart(steps: list[tuple[str, Traffic]]) -> None:
    """Counters of one process are never compared with those of another."""
    totals: dict[str, Traffic] = {}
    looks = []
    for name, step in steps:
        totals[name] = totals.get(name, Traffic()) + step
        looks.append((name, totals[name]))

    found = added(looks, dict.fromkeys("abc", Traffic()))

    assert found.requests == sum(step.requests for _, step in steps)
    assert found.errors == sum(step.errors for _, step in steps)


@given(grown(), grown())
def test_counters_that_went_back_were_begun_anew(before: Traffic, now: Traffic) -> None:
    """Nothing that is counted is ever negative, and what a new process counted is all new."""
    found = now.since(before)

    assert min(found.requests, found.errors, *found.counts) >= 0
    assert now.requests >= before.requests or found == now


def test_an_instance_that_started_meanwhile_had_counted_nothing() -> None:
    """Its first look counts in full; that of others only begins the count."""
    seen = Traffic(10, 2, BOUNDS, (1, 2, 3))

    assert added([("new", seen)], {"new": Traffic()}) == seen
    assert added([("old", seen)], {}).requests == 0


@given(grown(), st.floats(0, 1))
def test_a_quantile_lies_within_the_bounds(traffic: Traffic, share: float) -> None:
    """Whatever was counted, the estimate is a time that can be; nothing counted gives none."""
    found = quantile(traffic, share)

    assert (found is None) == (traffic.requests == 0)
    assert found is None or 0 <= found <= BOUNDS[-1]


def test_a_quantile_is_spread_evenly_inside_of_its_bucket() -> None:
    """As Prometheus does it: the 95th of a hundred, with ninety below 0.1 s and ten up to 0.5 s."""
    found = quantile(Traffic(100, 0, BOUNDS, (90, 100, 100)), 0.95)

    assert found is not None
    assert round(found, 3) == 0.3


def test_a_limit_inside_of_a_bucket_takes_the_whole_bucket() -> None:
    """What may have been quick enough counts as quick enough; so does what lies beyond all bounds."""
    counted = Traffic(10, 0, BOUNDS, (1, 5, 8))

    assert slower_bound(counted, 0.5) == (0.5, 5)
    assert slower_bound(counted, 0.6) == (1.0, 8)
    assert slower_bound(counted, 30) == (30, 10)
