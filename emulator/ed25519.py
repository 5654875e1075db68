"""The public half of an Ed25519 key (RFC 8032): enough to show one, not meant to keep a secret."""

from __future__ import annotations

import hashlib

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_Y = 4 * pow(5, -1, _P) % _P
_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
Point = tuple[int, int]


def public_key(seed: bytes) -> bytes:
    """Give the 32 bytes of the public key that belongs to a private one of 32 bytes."""
    digest = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    x, y = _multiply(digest & ((1 << 254) - 8) | (1 << 254))
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _multiply(number: int) -> Point:
    """Multiply the curve's base point."""
    found, step = (0, 1), (_X, _Y)
    while number:
        if number & 1:
            found = _add(found, step)
        step = _add(step, step)
        number >>= 1
    return found


def _add(one: Point, other: Point) -> Point:
    product = _D * one[0] * other[0] * one[1] * other[1] % _P
    x = (one[0] * other[1] + one[1] * other[0]) * pow(1 + product, -1, _P)
    y = (one[1] * other[1] + one[0] * other[0]) * pow(1 - product, -1, _P)
    return x % _P, y % _P
