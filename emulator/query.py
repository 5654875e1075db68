"""Runs SQL for the API as the real service's query endpoint does: rows as JSON, errors as psql words them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.numeric import FloatLoader
from psycopg.types.string import TextLoader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg.abc import Buffer

# Types that JSON has no exact form for are answered in PostgreSQL's own text.
_AS_TEXT = (
    *("date", "time", "timetz", "timestamp", "timestamptz", "interval"),
    *("numeric", "uuid", "inet", "cidr", "bytea"),
    *("int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange"),
    *("int4multirange", "int8multirange", "nummultirange"),
    *("datemultirange", "tsmultirange", "tstzmultirange"),
)


class QueryError(Exception):
    """PostgreSQL refused the statement; the text is what the real service answers."""


class _FiniteFloatLoader(FloatLoader):
    """JSON has no NaN and no infinity: the real service answers null for them."""

    def load(self, data: Buffer) -> float | None:  # type: ignore[override] # null is the point
        value = super().load(data)
        return value if math.isfinite(value) else None


@dataclass(frozen=True)
class Query:
    """One request to run SQL.

    Attributes:
        text: one or more statements; one only if there are parameters.
        parameters: values of `$1`, `$2` and so on.
    """

    text: str
    parameters: Sequence[Any] | None = None


def run(session: psycopg.Connection, query: Query) -> list[dict[str, Any]]:
    """Run the statements and give the rows of the last one that has any.

    Raises:
        QueryError: a statement failed; those before it in the same request are undone.
    """
    try:
        cursor = psycopg.RawCursor(session)
        for name in _AS_TEXT:
            cursor.adapters.register_loader(name, TextLoader)
        for name in ("float4", "float8"):
            cursor.adapters.register_loader(name, _FiniteFloatLoader)
        cursor.execute(query.text.encode(), query.parameters or None)
        return _last_rows(cursor)
    except psycopg.Error as error:
        raise QueryError(f"Failed to run sql query: {worded(error, query.text)}") from error


def _last_rows(cursor: psycopg.RawCursor[Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while True:
        if cursor.description is not None:
            names = [column.name for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()] or rows
        if not cursor.nextset():
            return rows


def worded(error: psycopg.Error, text: str) -> str:
    """Put an error into the words of psql: severity, SQLSTATE, message, the line, detail and hint."""
    diagnostic = error.diag
    if diagnostic.sqlstate is None:
        return str(error)
    lines = [f"{diagnostic.severity}:  {diagnostic.sqlstate}: {diagnostic.message_primary}"]
    if diagnostic.statement_position:
        lines += _pointer(text, int(diagnostic.statement_position))
    more = {
        "DETAIL": diagnostic.message_detail,
        "HINT": diagnostic.message_hint,
        "CONTEXT": diagnostic.context,
    }
    lines += [f"{label}:  {said}" for label, said in more.items() if said]
    return "\n".join(lines) + "\n"


def _pointer(text: str, position: int) -> list[str]:
    """Show the line of a position (counted in characters from 1), and a caret below it."""
    before = text[: position - 1]
    start = before.rfind("\n") + 1
    label = f"LINE {before.count(chr(10)) + 1}: "
    line = text[start:].split("\n", 1)[0]
    return [label + line, " " * (len(label) + position - 1 - start) + "^"]
