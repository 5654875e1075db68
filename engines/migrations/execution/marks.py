"""Marks between the statements of a transaction: the server's clock, so that the time of each is known.

There, too, a temporary login that a file made itself again (RESET ROLE) takes the role that it works as.

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

    from engines.acting import Acting
    from engines.migrations.sql.statements import Script, Statement

_ASK: Final = f"select pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) as {MARK_COLUMN}"
_FIRST: Final = re.compile(
    r"lock\b|set\s+(?:(?:local|session)\s+)?(?:transaction|characteristics)", re.IGNORECASE
)
# Statements after which the session is the login itself: RESET, DEFAULT, and NONE for a role.
_TO_LOGIN: Final = {"role": ((), ("none",)), "session_authorization": ((),)}
# More marks than that tell nobody anything: a longer file is measured in groups of statements.
_MOST: Final = 1000


@dataclass(frozen=True)
class Body:
    """A part of a file with marks in it.

    Attributes:
        text: what is sent.
        start: offset of the part in the file.
        steps: for each statement of the text, its index in the script; None: it is a mark.
        marks: where what is not the file's own begins in the text and ends, in order.
        groups: for each time between two marks, the index of the statement that it begins with.
    """

    text: str
    start: int
    steps: tuple[int | None, ...]
    marks: tuple[tuple[int, int], ...] = ()
    groups: tuple[int, ...] = ()

    def origin(self, position: int) -> int | None:
        """Give the offset in the file of a position in the text; None: it is in a mark, or outside."""
        before = bisect_right(self.marks, position, key=lambda mark: mark[0])
        in_mark = before and position < self.marks[before - 1][1]
        if in_mark or not 0 <= position < len(self.text):
            return None
        return self.start + position - sum(end - begin for begin, end in self.marks[:before])

    def statement(self, step: int) -> int | None:
        """Give the index of the statement that a step of the text is; a mark counts to the one before it."""
        return next((index for index in reversed(self.steps[: max(step, 0) + 1]) if index is not None), None)

    def times(self, clock: Sequence[float]) -> list[tuple[int, float]]:
        """Give milliseconds by index of the statement, from the clock at each mark, in seconds."""
        if len(clock) != len(self.groups) + 1:
            return []
        spans = zip(self.groups, pairwise(clock), strict=True)
        return [(index, max(end - begin, 0.0) * 1000) for index, (begin, end) in spans]


def plain_body(script: Script, start: int, end: int, first: int) -> Body:
    """Give a part of a file without marks."""
    return Body(script.sql[start:end], start, tuple(_inside(script, first, end)))


def way_back(statement: Statement, acting: Acting | None) -> str | None:
    """Give what must follow a statement that makes a temporary login itself again; None: nothing."""
    if acting is None or statement.target not in _TO_LOGIN.get(statement.tag, ()):
        return None
    return acting.take if statement.kind is Kind.SETTING else acting.take_for_now


def marked_body(script: Script, start: int, end: int, first: int, *, acting: Acting | None = None) -> Body:
    """Put marks into a part of a file: before it, and after its statements.

    Args:
        script: the file's statements.
        start: offset of the part.
        end: offset after it.
        first: index of its first statement.
        acting: what a temporary login works as; None: as itself.
    """
    inside = _inside(script, first, end)
    if script.source is not Source.PARSER or not inside:
        return plain_body(script, start, end, first)
    late = max((n for n, index in enumerate(inside) if _must_be_first(script, index)), default=-1)
    chosen = _chosen(len(inside), late)
    ends = set(chosen)
    draft = _Draft(script.sql, start)
    if late < 0:
        draft.add(f"{_ASK};")
    for n, index in enumerate(inside):
        statement = script.statements[index]
        draft.steps.append(index)
        back = way_back(statement, acting)
        for text in (back, _ASK if n in ends else None):
            if text:
                draft.copy(statement.end)
                draft.add(f";{text}")
    draft.copy(end)
    # What stands before the first mark has no time.
    groups = [inside[n] for n in [0] * (late < 0) + [n + 1 for n in chosen[:-1]]]
    return Body(draft.text, start, tuple(draft.steps), tuple(draft.marks), tuple(groups))


class _Draft:
    """A body that is being written."""

    def __init__(self, sql: str, start: int) -> None:
        self._sql = sql
        self._at = start
        self._pieces: list[str] = []
        self._length = 0
        self.steps: list[int | None] = []
        self.marks: list[tuple[int, int]] = []

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def copy(self, end: int) -> None:
        """Take over the file's own text up to an offset."""
        self._put(self._sql[self._at : end])
        self._at = end

    def add(self, text: str) -> None:
        """Put a statement of ours, with its semicolon."""
        begin = self._length
        self._put(text)
        self.marks.append((begin, self._length))
        self.steps.append(None)

    def _put(self, piece: str) -> None:
        self._pieces.append(piece)
        self._length += len(piece)


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
