"""A local stack that is up, shared by the tests of a module; each leaves it as it found it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from tests.fix_program import Program, open_program, scratch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def local() -> Iterator[Program]:
    """Bring the local stack up in a folder of its own, and destroy it afterwards."""
    program = open_program(scratch())
    program.up()
    yield program
    program.clean()


def processes_of(folder: Path) -> list[psutil.Process]:
    """List the live processes that work in or were started for a folder (PostgreSQL servers included)."""
    mark = str(folder)
    return [process for process in psutil.process_iter() if _belongs(process, mark)]


def _belongs(process: psutil.Process, mark: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return any(mark in part for part in process.cmdline()) or process.cwd().startswith(mark)
    except psutil.Error:
        return False


def kill_all(folder: Path) -> None:
    """End everything of a folder at once, as a power cut does, also what is started again meanwhile."""
    while found := processes_of(folder):
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):  # one that ended by itself
                process.kill()
        psutil.wait_procs(found, timeout=30)


def health(program: Program) -> dict[str, Any]:
    """Ask the app how everything is."""
    return dict(httpx.get(f"{program.outputs()['app_url']}/api/health", timeout=30).json())


def pulumi(program: Program, *arguments: str) -> str:
    """Run a command of the engine for the program's stack and give its output."""
    done = subprocess.run(
        ["pulumi", *arguments, "--stack", program.stack.name],
        cwd=program.folder,
        env={**os.environ, **program.env},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def exported(program: Program) -> dict[str, Any]:
    """Read the state with its secrets in clear, to know what to look for."""
    return dict(json.loads(pulumi(program, "stack", "export", "--show-secrets")))


def resource(state: dict[str, Any], name: str) -> dict[str, Any]:
    """Find one resource of an exported state by its name."""
    return next(one for one in state["deployment"]["resources"] if one["urn"].endswith(f"::{name}"))


def plain_texts(program: Program) -> str:
    """Give everything that the state backend and the services' logs hold in plain."""
    below = program.folder / ".local"
    files = [*(below / "state").rglob("*"), *(below / "local" / "logs").rglob("*")]
    return "".join(file.read_text(errors="replace") for file in files if file.is_file())


def secret_values(state: dict[str, Any]) -> set[str]:
    """Collect every value of a stack's secrets: current, accepted, and made in advance."""
    kinds = (":GeneratedSecret", ":GivenSecret")
    made = [one["outputs"] for one in state["deployment"]["resources"] if one["type"].endswith(kinds)]
    kept = [outputs[name] for outputs in made for name in ("values", "standby") if outputs.get(name)]
    return {value for one in kept for value in json.loads(one["plaintext"]).values()}
