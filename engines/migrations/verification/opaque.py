"""What text that nobody can follow may undo: bodies of functions and DO blocks, strings that somebody runs.

Pure. Words are enough: what such a text may undo is not expected, whether it does so or not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from engines.migrations.verification.groups import Group

# Every pattern takes time in proportion to the text, whatever it is: gaps are bounded and never taken back.
_GAP: Final = r"(?:\s++|--[^\n]{0,200}+\n|/\*[^*]{0,200}+\*/){1,8}+"
# With this goes on a gap that does not end within its bounds: it may hide any word.
_LONG: Final = r"--|/\*|\s"
_PAIRS: Final = (("set", "schema"), ("disable", "row"), ("no", "force"))
_PAIR: Final = "|".join(rf"{one}(?={_LONG})(?:{_GAP})?+(?:{other}\b|{_LONG})" for one, other in _PAIRS)
_VERB: Final = re.compile(
    rf"\b(drop|rename)(?={_LONG})(?:{_GAP}(?:materialized{_GAP})?)?+(\w+|\W)|\b({_PAIR})", re.IGNORECASE
)
_DROP: Final = re.compile(r"\bdrop\b", re.IGNORECASE)
_CASCADE: Final = re.compile(r"\bcascade\b", re.IGNORECASE)
_ATTACH: Final = re.compile(r"\battach\b|\binherits?\b", re.IGNORECASE)
_DYNAMIC: Final = re.compile(r"exec|\|\||\bformat\b|\bconcat|\bquery", re.IGNORECASE)
# Neither tables nor policies go with these (but with CASCADE).
_HARMLESS: Final = {
    *("index", "trigger", "function", "procedure", "routine", "aggregate", "view", "sequence", "event"),
    *("constraint", "column", "default", "not", "identity", "expression", "publication", "role", "value"),
    *("attribute", "user", "cast", "operator", "rule", "statistics"),
}


@dataclass(frozen=True)
class Judgement:
    """What a text may undo.

    Attributes:
        groups: of these.
        dynamic: whatever their names; otherwise only what the text names.
        attaches: it may make a table part of another.
    """

    groups: frozenset[Group]
    dynamic: bool
    attaches: bool


@lru_cache(maxsize=1024)
def judge(text: str) -> Judgement:
    """Say what a text may undo."""
    found: set[Group] = set()
    for verb in _VERB.finditer(text):
        found |= _groups(verb)
    dynamic = bool(found and _DYNAMIC.search(text))
    first = _DROP.search(text)
    if first and _CASCADE.search(text, first.end()):
        found |= {"policies"}
        dynamic = True
    return Judgement(frozenset(found), dynamic, bool(_ATTACH.search(text)))


def _groups(verb: re.Match[str]) -> set[Group]:
    """Say what one verb may undo."""
    if verb[3]:
        everything: set[Group] = {"tables", "policies", "row security"}
        return everything if verb[3].lower().startswith("set") else {"row security"}
    word = verb[2].lower()
    if word == "policy":
        return {"policies"}
    return set() if word in _HARMLESS else {"tables", "policies", "row security"}


def mentions(text: str, name: str) -> bool:
    """Say whether a name stands in a text, quoted or not."""
    if name.isidentifier():
        return name.lower() in _words(text)
    lowered = text.lower()
    return name.lower() in lowered or name.lower().replace('"', '""') in lowered


@lru_cache(maxsize=1024)
def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))
