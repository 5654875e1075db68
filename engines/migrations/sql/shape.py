"""How a file can be run: as one transaction, or in units of which each is done or not; and what cannot.

Pure: text in, decisions out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from pglast import parser

from engines.migrations.sql.kinds import Kind
from engines.migrations.sql.statements import Script, Source, Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

_BACKSLASH: Final = "ASCII_92"
_BACKSLASH_LINE: Final = re.compile(r"^[ \t]*\\\S.*$", re.MULTILINE)
_COPY_STDIN: Final = re.compile(r"^[ \t]*copy\b[^;]*\bfrom\s+stdin\b", re.MULTILINE | re.IGNORECASE)
_ESCAPES_ON: Final = re.compile(
    r"\bstandard_conforming_strings'?\s*(?:=|,|\bto\b)\s*'?(?:of|f|n|0)", re.IGNORECASE
)
_OWN_ESCAPES: Final = ("e", "E", "$")  # E'…' and $$…$$ mean the same under every setting
_UNLOCK_ALL: Final = "pg_advisory_unlock_all"
_CREATES: Final = re.compile(r"create\b", re.IGNORECASE)
_BLOCK_ONLY: Final = re.compile(r"(?:savepoint|release|lock)\b|rollback\b[^;]*?\bto\b", re.IGNORECASE)
_STRINGS: Final = {"SCONST", "USCONST"}
_WRAPPED: Final = 2  # statements of the smallest block: BEGIN and COMMIT
_ENDS: Final = {Kind.COMMIT, Kind.ROLLBACK}


class UnitKind(Enum):
    """What surrounds the statements of a unit."""

    TRANSACTION = "transaction"  # ours
    BLOCK = "block"  # the file's own BEGIN … COMMIT
    ALONE = "alone"  # none


@dataclass(frozen=True)
class Unit:
    """Statements that happen together; `first` and `end` are indexes into the script's statements."""

    kind: UnitKind
    first: int
    end: int


@dataclass(frozen=True)
class Atomic:
    """A file that runs as one transaction.

    Attributes:
        begin: the text that opens it (the file's own where it has options such as an isolation level).
        start: offset of the body in the file.
        end: offset after the body.
        first: index of the body's first statement.
    """

    begin: str
    start: int
    end: int
    first: int


Shape = Atomic | tuple[Unit, ...]


def shape(script: Script, *, transaction: bool = True) -> Shape:
    """Decide how a file runs.

    Args:
        script: the file's statements.
        transaction: False where the file's head says `no-transaction`.
    """
    real = [s for s in script.statements if s.kind is not Kind.COMMENT]
    special = {s.kind for s in script.marked} & {Kind.BEGIN, Kind.COMMIT, Kind.ROLLBACK, Kind.ALONE}
    if transaction and not special:
        return Atomic("BEGIN", 0, len(script.sql), 0)
    wrapped = transaction and _is_wrapped(real)
    if wrapped:
        first = script.statements.index(real[0])
        return Atomic(script.sql[real[0].start : real[0].end], real[0].end, real[-1].start, first + 1)
    return _units(script.statements, transaction=transaction)


def _is_wrapped(real: Sequence[Statement]) -> bool:
    """Say whether one BEGIN … COMMIT holds the whole file."""
    if len(real) < _WRAPPED or real[0].kind is not Kind.BEGIN or real[-1].kind is not Kind.COMMIT:
        return False
    return all(s.kind not in {Kind.BEGIN, Kind.ALONE, *_ENDS} for s in real[1:-1])


def _units(statements: Sequence[Statement], *, transaction: bool) -> tuple[Unit, ...]:
    """Group statements: the file's own blocks stay together, all others stand for themselves."""
    units: list[Unit] = []
    index = 0
    while index < len(statements):
        kind = statements[index].kind
        end = index + 1
        if kind is Kind.BEGIN:
            end = block_end(statements, index) or len(statements)
            units.append(Unit(UnitKind.BLOCK, index, end))
        elif kind is Kind.ALONE or (
            kind is Kind.PROCEDURE and (not transaction or _is_call(statements[index]))
        ):
            units.append(Unit(UnitKind.ALONE, index, end))
        elif kind is not Kind.COMMENT and kind not in _ENDS:  # a COMMIT outside of a block does nothing
            units.append(Unit(UnitKind.TRANSACTION, index, end))
        index = end
    return tuple(units)


def _is_call(statement: Statement) -> bool:
    return statement.tag == "CALL"


def block_end(statements: Sequence[Statement], begin: int) -> int | None:
    """Give the index after the COMMIT or ROLLBACK that ends a block; None: it is left open."""
    for index in range(begin + 1, len(statements)):
        if statements[index].kind in _ENDS:
            return index + 1
    return None


