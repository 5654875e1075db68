"""Waiting for an event, with a deadline, in place of waiting by the clock."""

from __future__ import annotations

import time
from threading import Event
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def until(condition: Callable[[], T], timeout_s: float = 120, *, what: str = "a true answer") -> T:
    """Ask again and again until the answer is true, and give it; fail the test after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}: still {answer!r}"
        Event().wait(0.05)
    return answer
