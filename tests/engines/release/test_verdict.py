"""The verdict's rules, as docs/releases.md lists them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.health import Check, Look
from engines.release.traffic import Traffic
from engines.release.verdict import Evidence, Policy, Probe, Tasks, Verdict, judge

WELL = {name: Look(name, "healthy", (), answered=True) for name in ("agent", "app")}
BOTH = frozenset(WELL)
GOOD = Evidence(settled=True, elapsed_s=5, last=WELL, answered=BOTH, starts={"agent": 0, "app": 0})


def _look(service: str, status: str, text: str, name: str = "database", *, answered: bool = True) -> Look:
    return Look(service, status, (Check(f"{service}.{name}", ok=False, error=text),), answered=answered)


def _bad(*looks: Look, **changes: Any) -> Evidence:
    last = {**WELL, **{look.service: look for look in looks}}
    return replace(GOOD, settled=False, last=last, **changes)


def _traffic(requests: int, errors: int = 0, service: str = "app") -> dict[str, Traffic]:
    return {service: Traffic(requests, errors, (0.1, 1.0), (requests, requests))}


SILENT = _look("app", "unhealthy", "refused", "answer", answered=False)
SILENT_AGENT = _look("agent", "unhealthy", "refused", "answer", answered=False)
LOST = _look("app", "degraded", "agent is away", "agent")
REFUSED = Probe(0.1, "/api/probe answers 502: agent")
UNSEEN = Probe(0.1, "/api/probe: refused", answered=False)
CRASHED = Tasks(2, 1, ("a task failed: exit 1",), 1)
STOPPED = replace(CRASHED, stopped="Swarm gave the rollout up (paused: update paused)")
SLOW = {"app": Traffic(100, 0, (0.1, 1.0), (90, 100))}

FAULTS: list[tuple[Evidence, str]] = [
    (_bad(_look("agent", "unhealthy", "refused")), "unhealthy after 5 s: agent.database: refused"),
    (_bad(_look("app", "unhealthy", "'v1' runs", "version")), "app.version: 'v1' runs"),
    (_bad(SILENT_AGENT, LOST), "app.agent: agent is away"),
    (_bad(SILENT), "answered, then no more: app.answer: refused"),
    (
        _bad(SILENT, answered=frozenset(), tasks={"app": CRASHED}),
        "1 of 2 instances run, 1 failed: a task failed",
    ),
    (
        _bad(SILENT, tasks={"app": replace(CRASHED, running=2)}),
        "2 of 2 instances run, 1 failed: a task failed",
    ),
    (replace(GOOD, tasks={"app": CRASHED}), "app: 1 of 2 instances run, 1 failed: a task failed: exit 1"),
    (replace(GOOD, tasks={"app": STOPPED}), "app: Swarm gave the rollout up (paused"),
    (replace(GOOD, starts={"agent": 2}), "agent: started 2 times"),
    (replace(GOOD, probes=(REFUSED,) * 3), "no request comes through app, agent and database"),
    (
        replace(GOOD, traffic=_traffic(100, 3)),
        "3 of 100 requests were answered with 5xx (3.0%), at most 1.0%",
    ),
    (replace(GOOD, traffic=_traffic(100, 50, "agent")), "agent: 50 of 100 requests"),
    (replace(GOOD, traffic=SLOW), "10 of 100 requests (10.0%) took longer than 0.1 s, at most 5% may"),
]
DOUBTS: list[tuple[Evidence, str]] = [
    (_bad(_look("app", "degraded", "no answer", "auth")), "degraded after 5 s: app.auth: no answer"),
    (_bad(SILENT, answered=frozenset()), "app.answer: refused; nobody says whether it runs"),
    (_bad(SILENT, tasks={"app": Tasks(2, 2)}), "app.answer: refused; the platform says that 2 of 2 run"),
    (replace(GOOD, tasks={"app": Tasks(2, 1)}), "1 of 2 instances run, and none has failed"),
    (replace(GOOD, tasks={"app": Tasks(2, 2, moving=True)}), "app: its rollout is still under way"),
    (replace(GOOD, traffic=_traffic(100, 50), degraded=True), "50 of 100 requests were answered with 5xx"),
    (replace(GOOD, traffic=SLOW, degraded=True), "10 of 100 requests (10.0%) took longer"),
    (replace(GOOD, probes=(REFUSED,) * 2), "no request comes through"),
    (replace(GOOD, probes=(UNSEEN,) * 3), "no request comes through"),
    (replace(GOOD, traffic=_traffic(20, 1)), "1 of 20 requests were answered with 5xx"),
    (replace(GOOD, probes=(Probe(9.0),) * 2), "2 of 2 requests (100.0%) took longer than 0.1 s"),
]
FINE: list[Evidence] = [
    GOOD,
    replace(GOOD, traffic=_traffic(300, 3)),
    replace(GOOD, starts={"app": 1}),
    replace(GOOD, probes=(REFUSED, REFUSED, REFUSED, *[Probe(0.1)] * 297)),
    replace(GOOD, probes=(Probe(9.0), Probe(0.01))),
    replace(GOOD, tasks={"app": replace(CRASHED, running=2)}),
]
STRICT = Policy(max_latency_s=0.1)


@pytest.mark.parametrize(("evidence", "text"), FAULTS)
def test_what_is_proven_fails(evidence: Evidence, text: str) -> None:
    """Each fault fails the release by itself, and is named."""
    found = judge(evidence, STRICT)

    assert found.kind == "fail"
    assert text in found.reasons[0]


@pytest.mark.parametrize(("evidence", "text"), DOUBTS)
def test_what_nobody_can_tell_is_asked(evidence: Evidence, text: str) -> None:
    """A doubt takes nothing back, and is named."""
    found = judge(evidence, STRICT)

    assert found.kind == "inconclusive"
    assert text in found.reasons[0]


@pytest.mark.parametrize("evidence", FINE)
def test_what_is_well_enough_passes(evidence: Evidence) -> None:
    """One bad moment of a well release is no reason to take it back."""
    assert judge(evidence, STRICT) == Verdict("pass")


def test_degraded_passes_where_it_is_allowed() -> None:
    """A side service's failure is nothing against the release then."""
    evidence = _bad(_look("app", "degraded", "no answer", "auth"))

    assert judge(evidence, Policy(allow_degraded=True)).kind == "pass"


