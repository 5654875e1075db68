"""Mistakes of a user and bad luck of a machine, with the real engine: each ends in a text that helps."""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from pulumi import automation as auto

from tests.fix_program import Program, open_program, scratch
from tests.polling import until
from tests.up.fix_local import processes_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fix_emulator import Emulator

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def idle() -> Iterator[Program]:
    """Give a stack that never comes up, to ask for previews of wrong settings."""
    program = open_program(scratch())
    yield program
    program.clean()


def _failure(program: Program) -> str:
    with pytest.raises(auto.CommandError) as caught:
        program.preview()
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "texts"),
    [
        ("agent.port", "none", ["groundwork:agent.port"]),
        ("agent.prot", "8000", ["groundwork:agent.prot", "port"]),
        ("agent.ai_provider", "openai", ["groundwork:secrets.ai_api_key.value"]),
        ("supabase.api_url", "https://api.supabase.com", ["groundwork:supabase.access_token"]),
    ],
)
def test_a_wrong_setting_is_named(idle: Program, path: str, value: str, texts: list[str]) -> None:
    """The preview fails with the full key and what is allowed, without a traceback."""
    idle.set(path, value)
    told = _failure(idle)
    idle.stack.remove_config(f"groundwork:{path}", path=True)

    assert [text for text in texts if text not in told] == []
    assert "Traceback" not in told


def test_two_files_of_one_version_are_refused_by_name(idle: Program) -> None:
    """Both files are named, before there is even a database."""
    first = min((idle.folder / "migrations").glob("*.sql"))
    twin = first.with_name(f"{first.name.split('_')[0]}_twin.sql")
    twin.write_text("select 1;\n")
    told = _failure(idle)
    twin.unlink()

    assert first.name in told
    assert twin.name in told


def test_a_port_in_use_is_named(program: Program) -> None:
    """A fixed port that somebody else has fails the update with the port and the key to change."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        program.set("agent.port", str(port))
        with pytest.raises(auto.CommandError) as caught:
            program.up()

    assert f"port {port}" in str(caught.value)


def test_a_wrong_token_is_refused_with_the_key_to_set(program: Program, emulator: Emulator) -> None:
    """The API's 401 ends in the name of the setting that holds the token."""
    program.set("supabase.api_url", emulator.api_url)
    token = auto.ConfigValue("sbp_wrong_token", secret=True)
    program.stack.set_config("groundwork:supabase.access_token", token, path=True)
    with pytest.raises(auto.CommandError) as caught:
        program.up()

    assert "groundwork:supabase.access_token" in str(caught.value)
    assert "sbp_wrong_token" not in str(caught.value)


def test_an_unwritable_folder_is_named(program: Program) -> None:
    """Where nothing can be written, the update says which folder it needs."""
    (program.folder / ".local" / "local").write_text("a file where a folder must be\n")
    with pytest.raises(auto.CommandError) as caught:
        program.up()
    (program.folder / ".local" / "local").unlink()

    assert ".local/local" in str(caught.value)


def test_an_emulator_killed_during_an_update_is_survived(program: Program) -> None:
    """Whatever the interrupted update says, the next one ends with everything healthy and one project."""
    outcome: list[object] = []
    update = threading.Thread(target=lambda: outcome.append(_tried(program)))
    update.start()
    victim = until(lambda: _emulator(program), timeout_s=120)
    os.kill(victim, 9)
    update.join()
    program.up()
    health = program.outputs()["health"]
    servers = list((program.folder / ".local" / "local").rglob("postmaster.pid"))

    assert health["status"] == "healthy"
    assert len(servers) == 1


def _tried(program: Program) -> object:
    try:
        return program.up()
    except auto.CommandError as error:
        return error


def _emulator(program: Program) -> int:
    """Find the stand-in's process once a project's PostgreSQL is being made."""
    if not list((program.folder / ".local").rglob("PG_VERSION")):
        return 0
    found = [one.pid for one in processes_of(program.folder) if "emulator" in one.cmdline()]
    return found[0] if found else 0
