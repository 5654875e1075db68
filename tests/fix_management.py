"""A Management API that answers by a script, to try what the real one does seldom."""

from __future__ import annotations

from typing import Any

import httpx

from engines.supabase import CreateProject, Limiter, ManagementClient, Timing

TOKEN = "sbp_canary_token"
PASSWORD = "canary-db-pass"
REF = "abcdefghijklmnopqrst"
PROJECT = {
    "id": REF,
    "ref": REF,
    "organization_id": "groundwork",
    "organization_slug": "groundwork",
    "name": "demo",
    "region": "eu-central-1",
    "created_at": "2026-01-01T00:00:00Z",
    "status": "ACTIVE_HEALTHY",
    "database": {
        "host": f"db.{REF}.supabase.co",
        "version": "17",
        "postgres_engine": "17",
        "release_channel": "ga",
    },
}
WANTED = CreateProject("demo", "groundwork", "eu-central-1", PASSWORD)


class Service:
    """Answers by a script: one entry per request, the last one for ever; remembers what it got."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        """Take the answers in their order."""
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []
        self.now = 0.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Give the next answer."""
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def client(self) -> ManagementClient:
        """Give a client that talks to this service and does not really wait."""
        timing = Timing(self.pause, lambda: self.now, 30)
        limiter = Limiter(self.pause, lambda: self.now)
        transport = httpx.MockTransport(self)
        return ManagementClient(
            "https://api.test", TOKEN, transport=transport, limiter=limiter, timing=timing
        )

    def pause(self, seconds: float) -> None:
        """Let time pass at once."""
        self.pauses.append(seconds)
        self.now += seconds

    def methods(self) -> list[str]:
        """List the methods of the requests so far."""
        return [request.method for request in self.requests]


def answer(status: int, body: Any = None, **headers: str) -> httpx.Response:
    """Make an answer; header names have _ for -."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return httpx.Response(status, json={} if body is None else body, headers=named)
