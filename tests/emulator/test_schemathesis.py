"""Schemathesis asks the stand-in what the published document allows, and what it does not.

The document names hardly any refusal (400, 404, 409); the copy that is used here has them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.fix_contract import DOCUMENT
from tests.fix_emulator import running_emulator
from tests.served_routes import served

if TYPE_CHECKING:
    from tests.fix_emulator import Emulator

# The examples of the document: they have to be there, or every answer is 404.
REF, SLUG = "abcdefghijklmnopqrst", "tsrqponmlkjihgfedcba"
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_schema_conformance", "negative_data_rejection"),
)
# Without it, what is undocumented on a path is tried as well: DELETE on a project, for one.
CONFIGURATION = '[phases.coverage]\nunexpected-methods = ["TRACE"]\n'
MESSAGE = {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}}
REFUSALS = {
    status: {"description": "Refused", "content": {"application/json": {"schema": MESSAGE}}}
    for status in ("400", "404", "409")
}
CREATE = {"POST /v1/projects"}
LIFE = {
    "DELETE /v1/projects/{ref}",
    "POST /v1/projects/{ref}/pause",
    "POST /v1/projects/{ref}/restore",
    "POST /v1/projects/{ref}/restore/cancel",
    "PATCH /v1/projects/{ref}/billing/addons",
    "DELETE /v1/projects/{ref}/billing/addons/{addon_variant}",
}


@dataclass(frozen=True)
class Part:
    """Some operations, and the emulator that they are asked of.

    Attributes:
        operations: as `METHOD path`.
        arguments: of the emulator.
        least: how many requests there are at least, and how many succeed: with fewer, little is tested.
    """

    operations: set[str]
    arguments: tuple[str, ...]
    least: tuple[int, int]


PARTS = {
    "settings": Part(served() - CREATE - LIFE, ("--project", REF, "--organization", SLUG), (3000, 500)),
    # What ends or restarts a project is asked of one that the rest does not need.
    "life": Part(LIFE, ("--project", REF, "--organization", SLUG), (100, 10)),
    # No step begins in that time: a hundred projects are recorded, and no server is started for them.
    "create": Part(CREATE, ("--step-seconds", "3600", "--organization", SLUG), (100, 10)),
}


def _null_in_enums(node: Any) -> Any:
    """Say in OpenAPI's words what the document means by a nullable enum: null is one of its values."""
    if isinstance(node, list):
        return [_null_in_enums(member) for member in node]
    if not isinstance(node, dict):
        return node
    changed = {name: _null_in_enums(value) for name, value in node.items()}
    if changed.get("nullable") is True and isinstance(changed.get("enum"), list):
        changed["enum"] = [*changed["enum"], None]
    return changed


def _first_of_each_kind(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave one of all fields that differ in nothing but their names: of 240 settings of auth, 22."""
    kinds: dict[str, str] = {}
    for name, field in fields.items():
        kinds.setdefault(json.dumps(field, sort_keys=True), name)
    return {name: fields[name] for name in kinds.values()}


def things(emulator: Emulator) -> dict[str, str]:
    """Make what the document's examples name; give what each has become by its example."""

    def ask(method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = emulator.client.request(method, f"/v1/projects/{REF}/{path}", json=body, **more)
        return answer.raise_for_status().json() if answer.content else {}

    ask("PATCH", "config/auth", {"saml_enabled": True})
    ask("POST", "functions", {"slug": "hello-world", "name": "hello-world", "body": "export default 1"})
    ask("POST", "branches", {"branch_name": "preview-login-page"})
    ask("POST", "database/migrations", {"query": "select 1", "name": "made"})
    provider = {"type": "saml", "metadata_url": "https://idp.test/m"}
    issuer = {"jwks_url": "https://issuer.test/jwks"}
    return {
        "22222222-2222-4222-8222-222222222222": ask(
            "POST", "api-keys", {"type": "secret", "name": "for_examples"}
        )["id"],
        "33333333-3333-4333-8333-333333333333": ask(
            "POST", "config/auth/signing-keys", {"algorithm": "ES256"}
        )["id"],
        "77777777-7777-4777-8777-777777777777": ask("POST", "config/auth/sso/providers", provider)["id"],
        "88888888-8888-4888-8888-888888888888": ask("POST", "config/auth/third-party-auth", issuer)["id"],
        "20250312000000": ask("GET", "database/migrations")[0]["version"],
    }


def document(operations: set[str], examples: dict[str, str]) -> dict[str, Any]:
    """Give the published document with these operations only, with refusals and other examples."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for example, real in examples.items():
        text = text.replace(example, real)
    whole: dict[str, Any] = _null_in_enums(json.loads(text))
    whole["paths"] = {
        path: {
            method: {**operation, "responses": {**REFUSALS, **operation["responses"]}}
            for method, operation in methods.items()
            if f"{method.upper()} {path}" in operations
        }
        for path, methods in whole["paths"].items()
    }
    auth = whole["components"]["schemas"]["UpdateAuthConfigBody"]
    auth["properties"] = _first_of_each_kind(auth["properties"])
    return whole


def _run(emulator: Emulator, home: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("schemathesis")
    command = [str(program), "--config-file", "schemathesis.toml", "run", "document.json"]
    where = ["--url", emulator.api_url, "-H", f"Authorization: Bearer {emulator.token}"]
    what = ["--mode", "all", "--phases", "examples,coverage", "-c", ",".join(CHECKS)]
    how = ["-w", "1", "--seed", "1", "--generation-deterministic"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "NO_COLOR": "1"}
    return subprocess.run(
        [*command, *where, *what, *how],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.parametrize("name", PARTS)
def test_schemathesis_finds_nothing(name: str, tmp_path: Path) -> None:
    """No answer is a server error or undocumented, and no request that the document forbids is accepted."""
    part = PARTS[name]
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION, encoding="utf-8")

    with running_emulator(*part.arguments) as emulator:
        if "--project" in part.arguments:
            emulator.wait_for_status(REF, "ACTIVE_HEALTHY")
        examples = things(emulator) if name == "settings" else {}
        wanted = document(part.operations, examples)
        (tmp_path / "document.json").write_text(json.dumps(wanted), encoding="utf-8")
        done = _run(emulator, tmp_path)
        answers = re.findall(r" /v[12]/\S* (\d)\d\d \d+ ms", emulator.log.read_text())

    assert done.returncode == 0, done.stdout[-12000:] + done.stderr[-2000:]
    assert len(answers) >= part.least[0]
    assert answers.count("2") >= part.least[1], answers.count("2")
