"""Whether a setting is on the platform what a stack wants, however either of them spells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNSET = (None, "")


def equal(wanted: Any, live: Any) -> bool:
    """Tell whether a live value is the wanted one.

    Numbers are compared by value, an unset text is an empty one, lists in a text (`a, b`) do not depend on
    blanks, lists of networks and the like not on their order, and of a group only the wanted members count.
    In prose, such as the text of a mail, blanks count.
    """
    if isinstance(wanted, dict):
        shown = live if isinstance(live, dict) else {}
        return all(equal(value, shown.get(name)) for name, value in wanted.items())
    if isinstance(wanted, list | tuple) and isinstance(live, list | tuple):
        return sorted(map(str, wanted)) == sorted(map(str, live))
    if isinstance(wanted, str) and isinstance(live, str):
        return _parts(wanted) == _parts(live)
    return bool(wanted == live or (wanted in _UNSET and live in _UNSET))


def differing(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """Give the wanted fields that are something else on the platform, or not there at all."""
    return {name: value for name, value in wanted.items() if name not in live or not equal(value, live[name])}


def _parts(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    is_prose = any(len(part.split()) > 1 for part in parts)
    return [text.strip()] if is_prose else parts
