"""Both published contracts of the Management API as one list of operations, to judge requests by."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tests.fix_contract import DOCUMENT, json_schema

if TYPE_CHECKING:
    import httpx

NEWER = Path(__file__).parent / "contracts" / "supabase-cli-3.1.0-operations.json"
Schema = dict[str, Any]
# Marks what the CLI's own schemas leave open; the other contract alone judges it.
OPEN = "x-unk"


@dataclass(frozen=True)
class Operation:
    """What one contract says of one method on one path.

    Attributes:
        source: the contract's name.
        method: HTTP method.
        template: path with placeholders.
        query: schemas of the query parameters.
        required: names of those that must be sent.
        body: schema of the body; None: there is none.
        answer: schema of a successful answer's body; None: it has none, or any.
        status: of a successful answer.
    """

    source: str
    method: str
    template: str
    query: dict[str, Schema]
    required: frozenset[str]
    body: Schema | None
    answer: Schema | None
    status: int

    def check(self, request: httpx.Request) -> None:
        """Fail unless a request's query and body are as the contract says, without anything beside it."""
        names = set(request.url.params)
        assert self.required <= names <= self.query.keys(), f"{self.source}: {names}"
        for name in names:
            given = request.url.params.get_list(name)
            _validate(_query_value(given, self.query[name]), self.query[name])
        if self.body is None:
            assert not request.content, f"{self.source}: {request.content!r}"
        else:
            _validate(_sent(request), _closed(self.body))

    def check_answer(self, answer: httpx.Response) -> None:
        """Fail unless an answer's body is as the contract says."""
        if self.answer is not None:
            _validate(answer.json(), self.answer)

    def matches(self, request: httpx.Request) -> bool:
        """Tell whether a request is one of this operation."""
        pattern = re.sub(r"\{[^}]+\}", "[^/]+", self.template)
        return self.method == request.method and bool(re.fullmatch(pattern, request.url.path))


@dataclass(frozen=True)
class Operations:
    """The operations of both contracts."""

    every: tuple[Operation, ...]

    def of(self, request: httpx.Request) -> list[Operation]:
        """Find what the contracts say of a request; a path with fewer placeholders comes first."""
        found = [one for one in self.every if one.matches(request)]
        assert found, f"no contract has {request.method} {request.url.path}"
        fewest = min(one.template.count("{") for one in found)
        return [one for one in found if one.template.count("{") == fewest]

    def check_answer(self, answer: httpx.Response) -> None:
        """Hold an answer against each contract that knows the request."""
        for operation in self.of(answer.request):
            operation.check_answer(answer)

    def check(self, request: httpx.Request) -> None:
        """Hold a request against the contracts together: the newer one adds what the older one lacks."""
        first, *others = self.of(request)
        for other in others:
            first = replace(
                first, query={**other.query, **first.query}, body=_together(first.body, other.body)
            )
        first.check(request)


def _together(older: Schema | None, newer: Schema | None) -> Schema | None:
    """Add the members that only a newer schema has to an older one, at every depth."""
    if older is None or newer is None or "properties" not in newer:
        return older
    members = {
        name: _together(older["properties"].get(name), one) or one
        for name, one in newer["properties"].items()
    }
    return {**older, "properties": {**older["properties"], **members}}


def _validate(value: Any, schema: Schema) -> None:
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(value)


def _query_value(given: list[str], schema: Schema) -> Any:
    """Give query parameters the type that their schema has."""
    if schema.get("type") == "array":
        return given
    try:
        return json.loads(given[0])
    except ValueError:
        return given[0]


def _sent(request: httpx.Request) -> Any:
    """Give a request's body as its schema sees it: JSON, or a form with its files and its JSON fields."""
    kind = request.headers["content-type"]
    if kind == "application/json":
        return json.loads(request.content)
    assert kind.startswith("multipart/form-data")
    form: dict[str, Any] = {}
    for part in message_from_bytes(b"content-type: " + kind.encode() + b"\r\n\r\n" + request.content).walk():
        name = part.get_param("name", header="content-disposition")
        if part.get_filename():
            form.setdefault(str(name), []).append("content")
        elif name:
            form[str(name)] = json.loads(bytes(part.get_payload(decode=True)))
    return form


def _closed(schema: Any) -> Any:
    """Forbid members that a schema does not name, at every depth."""
    if isinstance(schema, list):
        return [_closed(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    if isinstance(closed.get("properties"), dict) and "type" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


def _older() -> list[Operation]:
    document = json_schema(json.loads(DOCUMENT.read_text(encoding="utf-8")))
    return [
        _from_openapi(method.upper(), path, _resolved(operation, document))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


def _resolved(node: Any, document: Schema) -> Any:
    """Put what a reference names in its place."""
    if isinstance(node, list):
        return [_resolved(member, document) for member in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _resolved(document["components"]["schemas"][node["$ref"].rsplit("/", 1)[1]], document)
    return {name: _resolved(value, document) for name, value in node.items()}


def _from_openapi(method: str, path: str, operation: Schema) -> Operation:
    query = [one for one in operation.get("parameters", []) if one["in"] == "query"]
    content = operation.get("requestBody", {}).get("content", {})
    status = next(int(code) for code in operation["responses"] if code < "3")
    answers = operation["responses"][str(status)].get("content", {})
    media = "multipart/form-data" if "multipart/form-data" in content else "application/json"
    return Operation(
        "the document of May 2026",
        method,
        path,
        {one["name"]: one["schema"] for one in query},
        frozenset(one["name"] for one in query if one.get("required")),
        content.get(media, {}).get("schema"),
        answers.get("application/json", {}).get("schema"),
        status,
    )


def _newer() -> list[Operation]:
    document = json_schema(json.loads(NEWER.read_text(encoding="utf-8")))
    return [_from_cli(operation) for operation in document.values() if OPEN not in operation["input"]]


def _from_cli(operation: Schema) -> Operation:
    members, required = operation["input"].get("properties", {}), operation["input"].get("required", [])
    query = {name: members[name] for name in operation["queryParams"]}
    return Operation(
        "the Supabase CLI 3.1.0",
        operation["method"],
        operation["path"],
        query,
        frozenset(query) & frozenset(required),
        _cli_body(operation["requestBody"], members, required),
        None if OPEN in (operation.get("output") or {}) else operation.get("output"),
        201 if operation["method"] == "POST" else 200,
    )


def _cli_body(body: Schema, members: Schema, required: list[str]) -> Schema | None:
    if body["kind"] == "none":
        return None
    if body["kind"] == "body":
        return dict(members[body["field"]])
    names = body["fields"]
    needed = [name for name in required if name in names]
    return {"type": "object", "properties": {name: members[name] for name in names}, "required": needed}


@pytest.fixture(scope="session")
def operations() -> Operations:
    """Read both contracts once."""
    return Operations((*_older(), *_newer()))
