"""Which shape a property may have, and what is wrong with one that has another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pulumi.runtime import rpc

if TYPE_CHECKING:
    from collections.abc import Iterator

# Stands in a preview for what is known only after an update; every shape has room for it.
UNKNOWN: str = rpc.UNKNOWN


@dataclass(frozen=True)
class One:
    """A single value of a Python type: `str`, `int` or `bool`."""

    type: type


@dataclass(frozen=True)
class Many:
    """A list of equal shapes."""

    of: Shape


@dataclass(frozen=True)
class Texts:
    """Texts by name, with names of the caller's choice."""


@dataclass(frozen=True)
class Record:
    """Named properties; others than these are refused.

    Attributes:
        fields: name → shape.
        required: what must be there.
    """

    fields: Mapping[str, Shape]
    required: frozenset[str] = field(default_factory=frozenset)


Shape = One | Many | Texts | Record


def record(*required: str, **fields: Shape) -> Record:
    """Write a record down; `required` names some of its fields."""
    return Record(fields, frozenset(required))


def problems(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """Say what is wrong with a value, one text a problem; values themselves are never shown."""
    if value == UNKNOWN:
        return
    if isinstance(shape, One):
        # bool is an int in Python, not here.
        if not isinstance(value, shape.type) or isinstance(value, bool) is not (shape.type is bool):
            yield f"{path}: must be of type {shape.type.__name__}"
    elif isinstance(shape, Many):
        yield from _in_list(shape, value, path)
    else:
        yield from _in_mapping(shape, value, path)


def _in_list(shape: Many, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        yield f"{path}: must be a list"
        return
    for index, one in enumerate(value):
        yield from problems(shape.of, one, f"{path}[{index}]")


def _in_mapping(shape: Texts | Record, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{path}: must be an object"
        return
    prefix = f"{path}." if path else ""
    fields = dict.fromkeys(value, One(str)) if isinstance(shape, Texts) else shape.fields
    for name, one in value.items():
        if name in fields:
            yield from problems(fields[name], one, f"{prefix}{name}")
        else:
            yield f"{prefix}{name}: the stand-in for the Docker plugin does not know this property"
    if isinstance(shape, Record):
        yield from (f"{prefix}{name}: is missing" for name in sorted(shape.required - set(value)))