def test_a_stack_can_ask_for_traffic() -> None:
    """With too few requests nobody can tell; errors that no further requests outweigh are proof at once."""
    policy = Policy(min_requests=200)

    assert judge(replace(GOOD, traffic=_traffic(199)), policy).kind == "inconclusive"
    assert judge(replace(GOOD, traffic=_traffic(50, 2)), policy).kind == "inconclusive"
    assert judge(replace(GOOD, traffic=_traffic(50, 3)), policy).kind == "fail"
    assert judge(replace(GOOD, traffic=_traffic(200)), policy).kind == "pass"


def test_a_fault_outweighs_a_doubt_and_both_are_named() -> None:
    """Who has to correct it sees everything."""
    found = judge(replace(GOOD, starts={"app": 3}, probes=(UNSEEN,) * 3), Policy())

    assert found.kind == "fail"
    assert len(found.reasons) == 2


@given(
    requests=st.integers(0, 500),
    errors=st.integers(0, 500),
    more=st.integers(0, 50),
    least=st.integers(0, 300),
    rate=st.floats(0, 1),
)
def test_more_errors_never_look_better(
    requests: int, errors: int, more: int, least: int, rate: float
) -> None:
    """Of as many requests, further failing ones do not turn a verdict for the better."""
    policy = Policy(max_error_rate=rate, min_requests=least)
    better, worse = (
        judge(replace(GOOD, traffic=_traffic(max(requests, errors + more), bad)), policy).kind
        for bad in (errors, errors + more)
    )

    ranks = ("pass", "inconclusive", "fail")
    assert ranks.index(better) <= ranks.index(worse)


@given(requests=st.integers(0, 10_000), probes=st.integers(0, 50), starts=st.integers(0, 1))
def test_a_well_release_passes_at_any_load(requests: int, probes: int, starts: int) -> None:
    """Without a bad answer there is nothing to take back, whether many use it or nobody."""
    evidence = replace(
        GOOD, traffic=_traffic(requests), probes=(Probe(0.01),) * probes, starts={"app": starts}
    )

    assert judge(evidence, STRICT).kind == "pass"
