"""What the head of a backfill file asks for: which table, by which key, in what steps. Pure text.

    -- groundwork: backfill table=accounts key=id batch=1000..20000 pause=10ms

The SQL parser is not needed here, so that a folder is read without it; the statement is in `template`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LOW: Final = 1_000
HIGH: Final = 50_000
# The line below which the verification query stands.
VERIFY: Final = "verify"

# An SQL name, quoted or not.
PART: Final = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_TABLE: Final = re.compile(rf"{PART}(?:\.{PART})?")
_KEY: Final = re.compile(PART)
_BATCH: Final = re.compile(r"(?:([0-9]{1,9})\.\.)?([0-9]{1,9})")
_PAUSE: Final = re.compile(r"([0-9]{1,9})(ms|s|min)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "min": 60.0}
_WORD: Final = re.compile(r'(\w+)=((?:"(?:[^"]|"")*"|[^\s"])+)(?:\s+|$)')
_HOW: Final = "backfill table=TABLE key=COLUMN [batch=MOST | batch=LEAST..MOST] [pause=TIME]"


@dataclass(frozen=True)
class Backfill:
    """How to walk through a table.

    Attributes:
        table: as written, with or without schema.
        key: as written; the rows are walked in its order.
        low: fewest rows of a batch that the pace aims at.
        high: most rows of a batch.
        pause_s: between two batches, in seconds.
    """

    table: str
    key: str
    low: int = LOW
    high: int = HIGH
    pause_s: float = 0.0

    @property
    def column(self) -> str:
        """Give the key as the catalog has it."""
        return unquoted(self.key)


@dataclass(frozen=True)
class Unfinished:
    """A backfill that has begun and not ended.

    Attributes:
        version: of its file.
        percent: how much of the table is behind it, 0 to 100.
        statement: hash of the statement that the batches so far have run.
    """

    version: str
    percent: float
    statement: str


def unquoted(name: str) -> str:
    """Give an SQL identifier as the catalog has it: folded to lower case, or without its quotes."""
    if name.startswith('"'):
        return name[1:-1].replace('""', '"')
    return name.lower()


def name_parts(table: str) -> list[str]:
    """Give schema, if there is one, and name of a table as the catalog has them."""
    return [unquoted(part) for part in re.findall(PART, table)]


def read_backfill(words: str) -> Backfill:
    """Read what follows `backfill` in the directive.

    Raises:
        ValueError: something is missing, unknown or impossible; the text says what.
    """
    given: dict[str, str] = {}
    rest = words.strip()
    while rest:
        found = _WORD.match(rest)
        if not found:
            raise ValueError(f"`{rest}` is not understood; write `{_HOW}`")
        if found[1] in given:
            raise ValueError(f"`{found[1]}` stands twice; write `{_HOW}`")
        given[found[1]], rest = found[2], rest[found.end() :]
    return _checked(given)


def _checked(given: dict[str, str]) -> Backfill:
    """Turn words into values."""
    unknown = sorted(given.keys() - {"table", "key", "batch", "pause"})
    if unknown:
        raise ValueError(f"`{unknown[0]}` is not known; write `{_HOW}`")
    table, key = given.get("table", ""), given.get("key", "")
    if not _TABLE.fullmatch(table):
        raise ValueError(_wanted("table", table, "an SQL name such as accounts or public.accounts"))
    if not _KEY.fullmatch(key):
        raise ValueError(_wanted("key", key, "the name of one column, such as id"))
    low, high = _batch(given["batch"]) if "batch" in given else (LOW, HIGH)
    return Backfill(table, key, low, high, _pause(given["pause"]) if "pause" in given else 0.0)


def _wanted(name: str, value: str, what: str) -> str:
    said = f"`{name}={value}` is not" if value else f"`{name}=` is missing: it is"
    return f"{said} {what}; write `{_HOW}`"


def _batch(text: str) -> tuple[int, int]:
    found = _BATCH.fullmatch(text)
    high = int(found[2]) if found else 0
    low = int(found[1]) if found and found[1] else min(LOW, high)
    if not 1 <= low <= high:
        raise ValueError(_wanted("batch", text, "a number of rows such as 10000 or 1000..20000"))
    return low, high


def _pause(text: str) -> float:
    found = _PAUSE.fullmatch(text)
    if not found:
        raise ValueError(_wanted("pause", text, "a time such as 50ms or 1s"))
    return int(found[1]) * _SECONDS[found[2]]
