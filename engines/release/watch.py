"""Watching a release: wait until it is well, then look for a window whether it stays it.

Being slow to start is no fault: until the time is over, whatever is wrong only begins the window anew.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from engines import health
from engines.release.traffic import Traffic, added
from engines.release.verdict import SERVICES, Evidence, Probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.health import Look, Report, Targets

PROBE_PATH = "/api/probe"
_POLL_S = 0.25
_REQUEST_TIMEOUT_S = 10.0
_LONGEST_TEXT = 300
# What verdict.py needs to tell what happens once from what happens always, however slow the looks are.
_LEAST_LOOKS = 3


@dataclass(frozen=True)
class Times:
    """For how many seconds to look: `timeout_s` until it is well, `window_s` whether it stays it."""

    timeout_s: float
    window_s: float


@dataclass
class _Window:
    """What is seen while everything is well, in one stretch."""

    began: float
    looks: int = 0
    degraded: bool = False
    probes: list[Probe] = field(default_factory=list)
    begun: dict[str, dict[str, Traffic]] = field(default_factory=dict)
    counted: dict[str, list[tuple[str, Traffic]]] = field(default_factory=dict)

    def add(self, look: Look) -> None:
        """Take what a service counted; an instance that started meanwhile had counted nothing before."""
        self.degraded |= look.status != "healthy"
        if look.traffic is None:
            return
        if _is_new(look, self.began):
            self.begun.setdefault(look.service, {}).setdefault(look.instance, Traffic())
        self.counted.setdefault(look.service, []).append((look.instance, look.traffic))

    def traffic(self) -> dict[str, Traffic]:
        """Give what each service counted."""
        return {name: added(looks, self.begun.get(name, {})) for name, looks in self.counted.items()}


def _is_new(look: Look, since: float) -> bool:
    """Say whether an instance started after a moment of the monotonic clock; who does not tell did not."""
    if look.age_s is None or not look.instance:
        return False
    return look.age_s < time.monotonic() - since


class _Watch:
    """One watch over both services, from the first look to the verdict's evidence."""

    def __init__(self, targets: Targets, *, allow_degraded: bool, report: Callable[[str], None]) -> None:
        self._targets, self._report = targets, report
        self._good = {"healthy", "degraded"} if allow_degraded else {"healthy"}
        self._began = time.monotonic()
        self._settled_at: float | None = None
        self._window: _Window | None = None
        self._started: dict[str, set[str]] = {}
        self._answered: set[str] = set()
        self._said = ""
        self._has_probe = True

    def run(self, times: Times) -> Evidence:
        """Look until a window ends well, or the time is over while something is wrong."""
        while True:
            found = health.check(self._targets)
            self._note(found)
            if found.status in self._good:
                if self._watched(found, times.window_s):
                    return self._evidence(found, settled=True)
            elif self._broken(found, times.timeout_s):
                return self._evidence(found, settled=False)
            time.sleep(_POLL_S)

    def _note(self, found: Report) -> None:
        """Remember who answered, and which instances started since everything was well at first."""
        self._answered |= {look.service for look in found.looks if look.answered}
        for look in found.looks:
            if self._settled_at is not None and _is_new(look, self._settled_at):
                self._started.setdefault(look.service, set()).add(look.instance)

    def _watched(self, found: Report, window_s: float) -> bool:
        """Take one good look; tell whether the window is over."""
        now = time.monotonic()
        if self._window is None:
            self._settled_at = self._settled_at or now
            self._window = _Window(now)
            self._say(f"{found.status}; watching for {window_s:g} s")
        self._window.looks += 1
        for look in found.looks:
            self._window.add(look)
        if self._has_probe and (probe := ask(self._targets.app_url)):
            self._window.probes.append(probe)
        else:
            self._has_probe = False
        return self._window.looks >= _LEAST_LOOKS and time.monotonic() - self._window.began >= window_s

    def _broken(self, found: Report, timeout_s: float) -> bool:
        """Take one bad look; tell whether the time is over."""
        self._window = None
        self._say(f"waiting for {found.failures()}")
        return time.monotonic() - self._began >= timeout_s

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._report(text)

    def _evidence(self, found: Report, *, settled: bool) -> Evidence:
        window = self._window or _Window(0.0)
        return Evidence(
            settled=settled,
            elapsed_s=time.monotonic() - self._began,
            last={look.service: look for look in found.looks},
            degraded=window.degraded,
            answered=frozenset(self._answered),
            traffic=window.traffic(),
            probes=tuple(window.probes),
            starts={name: len(self._started.get(name, ())) for name in SERVICES},
        )


def watch(targets: Targets, times: Times, *, allow_degraded: bool, report: Callable[[str], None]) -> Evidence:
    """Wait until both services are well with what was rolled out, and watch them for a window.

    Args:
        targets: what to ask.
        times: for how long.
        allow_degraded: whether failing checks of side services are well enough.
        report: told whenever what is waited for changes.
    """
    return _Watch(targets, allow_degraded=allow_degraded, report=report).run(times)


def ask(app_url: str) -> Probe | None:
    """Send one request through app, agent and database; None: the app has no such route."""
    began = time.monotonic()
    try:
        with httpx.Client(timeout=_REQUEST_TIMEOUT_S, trust_env=False) as client:
            answer = client.get(app_url + PROBE_PATH)
    except httpx.TimeoutException:
        # Connected or not: who cannot be asked within that time serves nobody.
        error = f"{PROBE_PATH} gave no answer within {_REQUEST_TIMEOUT_S:g} s"
        return Probe(time.monotonic() - began, error)
    except httpx.HTTPError as error:
        return Probe(time.monotonic() - began, f"{PROBE_PATH}: {error}", answered=False)
    if answer.status_code in {404, 405}:
        return None
    is_well = answer.status_code == 200
    return Probe(time.monotonic() - began, None if is_well else _refusal(answer))


def _refusal(answer: httpx.Response) -> str:
    try:
        text = str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        text = "without a reason"
    return f"{PROBE_PATH} answers {answer.status_code}: {text[:_LONGEST_TEXT]}"
