"""Keeps all requests of one token within the service's rate limit, by what its answers say of it.

The service counts in windows of a minute, over all programs that use the token, and tells with each answer
how many requests are left: `x-ratelimit-limit`, `x-ratelimit-remaining`, `x-ratelimit-reset` (seconds).
Routes of domains have a window of their own, with a smaller limit.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WINDOW_S = 60.0
# A little more than a window: what a server may ask for at most.
LONGEST_WAIT_S = 65.0
_APART = ("custom-hostname", "vanity-subdomain")
_TOO_MANY = 429
# Ends of one window that answers tell differ by their rounding and their way; windows differ by a minute.
_SAME_END_S = 10.0


@dataclass
class _Window:
    """What is known of one window; None: nothing yet.

    Attributes:
        limit: requests per window.
        left: requests that may still be sent in this window.
        ends_at: by the limiter's clock.
        under_way: requests sent and not answered, which the service may not have counted yet.
    """

    limit: int | None = None
    left: int | None = None
    ends_at: float = 0.0
    under_way: int = 0


class Limiter:
    """Lets requests through while the service still takes some; safe for use by several threads."""

    def __init__(
        self, pause: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin without knowledge, which lets everything through."""
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[str, _Window] = defaultdict(_Window)

    def enter(self, path: str) -> float:
        """Wait until a request to `path` may be sent, count it, and give the time; `leave` ends it."""
        window = self._window(path)
        while True:
            with self._lock:
                wait_s = self._wait_s(window)
                if wait_s is None:
                    window.under_way += 1
                    return self._clock()
                ends_at = window.ends_at
            self._pause(wait_s)
            self._end_window(window, ends_at)

    def leave(
        self, path: str, status: int | None, headers: Mapping[str, str], entered_at: float | None = None
    ) -> None:
        """Learn from an answer.

        Args:
            path: what `enter` was given.
            status: None: there was no answer.
            headers: of the answer.
            entered_at: what `enter` gave; None: just now.
        """
        window = self._window(path)
        is_refused = status == _TOO_MANY
        with self._lock:
            window.under_way -= 1
            now = self._clock()
            sent_at = now if entered_at is None else entered_at
            left = 0 if is_refused else _number(headers, "remaining")
            reset_s = wait_asked_s(headers) if is_refused else _number(headers, "reset")
            if left is None or reset_s is None or (sent_at + reset_s <= now and not is_refused):
                # The service says nothing, or counted the request in a window that may be over by now.
                return
            window.limit = _number(headers, "limit") or window.limit
            ends_in_s = min(reset_s, LONGEST_WAIT_S)
            self._learn(window, left - window.under_way, sent_at + ends_in_s, now + ends_in_s)

    @staticmethod
    def _learn(window: _Window, left: int, earliest: float, latest: float) -> None:
        """Learn how much is left of a window that ends between two times.

        Which window it is, is told by its end alone: the whole seconds of answers let an old window seem to
        last on for a moment when the next one has begun.
        """
        if window.left is not None and earliest - _SAME_END_S < window.ends_at < latest + _SAME_END_S:
            # Answers overtake each other: in one window, the smallest number is the newest.
            window.left = min(left, window.left)
            window.ends_at = max(window.ends_at, earliest)
        else:
            window.left, window.ends_at = left, latest

    def _wait_s(self, window: _Window) -> float | None:
        """Take one request from the window, or give the seconds until the next one."""
        if window.left is None:
            return None
        now = self._clock()
        if now >= window.ends_at:
            self._renew(window)
        elif window.left <= 0:
            return window.ends_at - now + random.uniform(0, 1)  # noqa: S311 - spreads callers
        if window.left is not None:
            window.left -= 1
        return None

    def _end_window(self, window: _Window, ends_at: float) -> None:
        """Open the next window after a wait, unless an answer has told of one in the meantime."""
        with self._lock:
            if window.ends_at == ends_at:
                self._renew(window)

    def _renew(self, window: _Window) -> None:
        window.left = None if window.limit is None else max(window.limit - window.under_way, 1)
        window.ends_at = self._clock() + _WINDOW_S

    def _window(self, path: str) -> _Window:
        name = next((part for part in _APART if f"/{part}" in path), "")
        with self._lock:
            return self._windows[name]


_SHARED: dict[str, Limiter] = {}
_SHARED_LOCK = threading.Lock()


def shared_limiter(api_url: str, token: str) -> Limiter:
    """Give the limiter that all clients of this process with the same service and token use."""
    key = hashlib.sha256(f"{api_url}\n{token}".encode()).hexdigest()
    with _SHARED_LOCK:
        return _SHARED.setdefault(key, Limiter())


def wait_asked_s(headers: Mapping[str, str]) -> float | None:
    """Give the seconds until requests are taken again, by the headers of a 429; None: they do not say."""
    found = [_number(headers, "reset"), retry_after_s(headers)]
    return max((float(one) for one in found if one is not None), default=None)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read `retry-after`: seconds, or a time that counts from the answer's own `date` (RFC 9110, 10.2.3)."""
    text = headers.get("retry-after", "")
    if (seconds := _whole(text)) is not None:
        return seconds
    try:
        until, sent = parsedate_to_datetime(text), parsedate_to_datetime(headers.get("date", ""))
        return max((until - sent).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def _number(headers: Mapping[str, str], what: str) -> int | None:
    return _whole(headers.get(f"x-ratelimit-{what}", ""))


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
