"""Private keys that a caller brings (RFC 7517, RFC 8037), with just the members that the contract names."""

from __future__ import annotations

import base64
import secrets
import uuid
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from emulator import ed25519, p256, rsa
from emulator.management.bodies import ClosedBody, Omissible

Hidden = Annotated[str, Field(repr=False)]
Algorithm = Literal["EdDSA", "ES256", "RS256", "HS256"]
_KEY_TYPES = {"EdDSA": "OKP", "ES256": "EC", "RS256": "RSA", "HS256": "oct"}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})


class _Jwk(ClosedBody):
    kid: Omissible[str] = None
    use: Omissible[Literal["sig"]] = None
    key_ops: Omissible[list[Literal["sign", "verify"]]] = Field(None, min_length=2, max_length=2)
    ext: Omissible[Literal[True]] = None

    @field_validator("kid")
    @classmethod
    def _is_uuid(cls, text: str | None) -> str | None:
        if text is not None:
            uuid.UUID(text)
        return text


class RsaJwk(_Jwk):
    """A key for RS256."""

    kty: Literal["RSA"]
    alg: Omissible[Literal["RS256"]] = None
    n: str
    e: Literal["AQAB"]
    d: Hidden
    p: Hidden
    q: Hidden
    dp: Hidden
    dq: Hidden
    qi: Hidden


class EcJwk(_Jwk):
    """A key for ES256."""

    kty: Literal["EC"]
    alg: Omissible[Literal["ES256"]] = None
    crv: Literal["P-256"]
    x: str
    y: str
    d: Hidden


class OkpJwk(_Jwk):
    """A key for EdDSA."""

    kty: Literal["OKP"]
    alg: Omissible[Literal["EdDSA"]] = None
    crv: Literal["Ed25519"]
    x: str
    d: Hidden


class OctJwk(_Jwk):
    """A shared secret for HS256."""

    kty: Literal["oct"]
    alg: Omissible[Literal["HS256"]] = None
    k: str = Field(min_length=16, repr=False)


PrivateJwk = Annotated[RsaJwk | EcJwk | OkpJwk | OctJwk, Field(discriminator="kty")]


def fits(algorithm: Algorithm, key: _Jwk) -> bool:
    """Tell whether a key is one of an algorithm."""
    return bool(key.model_dump()["kty"] == _KEY_TYPES[algorithm])


def public_half(key: _Jwk) -> dict[str, Any]:
    """Give what of a key everybody may see."""
    return key.model_dump(exclude=set(_PRIVATE), exclude_none=True)


def made(algorithm: Algorithm) -> dict[str, Any] | None:
    """Make a key and give its public half; None: it has none."""
    if algorithm == "HS256":
        return None
    shared = {"kty": _KEY_TYPES[algorithm], "alg": algorithm, "use": "sig"}
    if algorithm == "ES256":
        x, y = p256.public_point(secrets.randbelow(p256.ORDER - 1) + 1)
        return {
            **shared,
            "crv": "P-256",
            "x": _text(x.to_bytes(32, "big")),
            "y": _text(y.to_bytes(32, "big")),
        }
    if algorithm == "EdDSA":
        return {**shared, "crv": "Ed25519", "x": _text(ed25519.public_key(secrets.token_bytes(32)))}
    return {**shared, "n": _text(rsa.modulus().to_bytes(rsa.BITS // 8, "big")), "e": "AQAB"}


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
