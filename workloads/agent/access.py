"""The secret that app and agent share: who may call, and how both prove that they hold the same value."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr
    from starlette.types import ASGIApp, Receive, Scope, Send

OPEN_PATH = "/health"
REFUSAL = JSONResponse(
    {"error": "expected 'Authorization: Bearer' with an accepted version of the shared secret"},
    401,
    headers={"WWW-Authenticate": "Bearer"},
)


class SharedSecret:
    """Every accepted version of the secret; while a rotation runs there are two."""

    def __init__(self, versions: Mapping[str, SecretStr]) -> None:
        """Take the values by their version."""
        self._values = {name: value.get_secret_value().encode() for name, value in versions.items()}

    @property
    def versions(self) -> list[str]:
        """The accepted versions, the newest first."""
        return sorted(self._values, key=int, reverse=True)

    def version_of(self, header: str | None) -> str | None:
        """Name the version that an Authorization header carries; None: no accepted one."""
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        # Every version is compared, in constant time: the answer's delay tells nothing.
        given = token.strip().encode()
        matches = [name for name in self.versions if hmac.compare_digest(self._values[name], given)]
        return matches[0] if matches else None

    def fingerprints(self, nonce: str) -> dict[str, str]:
        """Give HMAC-SHA256(value, nonce) of each version: a proof that shows no value (RFC 2104)."""
        return {
            name: hmac.new(self._values[name], nonce.encode(), hashlib.sha256).hexdigest()
            for name in self.versions
        }


class Guard:
    """Lets only holders of the secret pass, before anything of their request is read; `/health` is open."""

    def __init__(self, app: ASGIApp, secret: SharedSecret) -> None:
        """Wrap a whole application."""
        self._app = app
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it with 401."""
        if scope["type"] != "http" or scope["path"] == OPEN_PATH:
            await self._app(scope, receive, send)
            return
        version = self._secret.version_of(Headers(scope=scope).get("authorization"))
        if version is None:
            await REFUSAL(scope, receive, send)
            return
        scope["state"]["secret_version"] = version
        await self._app(scope, receive, send)
