"""Schemathesis asks the stand-in with what the published document allows, and with what it does not.

The document says nothing of most refusals (400, 404, 409, 422); the copy that is used here has them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from emulator import server
from emulator.options import Options
from tests.fix_contract import DOCUMENT
from tests.fix_emulator import running_emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.fix_emulator import Emulator

# Examples of the document: they have to be there, or all answers are 404.
REF, SLUG = "abcdefghijklmnopqrst", "tsrqponmlkjihgfedcba"
# What ends or restarts a project is asked of another one than the rest.
OTHER_REF = "restartedrestartedre"
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    "response_schema_conformance",
)
REFUSALS = {
    status: {
        "description": "Refused",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["message"],
                    "properties": {"message": {"type": "string"}},
                }
            }
        },
    }
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


def served() -> set[str]:
    """List what the stand-in serves, as `METHOD path`."""
    nothing: Any = None
    app = server.application(nothing, Options(host="", port=0, data=nothing, token="t", rate_limit=0, stop=False))
    return {
        f"{method.upper()} {path}".replace("{key_id}", "{id}")
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }


def document(wanted: Callable[[str], bool], ref: str = REF) -> dict[str, Any]:
    """Give the document with some operations only, with refusals, and with another project in its examples."""
    whole = json.loads(DOCUMENT.read_text(encoding="utf-8").replace(REF, ref))
    whole["paths"] = {
        path: {
            method: {**operation, "responses": {**REFUSALS, **operation["responses"]}}
            for method, operation in operations.items()
            if wanted(f"{method.upper()} {path}")
        }
        for path, operations in whole["paths"].items()
    }
    return dict(whole)
