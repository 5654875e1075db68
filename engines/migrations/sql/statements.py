"""The statements of a file, found by PostgreSQL's own parser.

The pieces are those that the Supabase CLI stores: the text between two semicolons, comments kept, outer
blanks removed, empty pieces dropped; a comment without a statement is a piece of its own.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pglast import parser

from engines.migrations.sql.kinds import NEVER_SPECIAL, Kind, classify, may_be_special

if TYPE_CHECKING:
    from collections.abc import Sequence

_SEMICOLON: Final = "ASCII_59"
_COMMENTS: Final = {"SQL_COMMENT", "C_COMMENT"}
_DEPTH: Final = {"ASCII_40": 1, "ASCII_41": -1}  # parentheses


class Source(Enum):
    """How the pieces were found."""

    PARSER = "parser"
    SCANNER = "scanner"
    NONE = "none"


class Statement(NamedTuple):
    """One piece of a file; a tuple, as long files have a hundred thousand.

    Attributes:
        text: as the history stores it, with the comments before it.
        start: offset of the statement itself in the file, in characters.
        end: offset after it, semicolon not included.
        kind: what the runner must know about it.
        tag: a short name of what it does, where the kind needs one (`CREATE INDEX CONCURRENTLY`).
        target: the object it is about, where a retry must look at it.
    """

    text: str
    start: int
    end: int
    kind: Kind
    tag: str = ""
    target: tuple[str, ...] = ()


@dataclass(frozen=True)
class Script:
    """A file's text and its statements.

    Attributes:
        sql: the text.
        statements: in order, comments without a statement included.
        source: what found them.
        syntax_error: what the parser said, with the offset; None: it parsed.
    """

    sql: str
    statements: tuple[Statement, ...]
    source: Source
    syntax_error: tuple[str, int] | None = None

    @cached_property
    def marked(self) -> tuple[Statement, ...]:
        """Give the statements that are special to the runner: in most files none."""
        return tuple(s for s in self.statements if s.kind is not Kind.PLAIN and s.kind is not Kind.COMMENT)

    @property
    def pieces(self) -> list[str]:
        """Give the texts that the history stores."""
        return [statement.text for statement in self.statements]

    def line(self, offset: int) -> int:
        """Give the line of an offset, from 1."""
        return self.sql.count("\n", 0, max(offset, 0)) + 1


@lru_cache(maxsize=4096)
def read_script(sql: str) -> Script:
    """Split a text into statements and classify them; never raises for wrong SQL."""
    try:
        return Script(sql, _cut(sql, parser.split(sql, only_slices=True)), Source.PARSER)
    except parser.ParseError as error:
        problem = syntax_error(error, sql)
    try:
        return Script(sql, _cut(sql, _scan(sql)), Source.SCANNER, problem)
    except parser.ParseError:
        whole = (Statement(sql.strip(), 0, len(sql), Kind.PLAIN),) if sql.strip() else ()
        return Script(sql, whole, Source.NONE, problem)


def _scan(sql: str) -> list[slice]:
    """Find the extents of statements by tokens alone: they end at a semicolon outside of parentheses."""
    extents: list[slice] = []
    start, end, depth = -1, 0, 0
    for token in parser.scan(sql):
        if token.name in _COMMENTS:
            continue
        if token.name == _SEMICOLON and depth <= 0:
            extents += [slice(start, end)] if start >= 0 else []
            start = -1
            continue
        depth += _DEPTH.get(token.name, 0)
        start, end = (token.start if start < 0 else start), token.end + 1
    return [*extents, slice(start, end)] if start >= 0 else extents


@lru_cache(maxsize=64)
def prefix_hashes(sql: str) -> tuple[str, ...]:
    """Give a hash (SHA-256, hex) over the first n statements of a text, for each n from 0; borders count."""
    digest = hashlib.sha256()
    found = [digest.hexdigest()]
    for piece in read_script(sql).pieces:
        raw = piece.replace("\r\n", "\n").encode()
        digest.update(b"%d:" % len(raw) + raw)
        found.append(digest.hexdigest())
    return tuple(found)


def syntax_error(error: parser.ParseError, sql: str) -> tuple[str, int]:
    """Give the text and the offset of a parser's error; at the end of the text, it names none."""
    offset = error.args[1] if len(error.args) > 1 else None
    return str(error.args[0]), len(sql.rstrip()) if offset is None else int(offset)


def _cut(sql: str, extents: Sequence[slice]) -> tuple[Statement, ...]:
    """Cut a text at the semicolons outside of the statements' extents."""
    found: list[Statement] = []
    begin, cursor = 0, 0  # where the piece, and where the gap after its statement begins
    inside: slice | None = None
    for extent in extents:
        for semicolon in _semicolons(sql, cursor, extent.start):
            _add(found, sql[begin:semicolon], begin, inside, sql)
            begin, inside = semicolon + 1, None
        inside, cursor = extent, extent.stop
    for semicolon in [*_semicolons(sql, cursor, len(sql)), len(sql)]:
        _add(found, sql[begin:semicolon], begin, inside, sql)
        begin, inside = semicolon + 1, None
    return tuple(found)


def _semicolons(sql: str, start: int, stop: int) -> Sequence[int]:
    """Find the semicolons of a text that holds only blanks, comments and semicolons."""
    gap = sql[start:stop]
    if "-" in gap or "/" in gap:
        return [start + token.start for token in parser.scan(gap) if token.name == _SEMICOLON]
    first = gap.find(";")
    if first == gap.rfind(";"):
        return (start + first,) if first >= 0 else ()
    return [start + found.start() for found in re.finditer(";", gap)]


def _add(found: list[Statement], piece: str, begin: int, extent: slice | None, sql: str) -> None:
    """Append a piece unless it is empty; `extent` is the statement inside of it, None for a comment alone."""
    text = piece.strip()
    if not text:
        return
    if extent is None:
        found.append(Statement(text, begin, begin + len(piece), Kind.COMMENT))
    elif sql[extent.start] in NEVER_SPECIAL:
        found.append(Statement(text, extent.start, extent.stop, Kind.PLAIN))
    else:
        core = sql[extent]
        kind, tag, target = classify(core) if may_be_special(core) else (Kind.PLAIN, "", ())
        found.append(Statement(text, extent.start, extent.stop, kind, tag, target))
