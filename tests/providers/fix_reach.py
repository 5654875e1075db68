"""How providers reach a project of the stand-in, as the engine would tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from providers import _access

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fix_emulator import Emulator, Project


def reach(project: Project) -> dict[str, Any]:
    """Give the properties that say how to reach a project's database."""
    entry = project.emulator.client.get(f"{project.path}/config/database/pooler").json()[0]
    return {
        "api_url": project.emulator.api_url,
        "access_token": project.emulator.token,
        "project_ref": project.ref,
        "host": entry["db_host"],
        "port": float(entry["db_port"]),
        "database": entry["db_name"],
        "user_suffix": "",
    }


@pytest.fixture(scope="module")
def reached_project(emulator: Emulator) -> Project:
    """Give a project of the module's own, into whose database providers go."""
    return emulator.create("reached")


@pytest.fixture
def fresh_logins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a test ask for logins anew, as a new process would; the stand-in has no pooler to wait for."""
    monkeypatch.setattr(_access, "_PAUSES_S", (0.0, 0.0))
    _access.forget()
    yield
    _access.forget()
