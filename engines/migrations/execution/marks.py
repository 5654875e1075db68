"""Marks between the statements of a transaction: the server's clock, so that the time of each is known.

A mark is a SELECT, and so takes a snapshot: none stands before a LOCK TABLE or a SET TRANSACTION, which may
be meant to come before it (PostgreSQL manual, "LOCK").
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from engines.migrations.sessions.wire import MARK_COLUMN
from engines.migrations.sql.kinds import Kind
from engines.migrations.sql.statements import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.migrations.sql.statements import Script

_ASK: Final = f"select pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) as {MARK_COLUMN}"
_WIDTH: Final = len(_ASK) + 1  # with a semicolon before or after it
_FIRST: Final = re.compile(
    r"lock\b|set\s+(?:(?:local|session)\s+)?(?:transaction|characteristics)", re.IGNORECASE
)
# More marks than that tell nobody anything: a longer file is measured in groups of statements.
_MOST: Final = 1000


@dataclass(frozen=True)
class Body:
    """A part of a file with marks in it.

    Attributes:
        text: what is sent.
        start: offset of the part in the file.
        steps: for each statement of the text, its index in the script; None: it is a mark.
        marks: offsets of the marks in the text, in order.
        groups: for each time between two marks, the index of the statement that it begins with.
    """

    text: str
    start: int
    steps: tuple[int | None, ...]
    marks: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()

    def origin(self, position: int) -> int | None:
        """Give the offset in the file of a position in the text; None: it is in a mark, or outside."""
        before = bisect_right(self.marks, position)
        in_mark = before and position < self.marks[before - 1] + _WIDTH
        if in_mark or not 0 <= position < len(self.text):
            return None
        return self.start + position - before * _WIDTH

    def statement(self, step: int) -> int | None:
        """Give the index of the statement that a step of the text is; a mark counts to the one before it."""
        return next((index for index in reversed(self.steps[: max(step, 0) + 1]) if index is not None), None)

    def times(self, clock: Sequence[float]) -> list[tuple[int, float]]:
        """Give milliseconds by index of the statement, from the clock at each mark, in seconds."""
        if len(clock) != len(self.marks):
            return []
        spans = zip(self.groups, pairwise(clock), strict=True)
        return [(index, max(end - begin, 0.0) * 1000) for index, (begin, end) in spans]


def plain_body(script: Script, start: int, end: int, first: int) -> Body:
    """Give a part of a file without marks."""
    return Body(script.sql[start:end], start, tuple(_inside(script, first, end)))


def marked_body(script: Script, start: int, end: int, first: int) -> Body:
    """Put marks into a part of a file: before it, and after its statements.

    Args:
        script: the file's statements.
        start: offset of the part.
        end: offset after it.
        first: index of its first statement.
    """
    inside = _inside(script, first, end)
    if script.source is not Source.PARSER or not inside:
        return plain_body(script, start, end, first)
    late = max((n for n, index in enumerate(inside) if _must_be_first(script, index)), default=-1)
    chosen = _chosen(len(inside), late)
    cuts = [script.statements[inside[n]].end for n in chosen]
    pieces = [script.sql[a:b] for a, b in pairwise([start, *cuts, end])]
    lead = late < 0
    # What stands before the first mark has no time.
    text = (f"{_ASK};" if lead else "") + f";{_ASK}".join(pieces)
    marks = [0] * lead + [cut - start + (n + lead) * _WIDTH for n, cut in enumerate(cuts)]
    ends = set(chosen)
    steps: list[int | None] = [None] * lead
    for n, index in enumerate(inside):
        steps += [index, None] if n in ends else [index]
    groups = [inside[n] for n in [0] * lead + [n + 1 for n in chosen[:-1]]]
    return Body(text, start, tuple(steps), tuple(marks), tuple(groups))


def _chosen(count: int, late: int) -> list[int]:
    """Choose the statements after which a mark stands."""
    every = -(-count // _MOST)
    return [n for n in range(max(late, 0), count) if (n + 1) % every == 0 or n == count - 1]


def _inside(script: Script, first: int, end: int) -> list[int]:
    """List the statements from one on that begin before an offset."""
    statements = script.statements
    found = []
    for index in range(first, len(statements)):
        if statements[index].start >= end:
            break
        if statements[index].kind is not Kind.COMMENT:
            found.append(index)
    return found


def _must_be_first(script: Script, index: int) -> bool:
    start = script.statements[index].start
    return script.sql[start] in "lLsS" and bool(_FIRST.match(script.sql, start))
