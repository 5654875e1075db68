"""Waits until every place agrees about every secret, or says where they do not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from engines.parity.known import ParityError, matrix, mismatches
from engines.parity.places import Stack, look
from engines.parity.webhooks import deliver

if TYPE_CHECKING:
    from engines.parity.known import Matrix, Secrets

WEBHOOK_SECRET: Final = "billing_webhook_secret"  # noqa: S105 - a secret's name
_PAUSE_S = 0.5


def prove(stack: Stack, known: Secrets, *, timeout_s: float) -> Matrix:
    """Ask every place until all agree, and give the matrix.

    Args:
        stack: what to ask.
        known: the secrets by name.
        timeout_s: how long places may need to follow, in seconds.

    Raises:
        ParityError: they do not agree by then, or a service does not answer.
        GroundworkError: the database or the platform cannot be asked.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        found = look(stack, known)
        problems = mismatches(known, found) or _undelivered(stack, known)
        if not problems:
            return matrix(known, found)
        if time.monotonic() >= deadline:
            raise ParityError(
                f"{'; '.join(problems)}. Each place gets its secrets in an update: run it again; if that "
                "says the same, something else runs there than what was rolled out"
            )
        time.sleep(_PAUSE_S)


def check_services(app_url: str, agent_url: str, known: Secrets) -> list[str]:
    """Say where app and agent hold something else than wanted; empty: nowhere."""
    stack = Stack(services={"app": app_url, "agent": agent_url})
    return mismatches(known, look(stack, known), places=stack.services.keys())


def _undelivered(stack: Stack, known: Secrets) -> list[str]:
    if WEBHOOK_SECRET not in known or "app" not in stack.services:
        return []
    problems = deliver(stack.services["app"], known[WEBHOOK_SECRET])
    return [f"{WEBHOOK_SECRET}: {one}" for one in problems]
