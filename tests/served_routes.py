"""Which routes of the Management API the stand-in serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emulator import server
from emulator.options import Options


def served() -> set[str]:
    """List them as `METHOD path`, with the contract's names for the parts of the path."""
    nothing: Any = None
    options = Options(host="", port=0, data=Path(), token="t", rate_limit=0, stop=False)
    return {
        f"{method.upper()} {path}".replace("{key_id}", "{id}")
        for path, operations in server.application(nothing, options).openapi()["paths"].items()
        for method in operations
        if path.startswith(("/v1/", "/v2/"))
    }
