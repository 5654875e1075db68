"""TypeScript types of a database, in the form that supabase-js expects of `supabase gen types`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from emulator.catalog import COMPOSITES, TABLES, VIEWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from emulator.catalog import Schema

_HEAD = """export type Json =
  | string
  | number
  | boolean
  | null
  | { [key: string]: Json | undefined }
  | Json[]

"""
_TAIL = """
type Public = Database["public"]

export type Tables<Name extends keyof Public["Tables"]> = Public["Tables"][Name]["Row"]
export type TablesInsert<Name extends keyof Public["Tables"]> = Public["Tables"][Name]["Insert"]
export type TablesUpdate<Name extends keyof Public["Tables"]> = Public["Tables"][Name]["Update"]
export type Enums<Name extends keyof Public["Enums"]> = Public["Enums"][Name]
"""
_NOTHING = "[_ in never]: never"
_BY_TYPE = {
    "bool": "boolean",
    **dict.fromkeys(("int2", "int4", "int8", "float4", "float8", "numeric"), "number"),
    **dict.fromkeys(
        (
            *("text", "varchar", "bpchar", "citext", "name", "uuid", "bytea", "vector"),
            *("date", "time", "timetz", "timestamp", "timestamptz"),
        ),
        "string",
    ),
    **dict.fromkeys(("json", "jsonb"), "Json"),
    "void": "undefined",
    "record": "Record<string, unknown>",
}


def generate(schemas: dict[str, Schema]) -> str:
    """Write the types of schemas, each a member of the type `Database`."""
    members = [f"{_key(name)}: {_indent(_schema(schema, schemas))}" for name, schema in schemas.items()]
    tail = _TAIL if "public" in schemas else ""
    return f"{_HEAD}export type Database = {_block(members)}\n{tail}"


def _schema(schema: Schema, every: dict[str, Schema]) -> str:
    def typed(kind: dict[str, Any]) -> str:
        return _type(kind, every)

    tables = {name: _table(schema, name, columns, typed) for name, columns in schema.of(TABLES).items()}
    views = {name: _view(columns, typed) for name, columns in schema.of(VIEWS).items()}
    functions = {name: _function(overloads, typed) for name, overloads in schema.functions.items()}
    composites = {name: _row(columns, typed) for name, columns in schema.of(COMPOSITES).items()}
    parts = {
        "Tables": _members(tables),
        "Views": _members(views),
        "Functions": _members(functions),
        "Enums": _members({name: _labels(labels) for name, labels in schema.enums.items()}),
        "CompositeTypes": _members(composites),
    }
    return _block(f"{name}: {_indent(text)}" for name, text in parts.items())


def _labels(labels: list[str]) -> str:
    return " | ".join(json.dumps(label, ensure_ascii=False) for label in labels)


def _table(schema: Schema, name: str, columns: list[Any], typed: Callable[[dict[str, Any]], str]) -> str:
    insert = [_column(one, typed, optional=one.nullable or one.has_default) for one in columns]
    update = [_column(one, typed, optional=True) for one in columns]
    parts = {
        "Row": _row(columns, typed),
        "Insert": _block(insert),
        "Update": _block(update),
        "Relationships": _relationships(schema.keys[name]),
    }
    return _block(f"{part}: {_indent(text)}" for part, text in parts.items())


def _view(columns: list[Any], typed: Callable[[dict[str, Any]], str]) -> str:
    return _block([f"Row: {_indent(_row(columns, typed))}", "Relationships: []"])


def _row(columns: list[Any], typed: Callable[[dict[str, Any]], str]) -> str:
    return _block(f"{_key(one.name)}: {typed(one.type)}{' | null' * one.nullable}" for one in columns)


def _column(column: Any, typed: Callable[[dict[str, Any]], str], *, optional: bool) -> str:
    """Write what may be given for a column; nothing, if PostgreSQL makes its value."""
    if column.is_generated:
        return f"{_key(column.name)}?: never"
    return f"{_key(column.name)}{'?' * optional}: {typed(column.type)}{' | null' * column.nullable}"


def _relationships(keys: list[Any]) -> str:
    shown = []
    for key in keys:
        members = [
            f"foreignKeyName: {json.dumps(key.name)}",
            f"columns: {json.dumps(key.columns)}",
            f"isOneToOne: {'true' if key.one_to_one else 'false'}",
            f"referencedRelation: {json.dumps(key.referenced)}",
            f"referencedColumns: {json.dumps(key.referenced_columns)}",
        ]
        shown.append(f"  {_indent(_block(members))},\n")
    return f"[\n{''.join(shown)}]" if shown else "[]"


def _function(overloads: list[Any], typed: Callable[[dict[str, Any]], str]) -> str:
    return " | ".join(_overload(one, typed) for one in overloads)


def _overload(function: Any, typed: Callable[[dict[str, Any]], str]) -> str:
    given = [one for one in function.arguments if one["mode"] in "ibv"]
    arguments = [
        f"{_key(one['name'])}{'?' * (position >= function.required)}: {typed(one['type'])}"
        for position, one in enumerate(given)
    ]
    table = [one for one in function.arguments if one["mode"] in "tob"]
    returns = typed(function.type)
    if len(table) > 1 or (table and table[0]["mode"] == "t"):
        returns = _block(f"{_key(one['name'])}: {typed(one['type'])}" for one in table)
    shown = _block(arguments) if given else "never"
    return _block([f"Args: {_indent(shown)}", f"Returns: {_indent(returns)}{'[]' * function.is_set}"])


def _type(kind: dict[str, Any], every: dict[str, Schema]) -> str:
    shown = _BY_TYPE.get(kind["name"], "unknown")
    place = every.get(kind["schema"])
    if place is not None and kind["kind"] == "e":
        shown = f'Database[{json.dumps(kind["schema"])}]["Enums"][{json.dumps(kind["name"])}]'
    elif place is not None and kind["name"] in place.relations:
        shown = _row_type(kind)
    return f"{shown}[]" if kind["array"] else shown


def _row_type(kind: dict[str, Any]) -> str:
    parts = {"c": "CompositeTypes", "v": "Views", "m": "Views"}
    part = parts.get(kind["relation"], "Tables")
    row = "" if part == "CompositeTypes" else '["Row"]'
    return f'Database[{json.dumps(kind["schema"])}]["{part}"][{json.dumps(kind["name"])}]{row}'


def _members(parts: dict[str, str]) -> str:
    shown = [f"{_key(name)}: {_indent(text)}" for name, text in parts.items()]
    return _block(shown or [_NOTHING])


def _block(members: Iterable[str]) -> str:
    return "{\n" + "".join(f"  {member}\n" for member in members) + "}"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_$][\w$]*", name, re.ASCII) else json.dumps(name)


def _indent(text: str) -> str:
    return text.replace("\n", "\n  ")