def problems(script: Script, *, transaction: bool = True) -> list[str]:
    """Say, with lines, what makes a file impossible to run or to run safely.

    Args:
        script: the file's statements.
        transaction: as for `shape`.
    """
    if script.source is not Source.PARSER:
        return _unparsed(script, transaction=transaction)
    found = [f"line {script.line(s.start)}: {s.tag}" for s in script.marked if s.kind is Kind.REFUSED]
    found += _block_problems(script) + _string_problems(script) + _lock_problems(script)
    return found or _outside_problems(script, shape(script, transaction=transaction))


def _unparsed(script: Script, *, transaction: bool) -> list[str]:
    """Name psql's own syntax; leave other errors to the server, unless half of the file were run by then."""
    if copy := _COPY_STDIN.search(script.sql):
        line = script.line(copy.start())
        return [f"line {line}: COPY … FROM stdin needs psql, which reads the data; write INSERT statements"]
    found = [
        f"line {script.line(offset)}: `{_line_at(script.sql, offset)}` is a psql command, not SQL; remove it"
        for offset in _backslashes(script)
    ]
    found = found or _string_problems(script)
    if not found and script.syntax_error and not isinstance(shape(script, transaction=transaction), Atomic):
        text, offset = script.syntax_error
        found.append(
            f"line {script.line(offset)}: {text}; as the file is not one transaction, none of it is run"
        )
    return found


def _line_at(sql: str, offset: int) -> str:
    """Give the rest of a line, shortened."""
    return sql[offset:].partition("\n")[0].strip()[:40]


def _backslashes(script: Script) -> list[int]:
    """Find backslash commands; at most three, as one is enough to refuse."""
    try:
        tokens = [token.start for token in parser.scan(script.sql) if token.name == _BACKSLASH]
    except parser.ParseError:
        tokens = [m.end() - len(m[0].lstrip()) for m in _BACKSLASH_LINE.finditer(script.sql)]
    return tokens[:3]


def _block_problems(script: Script) -> list[str]:
    """Find blocks left open, and statements inside of blocks that PostgreSQL refuses there."""
    found: list[str] = []
    opened: Statement | None = None
    for statement in script.marked:
        if statement.kind is Kind.BEGIN:
            opened = opened or statement
        elif statement.kind in _ENDS:
            opened = None
        elif statement.kind is Kind.ALONE and opened:
            where = (
                f"line {script.line(statement.start)}: {statement.tag} cannot run inside of the transaction"
            )
            found.append(f"{where} that line {script.line(opened.start)} begins; move it out")
    if opened:
        line = script.line(opened.start)
        found.append(f"line {line}: the transaction is never ended, so its work would be lost; add COMMIT")
    return found


def _outside_problems(script: Script, way: Shape) -> list[str]:
    """Find what needs a block and stands outside of one, where each statement commits by itself."""
    alone = [unit for unit in way if unit.kind is UnitKind.TRANSACTION] if isinstance(way, tuple) else []
    found = [script.statements[unit.first] for unit in alone]
    return [
        f"line {script.line(s.start)}: {script.sql[s.start : s.end].split()[0].upper()} has an effect only "
        "between BEGIN and COMMIT, as the file is not one transaction; write them around it"
        for s in found
        if _BLOCK_ONLY.match(script.sql, s.start, s.end)
    ]


def _string_problems(script: Script) -> list[str]:
    r"""Find strings that mean something else because the file turns standard_conforming_strings off."""
    if "standard_conforming_strings" not in script.sql.lower():
        return []  # much cheaper to see than the statement itself
    off = _ESCAPES_ON.search(script.sql)
    if off and _has_plain_backslash(script.sql, off.end()):
        line = script.line(off.start())
        return [f"line {line}: backslashes in strings change their meaning from here on; write E'…' strings"]
    return []


def _has_plain_backslash(sql: str, start: int) -> bool:
    """Say whether a string that is written without E has a backslash; up to there both readings agree."""
    if "\\" not in sql[start:]:
        return False
    try:
        tokens = [t for t in parser.scan(sql) if t.name in _STRINGS and t.start >= start]
    except parser.ParseError:
        return True
    texts = [sql[token.start : token.end + 1] for token in tokens]
    return any("\\" in text and not text.startswith(_OWN_ESCAPES) for text in texts)


def _lock_problems(script: Script) -> list[str]:
    """Find what ends the runner's own lock, in what the file runs (a function's body may say it)."""
    if _UNLOCK_ALL not in script.sql.lower():
        return []
    advice = "also ends the lock that keeps other runs out; unlock your own keys with pg_advisory_unlock()"
    return [
        f"line {script.line(s.start)}: {_UNLOCK_ALL}() {advice}"
        for s in script.statements
        if s.kind is not Kind.COMMENT and _unlocks_all(script.sql[s.start : s.end])
    ]


def _unlocks_all(statement: str) -> bool:
    """Say whether a statement names the function outside of comments."""
    if _CREATES.match(statement):
        return False
    tokens = [token for token in parser.scan(statement) if token.name not in {"SQL_COMMENT", "C_COMMENT"}]
    return any(_UNLOCK_ALL in statement[token.start : token.end + 1].lower() for token in tokens)
