"""Writes plain values as YAML that readers of 1.1 and of 1.2 understand alike; comments stand above keys."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Path = tuple[str, ...]

# Texts that are the same with and without quotes, unless they are a word that means something else.
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*", re.ASCII)
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_STEP: Final = "  "


def to_yaml(values: Mapping[str, Any], comments: Mapping[Path, Sequence[str]]) -> str:
    """Write a map of maps, lists and scalars.

    Args:
        values: in the order in which they are to stand.
        comments: lines to write above a key, by its path.
    """
    return "".join(f"{line}\n" for line in _map(values, (), comments))


def commented(lines: Sequence[str], indent: str = "") -> str:
    """Write lines as a comment."""
    return "".join(f"{indent}# {line}".rstrip() + "\n" for line in lines)


def shown(line: str) -> str:
    """Give a line in which no name from elsewhere can end the line, or do anything to a terminal."""
    return "".join(map(_seen, line))


def _map(values: Mapping[str, Any], path: Path, comments: Mapping[Path, Sequence[str]]) -> Iterator[str]:
    indent = _STEP * len(path)
    for name, value in values.items():
        here = (*path, name)
        yield from commented(comments.get(here, ()), indent).splitlines()
        key = f"{indent}{_scalar(name)}:"
        if isinstance(value, dict) and value:
            yield key
            yield from _map(value, here, comments)
        elif isinstance(value, list) and value and not any(isinstance(one, dict | list) for one in value):
            yield key
            yield from (f"{indent}{_STEP}- {_scalar(one)}" for one in value)
        elif isinstance(value, str) and _is_block(value):
            yield f"{key} {'|' if value.endswith(chr(10)) else '|-'}"
            yield from (f"{indent}{_STEP}{line}" if line else "" for line in value.splitlines())
        else:
            yield f"{key} {_flow(value)}"


def _is_block(text: str) -> bool:
    """Tell whether a text of several lines reads well as lines, and comes back as it is."""
    lines = text.removesuffix("\n").split("\n")
    is_plain = all(line.isprintable() and (not line or line.strip()) for line in lines)
    return len(lines) > 1 and is_plain and bool(lines[-1]) and bool(lines[0]) and not lines[0][0].isspace()


def _flow(value: Any) -> str:
    """Write a value in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(str(name))}: {_flow(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_quoted(one) if isinstance(one, str) else _flow(one) for one in value) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else _quoted(value)
    text = json.dumps(value)
    # YAML 1.1 takes 1e+16 for a text.
    return text.replace("e", ".0e") if isinstance(value, float) and "e" in text and "." not in text else text


def _quoted(text: str) -> str:
    """Write a text in double quotes, as JSON does, and what is not seen by its number."""
    return "".join(map(_seen, json.dumps(text, ensure_ascii=False)))


def _seen(letter: str) -> str:
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"
