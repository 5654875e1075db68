"""The secret that app and agent share: who may call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from held import Secret

OPEN_PATH = "/health"
REFUSAL = JSONResponse(
    {"error": "expected 'Authorization: Bearer' with an accepted version of the shared secret"},
    401,
    headers={"WWW-Authenticate": "Bearer"},
)


def version_of(secret: Secret, header: str | None) -> str | None:
    """Name the version that an Authorization header carries; None: no accepted one."""
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    return secret.find(token.strip().encode(), lambda value: value)


class Guard:
    """Lets only holders of the secret pass, before anything of their request is read; `/health` is open."""

    def __init__(self, app: ASGIApp, secret: Secret) -> None:
        """Wrap a whole application."""
        self._app = app
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it with 401."""
        if scope["type"] != "http" or scope["path"] == OPEN_PATH:
            await self._app(scope, receive, send)
            return
        version = version_of(self._secret, Headers(scope=scope).get("authorization"))
        if version is None:
            await REFUSAL(scope, receive, send)
            return
        self._secret.used(version)
        scope["state"]["secret_version"] = version
        await self._app(scope, receive, send)
