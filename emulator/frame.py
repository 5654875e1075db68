"""What surrounds every request: the bearer token, the rate limit and its headers, and one log line."""

from __future__ import annotations

import hmac
import logging
import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

WINDOW_S = 60.0
# Recorded answers of the real service to custom-hostname and vanity-subdomain.
DOMAIN_LIMIT = 10

_log = logging.getLogger("emulator.requests")


@dataclass(frozen=True)
class Allowance:
    """What a token may still do in the running window.

    Attributes:
        limit: requests per window.
        remaining: requests left; below 0 the request is over the limit.
        reset_s: whole seconds until the next window.
    """

    limit: int
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        """Give the headers that the real service sends with every answer."""
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(max(self.remaining, 0)),
            "x-ratelimit-reset": str(self.reset_s),
        }


class RateLimit:
    """Counts the requests of a token in fixed windows of 60 seconds."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with a full allowance; a `limit` of 0 means none."""
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._window_start = clock()
        self._count = 0

    def take(self) -> Allowance | None:
        """Count one request; None: there is no limit."""
        if self._limit == 0:
            return None
        with self._lock:
            now = self._clock()
            if now - self._window_start >= WINDOW_S:
                self._window_start, self._count = now, 0
            self._count += 1
            left_s = WINDOW_S - (now - self._window_start)
            return Allowance(self._limit, self._limit - self._count, math.ceil(left_s))


class RateLimits:
    """The limits of a token: one for all routes but those of domains, which have a smaller one."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with full allowances; a `limit` of 0 means none, for domains neither."""
        self._most = RateLimit(limit, clock)
        self._domains = RateLimit(min(limit, DOMAIN_LIMIT), clock)

    def take(self, path: str) -> Allowance | None:
        """Count one request; None: there is no limit."""
        is_domain = path.rstrip("/").split("/")[4:5] in (["custom-hostname"], ["vanity-subdomain"])
        return (self._domains if is_domain else self._most).take()


class ManagementFrame:
    """ASGI middleware: lets requests to the Management API through with the token, up to the limit."""

    def __init__(self, app: ASGIApp, *, token: str, rate_limit: RateLimits) -> None:
        """Wrap `app`; other paths (health, project URLs) have their own rules and pass."""
        self._app = app
        self._expected = f"Bearer {token}".encode()
        self._rate_limit = rate_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 or 429, or pass the request on."""
        if scope["type"] != "http" or not scope["path"].startswith(("/v1/", "/v2/", "/emulator/")):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("authorization", "")
        if not hmac.compare_digest(given.encode(), self._expected):
            await JSONResponse({"message": "Unauthorized"}, 401)(scope, receive, send)
            return
        await self._limited(scope, receive, send)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_own = scope["path"].startswith("/emulator/")
        allowance = None if is_own else self._rate_limit.take(scope["path"])
        if allowance is None:
            await self._app(scope, receive, send)
        elif allowance.remaining < 0:
            message = {"message": "ThrottlerException: Too Many Requests"}
            await JSONResponse(message, 429, allowance.headers())(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send, allowance.headers()))


class RequestLog:
    """ASGI middleware: one line per request, without query, headers and body, which may hold secrets."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and log method, path, status and duration."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started = time.monotonic()

        async def watched(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            took_ms = (time.monotonic() - started) * 1000
            _log.info("%s %s %d %.0f ms", scope["method"], scope["path"], status, took_ms)


def _with_headers(send: Send, headers: dict[str, str]) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return wrapped
