"""The statement of a backfill: found by PostgreSQL's parser, and filled with one range of keys after another.

Pure: text in, text or problems out.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pglast import ast, parse_sql, parser
from pglast.visitors import Visitor
from psycopg import sql

from engines.migrations.files.backfill import VERIFY, Backfill, name_parts
from engines.migrations.sql.kinds import Kind
from engines.migrations.sql.statements import read_script, syntax_error

if TYPE_CHECKING:
    from engines.migrations.files.file import MigrationFile
    from engines.migrations.sql.statements import Script, Statement

PLACEHOLDER: Final = "{batch}"
# As long as the placeholder, so that offsets stay what they are.
_STANDS_FOR: Final = "(true )"
_MARKER: Final = re.compile(rf"^[ \t]*--[ \t]*groundwork:[ \t]*{VERIFY}[ \t]*\r?$", re.MULTILINE)
_WRITES: Final = (ast.UpdateStmt, ast.DeleteStmt, ast.InsertStmt, ast.MergeStmt, ast.SelectStmt)


@dataclass(frozen=True)
class Template:
    """A statement with places for the range of a batch.

    Attributes:
        statement: the text, placeholders included.
        holes: offsets of the placeholders in it.
        column: the key as the statement must name it, such as `a.id`.
        index: which statement of the file it is, comments counted.
        verification: the query whose rows are violations; None: there is none.
    """

    statement: str
    holes: tuple[int, ...]
    column: str
    index: int
    verification: str | None

    def fill(self, condition: str) -> str:
        """Give the statement for one batch."""
        pieces, cursor = [], 0
        for hole in self.holes:
            pieces += [self.statement[cursor:hole], condition]
            cursor = hole + len(PLACEHOLDER)
        return "".join([*pieces, self.statement[cursor:]])

    def origin(self, offset: int, width: int) -> int:
        """Give the offset in the file's statement of an offset in the filled one.

        Args:
            offset: in what `fill` gave.
            width: length of the condition in it.
        """
        shift = 0
        for hole in self.holes:
            if offset < hole + shift:
                break
            if offset < hole + shift + width:
                return hole
            shift += width - len(PLACEHOLDER)
        return offset - shift

    @property
    def digest(self) -> str:
        """Hash what a resumed run must find unchanged: the statement and its key."""
        text = self.statement.replace("\r\n", "\n")
        return hashlib.sha256(f"{self.column}\0{text}".encode()).hexdigest()


def backfill_problems(file: MigrationFile, backfill: Backfill) -> list[str]:
    """Say, with lines, what makes a file impossible to run as a backfill."""
    found = _read(file.sql, backfill)
    return found if isinstance(found, list) else []


def read_template(file: MigrationFile, backfill: Backfill) -> Template:
    """Read the statement of a file that has no problems.

    Raises:
        ValueError: it has; `backfill_problems` was not asked.
    """
    found = _read(file.sql, backfill)
    if isinstance(found, list):
        raise ValueError("; ".join(found))  # noqa: TRY004  # it is the file's value that is wrong
    return found


@lru_cache(maxsize=256)
def _read(text: str, backfill: Backfill) -> Template | list[str]:
    try:
        holes = _holes(text)
    except parser.ParseError as error:
        problem, offset = syntax_error(error, text)
        return [f"line {text.count(chr(10), 0, offset) + 1}: {problem}"]
    script = read_script(_without(text, holes))
    if script.syntax_error:
        problem, offset = script.syntax_error
        return [f"line {script.line(offset)}: {problem}"]
    marker = _MARKER.search(text)
    border = marker.start() if marker else len(text)
    real = [s for s in script.statements if s.kind is not Kind.COMMENT]
    before, after = [s for s in real if s.start < border], [s for s in real if s.start >= border]
    problems = [
        *_statement_problems(script, before, holes, backfill),
        *(_verification_problems(script, after, holes) if marker else []),
    ]
    return problems or _template(text, script, (before[0], after[0] if after else None), backfill)


def _holes(text: str) -> list[int]:
    """Find the placeholders outside of comments and strings."""
    tokens = list(parser.scan(text))
    return [
        token.start
        for token, after in zip(tokens, tokens[2:], strict=False)
        if text.startswith(PLACEHOLDER, token.start) and token.end == token.start == after.start - 6
    ]


def _without(text: str, holes: list[int]) -> str:
    """Give a text of the same length that the parser takes."""
    for hole in holes:
        text = text[:hole] + _STANDS_FOR + text[hole + len(PLACEHOLDER) :]
    return text


def _statement_problems(
    script: Script, found: list[Statement], holes: list[int], backfill: Backfill
) -> list[str]:
    if not found:
        return [f"holds no statement; a backfill is one statement with {PLACEHOLDER}"]
    first = found[0]
    problems = [
        f"line {script.line(second.start)}: a backfill is one statement, and this is another; give it a file "
        f"of its own or, if it verifies the result, set the line `-- groundwork: {VERIFY}` above it"
        for second in found[1:2]
    ]
    if not any(first.start <= hole < first.end for hole in holes):
        problems.append(
            f"line {script.line(first.start)}: the statement has no {PLACEHOLDER}, so each batch would do "
            f"all rows; write WHERE … AND {PLACEHOLDER}"
        )
    node = _node(script, first)
    line = script.line(first.start)
    return problems + [f"line {line}: {problem}" for problem in _node_problems(node, backfill)]


def _node(script: Script, statement: Statement) -> Any:
    return parse_sql(script.sql[statement.start : statement.end])[0].stmt


def _node_problems(node: Any, backfill: Backfill) -> list[str]:
    """Say what a statement may not be or do."""
    if not isinstance(node, _WRITES):
        return ["a backfill's statement is an UPDATE, DELETE, INSERT, MERGE or SELECT"]
    if _reference(node, backfill) is None:
        return [f"the statement does not use the table {backfill.table} that the directive names"]
    if isinstance(node, ast.UpdateStmt) and any(
        target.name == backfill.column for target in node.targetList or ()
    ):
        return [
            f"the statement changes the key {backfill.key}, so a row could be met twice; take another key"
        ]
    return []


def _verification_problems(script: Script, found: list[Statement], holes: list[int]) -> list[str]:
    if len(found) != 1 or not isinstance(_node(script, found[0]), ast.SelectStmt):
        return [f"below the line `-- groundwork: {VERIFY}` stands one SELECT, whose rows are violations"]
    if any(hole >= found[0].start for hole in holes):
        line = script.line(found[0].start)
        return [f"line {line}: the verification sees the whole table; remove {PLACEHOLDER} from it"]
    return []


class _Relations(Visitor):
    """Collects the tables that a statement reads or changes; what it inserts into cannot be named in it."""

    def __init__(self) -> None:
        """Start with none."""
        self.found: list[ast.RangeVar] = []

    def visit_RangeVar(self, ancestors: Any, node: ast.RangeVar) -> None:  # noqa: N802  # pglast's name
        """Keep one table."""
        inserted = isinstance(ancestors.node, ast.InsertStmt) and ancestors.member == "relation"
        if not inserted:
            self.found.append(node)


def _reference(node: Any, backfill: Backfill) -> str | None:
    """Give the key as the statement must name it: by the alias of its table; None: it has no such table."""
    seen = _Relations()
    seen(node)
    target = getattr(node, "relation", None)
    ordered = sorted(seen.found, key=lambda relation: relation is not target)
    *schema, name = name_parts(backfill.table)
    for relation in ordered:
        if relation.relname == name and (not schema or relation.schemaname in {None, schema[0]}):
            called = str(relation.alias.aliasname) if relation.alias else name
            return sql.Identifier(called, backfill.column).as_string(None)
    return None


def _template(
    text: str, script: Script, found: tuple[Statement, Statement | None], backfill: Backfill
) -> Template:
    statement, verification = found
    holes = [hole - statement.start for hole in _holes(text) if hole < statement.end]
    column = _reference(_node(script, statement), backfill) or ""
    query = text[verification.start : verification.end] if verification else None
    index = script.statements.index(statement)
    return Template(text[statement.start : statement.end], tuple(holes), column, index, query)
