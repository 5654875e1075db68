"""Values that a JSON schema allows, made the same way each time."""

from __future__ import annotations

from enum import Enum
from typing import Any

_FORMATS = {
    "uuid": "0b8f2a6e-6f0e-4f0a-9d5e-0123456789ab",
    "date-time": "2026-11-21T00:00:00Z",
    "uri": "https://example.com/",
    "email": "someone@example.com",
}


class Fill(Enum):
    """How much of what a schema allows a sample has."""

    LEAST = "only what is required"
    ALL = "every member"
    NULLS = "every member, null where that is allowed"


def sample(schema: dict[str, Any], fill: Fill) -> Any:
    """Make a value that fits a schema."""
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return sample(_branch(schema[word], fill), fill)
    if "enum" in schema:
        return schema["enum"][0]
    make = {"object": _object, "array": _array, "string": _text}.get(schema.get("type", ""))
    if make:
        return make(schema, fill)
    return {"integer": _number, "number": _number, "boolean": lambda _: True}.get(
        schema.get("type", ""), lambda _: None
    )(schema)


def _branch(branches: list[dict[str, Any]], fill: Fill) -> dict[str, Any]:
    nulls = [one for one in branches if one.get("type") == "null"]
    if nulls and fill is Fill.NULLS:
        return nulls[0]
    return next(one for one in branches if one.get("type") != "null")


def _object(schema: dict[str, Any], fill: Fill) -> dict[str, Any]:
    required = schema.get("required", [])
    return {
        name: sample(member, fill)
        for name, member in schema.get("properties", {}).items()
        if fill is not Fill.LEAST or name in required
    }


def _array(schema: dict[str, Any], fill: Fill) -> list[Any]:
    items = schema.get("items", {})
    return [sample(items, fill)] if "type" in items or "anyOf" in items else []


def _number(schema: dict[str, Any]) -> int:
    return max(int(schema.get("minimum", 0)), min(100, int(schema.get("maximum", 100))))


def _text(schema: dict[str, Any], _: Fill) -> str:
    if schema.get("minLength") == 20:
        return "abcdefghijklmnopqrst"
    return _FORMATS.get(schema.get("format", ""), "10s".ljust(schema.get("minLength", 0), "x"))
