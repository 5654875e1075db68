"""What differs between two versions of a resource's properties, path by path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pulumi.provider.experimental.provider import PropertyDiff, PropertyDiffKind

if TYPE_CHECKING:
    from collections.abc import Iterator

_MISSING = object()


def changed_paths(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Give the path and the kind (`ADD`, `DELETE`, `UPDATE`) of every difference."""
    pairs = _parts(old, new, path)
    if pairs is not None:
        for step, before, after in pairs:
            yield from changed_paths(before, after, step)
    elif old == new:
        return
    elif old is _MISSING:
        yield path, "ADD"
    else:
        yield path, "DELETE" if new is _MISSING else "UPDATE"


def _parts(old: Any, new: Any, path: str) -> list[tuple[str, Any, Any]] | None:
    """Pair the parts of two objects or two lists; None when they are no such pair."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted({*old, *new})
        return [(_step(path, name), old.get(name, _MISSING), new.get(name, _MISSING)) for name in names]
    if isinstance(old, list) and isinstance(new, list):
        longest = range(max(len(old), len(new)))
        return [(f"{path}[{index}]", _at(old, index), _at(new, index)) for index in longest]
    return None


def detailed(old: dict[str, Any], new: dict[str, Any], replacing: frozenset[str]) -> dict[str, PropertyDiff]:
    """Describe the differences for the engine; a change below a name in `replacing` replaces the resource."""
    found = {}
    for path, kind in changed_paths(old, new):
        suffix = "_REPLACE" if top(path) in replacing else ""
        found[path] = PropertyDiff(PropertyDiffKind[f"{kind}{suffix}"], input_diff=True)
    return found


def top(path: str) -> str:
    """Give the property that a path starts with."""
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def _step(path: str, name: str) -> str:
    if not re.fullmatch(r"\w+", name):
        return f'{path}["{name}"]'
    return f"{path}.{name}" if path else name


def _at(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else _MISSING
