"""Who is looking: a signed cookie, and a token that ties each form to it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import jwt

from held import sign

if TYPE_CHECKING:
    from fastapi import Request, Response
    from jwt.types import Options

    from held import Secret

COOKIE = "session"
LIFETIME = timedelta(days=7)
AUDIENCE = "app-session"


@dataclass(frozen=True)
class Visitor:
    """One browser; `user` once it is signed in."""

    user: UUID | None = None
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))


class Visitors:
    """Reads and writes the cookie. Every version of the key is accepted, so a rotation signs nobody out."""

    def __init__(self, key: Secret, use: str) -> None:
        """Take the key, and the version of it that signs."""
        self._key = key
        self._use = use

    def read(self, request: Request) -> Visitor:
        """Give the visitor of a request; an unknown one if the cookie is missing, forged or too old."""
        cookie = request.cookies.get(COOKIE, "")
        for version in self._candidates(cookie):
            try:
                visitor = _decode(cookie, self._key.value(version))
            except (jwt.PyJWTError, ValueError):
                continue
            self._key.used(version)
            return visitor
        return Visitor()

    def _candidates(self, cookie: str) -> list[str]:
        """Name the versions that may have signed: the cookie's own word for it (RFC 7515 `kid`), else all."""
        try:
            named = jwt.get_unverified_header(cookie).get("kid")
        except jwt.PyJWTError:
            return []
        return [named] if named in self._key.versions else self._key.versions

    def write(self, request: Request, response: Response, visitor: Visitor) -> None:
        """Set the cookie: not for scripts, not for requests that come from other sites."""
        expires = datetime.now(UTC) + LIFETIME
        claims = {"jti": visitor.id, "aud": AUDIENCE, "exp": expires}
        claims |= {"sub": str(visitor.user)} if visitor.user else {}
        response.set_cookie(
            COOKIE,
            jwt.encode(claims, self._key.value(self._use), "HS256", headers={"kid": self._use}),
            max_age=int(LIFETIME.total_seconds()),
            httponly=True,
            samesite="lax",
            secure=is_encrypted(request),
        )
        self._key.used(self._use)

    def form_token(self, visitor: Visitor) -> str:
        """Give the token that the visitor's forms carry; other sites can neither read nor make it."""
        return _form_token(self._key.value(self._use), visitor)

    def is_own_form(self, visitor: Visitor, token: str) -> bool:
        """Tell whether a form was made for this visitor."""
        version = self._key.find(token.encode(), lambda key: _form_token(key, visitor).encode())
        if version is not None:
            self._key.used(version)
        return version is not None


def _decode(cookie: str, key: bytes) -> Visitor:
    options: Options = {"require": ["exp", "jti"]}
    claims = jwt.decode(cookie, key, algorithms=["HS256"], audience=AUDIENCE, options=options)
    return Visitor(UUID(claims["sub"]) if "sub" in claims else None, claims["jti"])


def _form_token(key: bytes, visitor: Visitor) -> str:
    return sign(key, f"form:{visitor.id}".encode())


def is_encrypted(request: Request) -> bool:
    """Tell whether the browser came by TLS, also when a proxy in front ended it.

    Anybody can send the header; who lies gets a cookie that only their own browser keeps back.
    """
    return "https" in {request.url.scheme, request.headers.get("x-forwarded-proto")}
