"""The public half of a key on the curve P-256 (SEC 2): enough to show one, not meant to keep a secret."""

from __future__ import annotations

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_A = _P - 3
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_BASE = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
Point = tuple[int, int]


def public_point(number: int) -> Point:
    """Multiply the curve's base point by a private number from 1 to ORDER - 1."""
    found: Point | None = None
    step: Point | None = _BASE
    while number:
        if number & 1:
            found = _add(found, step)
        step = _add(step, step)
        number >>= 1
    if found is None:
        raise ValueError("the number is a multiple of the order")
    return found


def _add(one: Point | None, other: Point | None) -> Point | None:
    """Add two points; None is the point at infinity."""
    if one is None or other is None:
        return other if one is None else one
    if one[0] == other[0] and (one[1] + other[1]) % _P == 0:
        return None
    if one == other:
        slope = (3 * one[0] ** 2 + _A) * pow(2 * one[1], -1, _P)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, _P)
    x = (slope**2 - one[0] - other[0]) % _P
    return x, (slope * (one[0] - x) - one[1]) % _P
