"""Who is looking: a signed cookie, and a token that ties each form to it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import jwt

if TYPE_CHECKING:
    from fastapi import Request, Response

COOKIE = "session"
LIFETIME = timedelta(days=7)
AUDIENCE = "app-session"


@dataclass(frozen=True)
class Visitor:
    """One browser; `user` once it is signed in."""

    user: UUID | None = None
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))


class Visitors:
    """Reads and writes the cookie."""

    def __init__(self, key: str) -> None:
        """Take the secret that signs."""
        self._key = key

    def read(self, request: Request) -> Visitor:
        """Give the visitor of a request; an unknown one if the cookie is missing, forged or too old."""
        try:
            claims = jwt.decode(
                request.cookies.get(COOKIE, ""),
                self._key,
                algorithms=["HS256"],
                audience=AUDIENCE,
                options={"require": ["exp", "jti"]},
            )
            return Visitor(UUID(claims["sub"]) if "sub" in claims else None, claims["jti"])
        except (jwt.PyJWTError, ValueError):
            return Visitor()

    def write(self, request: Request, response: Response, visitor: Visitor) -> None:
        """Set the cookie: not for scripts, not for requests that come from other sites."""
        expires = datetime.now(UTC) + LIFETIME
        claims = {"jti": visitor.id, "aud": AUDIENCE, "exp": expires}
        claims |= {"sub": str(visitor.user)} if visitor.user else {}
        response.set_cookie(
            COOKIE,
            jwt.encode(claims, self._key, algorithm="HS256"),
            max_age=int(LIFETIME.total_seconds()),
            httponly=True,
            samesite="lax",
            secure=is_encrypted(request),
        )

    def form_token(self, visitor: Visitor) -> str:
        """Give the token that the visitor's forms carry; other sites can neither read nor make it."""
        return hmac.new(self._key.encode(), f"form:{visitor.id}".encode(), hashlib.sha256).hexdigest()

    def is_own_form(self, visitor: Visitor, token: str) -> bool:
        """Tell whether a form was made for this visitor."""
        return hmac.compare_digest(self.form_token(visitor).encode(), token.encode())


def is_encrypted(request: Request) -> bool:
    """Tell whether the browser came by TLS, also when a proxy in front ended it.

    Anybody can send the header; who lies gets a cookie that only their own browser keeps back.
    """
    return "https" in {request.url.scheme, request.headers.get("x-forwarded-proto")}
