"""Property values of the Pulumi protocol as plain Python, and back with their marks of secrecy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi.provider.experimental.property_value import PropertyValue

Properties = dict[str, PropertyValue]


def plain(value: PropertyValue) -> Any:
    """Give what a value holds, without marks; whole numbers as `int`, absent parts left out."""
    held = value.value
    if isinstance(held, Mapping):
        return {name: plain(one) for name, one in held.items() if one.value is not None}
    if isinstance(held, (list, tuple)):
        return [plain(one) for one in held]
    if isinstance(held, float) and held.is_integer():
        return int(held)
    return held


def plain_map(values: Mapping[str, PropertyValue]) -> dict[str, Any]:
    """Give a resource's properties without marks; absent ones are left out."""
    return {name: plain(value) for name, value in values.items() if value.value is not None}


def wrap(new: Any, old: PropertyValue | None = None) -> PropertyValue:
    """Give a plain value the marks that its predecessor has; where nothing changed, it is the predecessor.

    What is secret stays secret also when it changes, part by part.
    """
    if old is not None and plain(old) == new:
        return old
    secret = old is not None and old.is_secret
    inner = old.value if old is not None else None
    if isinstance(new, Mapping):
        before = inner if isinstance(inner, Mapping) else {}
        return PropertyValue({name: wrap(one, before.get(name)) for name, one in new.items()}, secret)
    if isinstance(new, list):
        # An element that moved may be any of the old ones: one secret among them marks all.
        hidden = secret or (old is not None and old.contains_secret())
        return PropertyValue([wrap(one) for one in new], hidden)
    number = isinstance(new, int) and not isinstance(new, bool)
    return PropertyValue(float(new) if number else new, secret)
