"""The published contract of the Management API, and a judge of answers by it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

if TYPE_CHECKING:
    import httpx

DOCUMENT = Path(__file__).parent / "contracts" / "supabase-management-api.json"


@dataclass(frozen=True)
class Contract:
    """The OpenAPI document.

    Attributes:
        document: its content, with `nullable` put into JSON Schema's words.
    """

    document: dict[str, Any]

    def check(self, method: str, path: str, answer: httpx.Response) -> None:
        """Fail unless the answer's status is documented and its body is as the schema says."""
        operation = self.document["paths"][path][method.lower()]
        documented = operation["responses"]
        assert str(answer.status_code) in documented, f"{answer.status_code} {answer.text}"
        content = documented[str(answer.status_code)].get("content")
        if content is not None:
            assert answer.headers["content-type"] == "application/json"
            schema = {**content["application/json"]["schema"], "components": self.document["components"]}
            jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(
                answer.json()
            )


def json_schema(node: Any) -> Any:
    """Rewrite OpenAPI 3.0's `nullable: true`, which JSON Schema does not know, at every depth."""
    if isinstance(node, list):
        return [json_schema(member) for member in node]
    if not isinstance(node, dict):
        return node
    rewritten = {name: json_schema(value) for name, value in node.items()}
    if rewritten.get("nullable") is True:
        del rewritten["nullable"]
        return {"anyOf": [rewritten, {"type": "null"}]}
    return rewritten


@pytest.fixture(scope="session")
def contract() -> Contract:
    """Read the document once."""
    return Contract(json_schema(json.loads(DOCUMENT.read_text(encoding="utf-8"))))
