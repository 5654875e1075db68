"""The gate of a release: it is watched, judged, and taken back where it is bad and there is a way back."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from engines import health, swarm
from engines.errors import GroundworkError
from engines.release.verdict import judge
from engines.release.watch import Times, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engines.health import Targets
    from engines.release.verdict import Evidence, Policy, Verdict

# The app needs what its agent gives: it goes back first, and forth last.
_BACK = ("app", "agent")
_FORTH = ("agent", "app")
_POLL_S = 0.5
# As long as an update waits for one (components/_containers.py).
_ROLLOUT_S = 600.0
# A rollback replaces instances that are known to start.
_BACK_S = 120.0
_GREETING_S = 15.0


class ReleaseError(GroundworkError):
    """A release did not pass; the text says what was seen, what was done, what runs, and what to do.

    Attributes:
        verdict: why.
    """

    def __init__(self, message: str, verdict: Verdict) -> None:
        """Keep the verdict beside the text."""
        super().__init__(message)
        self.verdict = verdict


@dataclass(frozen=True)
class Release:
    """What was rolled out, and how it is judged.

    Attributes:
        id: names this release, for who accepts it.
        targets: where it is asked.
        policy: what is let pass.
        times: how long it is watched.
        accept: id of a release that may pass although nobody can tell.
        services: what runs on a Swarm, by `app` and `agent`; others have no way back.
        passed: the releases that passed last, by service; empty: none did.
    """

    id: str
    targets: Targets
    policy: Policy
    times: Times
    accept: str = ""
    services: Mapping[str, swarm.Service] = field(default_factory=dict)
    passed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Passed:
    """A release that passed.

    Attributes:
        status: `healthy` or `degraded`, or `unhealthy` where it was accepted unseen.
        verdict: `pass`, or `accepted`.
        checked_at: when, ISO 8601 UTC.
    """

    status: str
    verdict: str
    checked_at: str


def prove(release: Release, report: Callable[[str], None]) -> Passed:
    """Watch a release and judge it; take it back where it fails.

    Args:
        release: what was rolled out.
        report: told what is waited for, and what is done.

    Raises:
        ReleaseError: it failed and was taken back where that is possible, or nobody can tell and it stays.
    """
    fallen = {name: state.fallen for name, state in _look(release, report, {}).items()}
    is_given_up = _put_forth(release, report)
    # What the platform has given up does not become healthy by waiting.
    times = replace(release.times, timeout_s=0.0) if is_given_up else release.times
    degraded = release.policy.allow_degraded
    evidence = watch(release.targets, times, allow_degraded=degraded, report=report)
    states = _look(release, report, fallen)
    evidence = replace(evidence, tasks={name: state.tasks for name, state in states.items()})
    return _concluded(release, evidence, judge(evidence, release.policy), report)


def _concluded(
    release: Release, evidence: Evidence, verdict: Verdict, report: Callable[[str], None]
) -> Passed:
    if verdict.kind == "fail":
        raise ReleaseError(_failed(release, verdict, _all_back(release, report)), verdict)
    if verdict.kind == "inconclusive" and release.accept != release.id:
        raise ReleaseError(_unsure(release, verdict), verdict)
    for reason in verdict.reasons:
        report(f"accepted: {reason}")
    statuses = {look.status for look in evidence.last.values()}
    status = next(one for one in ("unhealthy", "degraded", "healthy") if one in statuses)
    kind = "accepted" if verdict.reasons else "pass"
    return Passed(status, kind, datetime.now(UTC).isoformat())


def _put_forth(release: Release, report: Callable[[str], None]) -> bool:
    """Let rollouts end, and put in force again what an earlier update has taken back.

    Returns:
        Whether the platform has given one of them up.
    """
    given_up = False
    for name, service in _in_order(release, _FORTH):
        try:
            state = swarm.settle(service, _ROLLOUT_S)
            if state.went_back and swarm.go_forth(service):
                report(f"{name} was rolled back before; it is rolled out again")
                state = swarm.settle(service, _ROLLOUT_S)
            given_up |= state.given_up
        except swarm.SwarmError as error:
            report(str(error))
    return given_up


def _in_order(release: Release, order: Sequence[str]) -> list[tuple[str, swarm.Service]]:
    return [(name, release.services[name]) for name in order if name in release.services]


def _look(
    release: Release, report: Callable[[str], None], fallen: Mapping[str, frozenset[str]]
) -> dict[str, swarm.State]:
    """Look at all services; of one that this release leaves as it was, what fell before says nothing."""
    found = {}
    for name, service in release.services.items():
        is_new = service.release != release.passed.get(name)
        known = frozenset() if is_new else fallen.get(name, frozenset())
        try:
            found[name] = swarm.look(service, known)
        except swarm.SwarmError as error:
            report(str(error))
    return found


def _all_back(release: Release, report: Callable[[str], None]) -> list[str]:
    """Take everything back, and say what was done; an app that stays may need the agent that it came with."""
    done, is_back = [], True
    for name, service in _in_order(release, _BACK):
        if is_back:
            text, is_back = _taken_back(name, service, release.passed.get(name, ""), report)
        else:
            text = "not rolled back, because the app that runs may need it"
        done.append(f"{name}: {text}")
    return done


def _taken_back(
    name: str, service: swarm.Service, passed: str, report: Callable[[str], None]
) -> tuple[str, bool]:
    """Take one service back; say what was done, and whether what passed before runs."""
    try:
        state = swarm.look(service)
        if state.went_back:
            state = swarm.settle(service, _BACK_S)
        if not passed:
            return "no release of it has passed yet, so there is none to go back to", False
        if state.release == passed:
            return "what runs is what passed before", True
        if not swarm.go_back(service, passed):
            return "the engine no longer has what passed before, so it was not rolled back", False
    except swarm.SwarmError as error:
        return f"not rolled back: {error}", False
    report(f"rolling {name} back to what passed before")
    return _arrived(service)


def _arrived(service: swarm.Service) -> tuple[str, bool]:
    deadline = time.monotonic() + _BACK_S
    try:
        while not (state := swarm.look(service)).complete and time.monotonic() < deadline:
            time.sleep(_POLL_S)
    except swarm.SwarmError as error:
        return f"is being rolled back, and cannot be asked any more: {error}", False
    runs = f"{state.tasks.running} of {state.tasks.wanted} instances run"
    text = "rolled back to what passed before" if state.complete else "is being rolled back"
    return f"{text}; {runs}", state.complete


def _running(targets: Targets) -> str:
    """Say which versions answer now; an instance that was just replaced may take a moment."""
    deadline = time.monotonic() + _GREETING_S
    anyone = replace(targets, app_version=None, agent_version=None)
    while (found := health.check(anyone)).status == "unhealthy" and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    texts = [f"{look.service} {look.version or 'without an answer'} ({look.status})" for look in found.looks]
    return ", ".join(texts)


def _failed(release: Release, verdict: Verdict, done: list[str]) -> str:
    stays = ["app and agent keep running as they are: their host has no way back"]
    now = _running(release.targets) if release.services else ""
    lines = [
        f"release {release.id} failed at the health gate",
        *(f"  seen: {reason}" for reason in verdict.reasons),
        *(f"  done: {text}" for text in done or stays),
        *([f"  runs now: {now}"] if now else []),
        "  next: see the logs of the services, correct the cause and update again; contract migrations wait",
    ]
    return "\n".join(lines)


def _unsure(release: Release, verdict: Verdict) -> str:
    lines = [
        f"nobody can tell whether release {release.id} works",
        *(f"  seen: {reason}" for reason in verdict.reasons),
        "  done: nothing; the release keeps running, and contract migrations did not run",
        "  next: look for yourself, then update again to have it judged again, or accept it as it is:",
        f"    scripts/pulumi config set --path groundwork:health.accept {release.id}",
    ]
    return "\n".join(lines)
