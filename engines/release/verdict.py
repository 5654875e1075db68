"""What was seen of a release, judged. Pure: the rules, and nothing that asks anybody.

A finding against the release is a fault or a doubt. A fault says that the release is bad; a doubt, that
nobody can tell from what was seen. One fault makes the verdict `fail`, else one doubt makes it
`inconclusive`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from engines.release.traffic import Traffic, slower_bound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from engines.health import Look

SERVICES = ("agent", "app")
# Below that, one bad request is no rate: a verdict of fail rolls back what others may have caused.
_LEAST_ERRORS = 3
# Slower than the limit may be what is beyond the 95th percentile; of fewer than twenty, one.
_SLOW_SHARE = 0.05
_LEAST_TIMED = 20
# Of one service, while it was watched: an instance that ends once may have been moved.
_LEAST_STARTS = 2
_LEAST_PROBES = 3


@dataclass(frozen=True)
class Policy:
    """What a stack lets pass.

    Attributes:
        max_error_rate: share of answers with 5xx, from 0 to 1.
        max_latency_s: seconds within which 95 % of the app's requests must be answered; None: any.
        min_requests: how many requests the app must have served in the window.
        allow_degraded: whether failing checks of side services pass.
    """

    max_error_rate: float = 0.01
    max_latency_s: float | None = None
    min_requests: int = 0
    allow_degraded: bool = False


@dataclass(frozen=True)
class Probe:
    """One request through everything.

    Attributes:
        seconds: how long it took.
        error: what went wrong; None: it was answered with 200.
        answered: a status came back, whichever.
    """

    seconds: float
    error: str | None = None
    answered: bool = True


@dataclass(frozen=True)
class Tasks:
    """What the platform says of a service.

    Attributes:
        wanted: how many instances should run.
        running: how many do.
        failures: of the last rollout, in words, newest first, each kind once.
        failed: how many instances failed since that rollout began.
        stopped: why the rollout was given up by the platform; empty: it was not.
        moving: a rollout is still under way.
    """

    wanted: int
    running: int
    failures: tuple[str, ...] = ()
    failed: int = 0
    stopped: str = ""
    moving: bool = False


@dataclass(frozen=True)
class Evidence:
    """What was seen.

    Attributes:
        settled: both services were well for a whole window.
        elapsed_s: for how long they were watched.
        last: the last look at each service.
        degraded: not healthy at each look of that window.
        answered: services that answered at least once.
        traffic: what each service counted in the window; absent where it does not say.
        probes: of the window, in order.
        starts: how many instances of a service started while it was watched.
        tasks: what the platform says of each service; absent where it says nothing.
    """

    settled: bool
    elapsed_s: float
    last: Mapping[str, Look]
    degraded: bool = False
    answered: frozenset[str] = frozenset()
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    probes: tuple[Probe, ...] = ()
    starts: Mapping[str, int] = field(default_factory=dict)
    tasks: Mapping[str, Tasks] = field(default_factory=dict)

    def counted(self) -> Traffic:
        """Give the app's traffic; where it does not count, the probes stand for it."""
        answers = [probe for probe in self.probes if probe.answered]
        errors = sum(1 for probe in answers if probe.error)
        return self.traffic.get("app") or Traffic(len(answers), errors)


@dataclass(frozen=True)
class Finding:
    """Something against the release; `is_fault`: it is proven that the release is bad."""

    text: str
    is_fault: bool


@dataclass(frozen=True)
class Verdict:
    """What is to be thought of a release.

    Attributes:
        kind: `pass`, `fail` or `inconclusive`.
        reasons: why, in words; none for `pass`.
    """

    kind: Literal["pass", "fail", "inconclusive"]
    reasons: tuple[str, ...] = ()


def judge(evidence: Evidence, policy: Policy) -> Verdict:
    """Weigh what was seen by the rules, which docs/releases.md lists."""
    findings = [one for rule in _RULES for one in rule(evidence, policy)]
    faults = tuple(one.text for one in findings if one.is_fault)
    doubts = tuple(one.text for one in findings if not one.is_fault)
    if faults:
        return Verdict("fail", faults + doubts)
    return Verdict("inconclusive", doubts) if doubts else Verdict("pass")


def _unwell(evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Both must become well, and stay it."""
    for service in SERVICES:
        look = evidence.last[service]
        if evidence.settled or look.status == "healthy":
            continue
        if look.answered:
            yield from _answered(evidence, look, policy)
        else:
            yield _silent(evidence, look)


def _answered(evidence: Evidence, look: Look, policy: Policy) -> Iterator[Finding]:
    after = f"{look.status} after {evidence.elapsed_s:.3g} s: {look.failures()}"
    if look.status == "unhealthy":
        yield Finding(after, is_fault=True)
    elif not policy.allow_degraded:
        # What is beside the product fails; that the release is the cause is not said.
        yield Finding(f"{after}; groundwork:health.allow_degraded lets that pass", is_fault=False)


def _silent(evidence: Evidence, look: Look) -> Finding:
    """Nobody who is not reached is proven to be down; others may know more."""
    other = evidence.last["app" if look.service == "agent" else "agent"]
    missed = [one for one in other.checks if not one.ok and one.name == f"{other.service}.{look.service}"]
    gone = look.service in evidence.answered and look.service not in evidence.tasks
    if missed:
        return Finding(f"{look.failures()}; {missed[0].name}: {missed[0].error}", is_fault=True)
    if gone:
        return Finding(f"answered, then no more: {look.failures()}", is_fault=True)
    tasks = evidence.tasks.get(look.service)
    says = (
        f"the platform says that {tasks.running} of {tasks.wanted} run"
        if tasks
        else "nobody says whether it runs"
    )
    return Finding(f"{look.failures()}; {says}", is_fault=False)


def _tasks(evidence: Evidence, _policy: Policy) -> Iterator[Finding]:
    """The platform knows what it could not start."""
    for service, tasks in evidence.tasks.items():
        if tasks.stopped:
            yield Finding(f"{service}: {tasks.stopped}", is_fault=True)
        text = f"{service}: {tasks.running} of {tasks.wanted} instances run"
        if _fails(tasks, settled=evidence.settled):
            yield Finding(f"{text}, {tasks.failed} failed: {'; '.join(tasks.failures)}", is_fault=True)
        elif tasks.running < tasks.wanted:
            yield Finding(f"{text}, and none has failed", is_fault=False)
        if tasks.moving:
            yield Finding(f"{service}: its rollout is still under way", is_fault=False)


def _fails(tasks: Tasks, *, settled: bool) -> bool:
    """Instances have ended with errors, and are missing; or again and again, and the service is not well."""
    return bool(tasks.failed) and (tasks.running < tasks.wanted or not settled)


def _restarting(evidence: Evidence, _policy: Policy) -> Iterator[Finding]:
    """Instances that start again and again end again and again."""
    for service, starts in evidence.starts.items():
        if starts >= _LEAST_STARTS:
            text = f"{service}: started {starts} times while it was watched, so its instances keep ending"
            yield Finding(text, is_fault=True)


def _probed(evidence: Evidence, _policy: Policy) -> Iterator[Finding]:
    """A request must come through everything, whatever the services say of themselves."""
    if not evidence.settled or not evidence.probes:
        return
    tail = evidence.probes[-_LEAST_PROBES:]
    if not all(probe.error for probe in tail):
        return
    is_fault = len(tail) == _LEAST_PROBES and all(probe.answered for probe in tail)
    yield Finding(f"no request comes through app, agent and database: {tail[-1].error}", is_fault=is_fault)


def _failing(evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Answers with 5xx, of each service; a share of few requests proves nothing."""
    if not evidence.settled:
        return
    for service, counted in {**evidence.traffic, "app": evidence.counted()}.items():
        if counted.error_rate <= policy.max_error_rate:
            continue
        text = (
            f"{service}: {counted.errors} of {counted.requests} requests were answered with 5xx "
            f"({counted.error_rate:.1%}), at most {policy.max_error_rate:.1%} may be"
        )
        # It stays above the limit even if all that was not seen had been well.
        least = policy.max_error_rate * max(counted.requests, policy.min_requests)
        is_proven = counted.errors >= _LEAST_ERRORS and counted.errors > least
        # Where a neighbour is away, the answers that need it fail with any release.
        yield Finding(text, is_fault=is_proven and not evidence.degraded)


def _slow(evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """One of twenty of the app's requests may take longer; the bucket with the limit in it counts as good."""
    limit_s = policy.max_latency_s
    if not evidence.settled or limit_s is None:
        return
    slow, timed, bound_s = _slower(evidence, limit_s)
    if slow <= _SLOW_SHARE * max(timed, _LEAST_TIMED):
        return
    text = (
        f"app: {slow} of {timed} requests ({slow / timed:.1%}) took longer than {bound_s:.3g} s, "
        f"at most {_SLOW_SHARE:.0%} may take longer than {limit_s:.3g} s"
    )
    least = _SLOW_SHARE * max(timed, policy.min_requests)
    is_proven = slow >= _LEAST_ERRORS and slow > least
    yield Finding(text, is_fault=is_proven and not evidence.degraded)


def _slower(evidence: Evidence, limit_s: float) -> tuple[int, int, float]:
    """Count the requests that certainly took longer than a limit; give all, and the bound that says so."""
    counted = evidence.counted()
    if not counted.bounds:
        return sum(1 for probe in evidence.probes if probe.seconds > limit_s), len(evidence.probes), limit_s
    bound_s, within = slower_bound(counted, limit_s)
    return counted.requests - within, counted.requests, bound_s


def _few(evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """What nobody used proves nothing, where the stack asks for that."""
    served = evidence.counted().requests
    if evidence.settled and served < policy.min_requests:
        text = f"the app served {served} requests while it was watched; a verdict needs {policy.min_requests}"
        yield Finding(text, is_fault=False)


_RULES = (_unwell, _tasks, _restarting, _probed, _failing, _slow, _few)
