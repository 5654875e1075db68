"""The virtualenv .venv, from lock files whose every entry carries a hash."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING

from scripts.engine.console import SetupError, exclusive, run, say

if TYPE_CHECKING:
    from pathlib import Path

LOCKS = ("requirements.txt",)
DEV_LOCKS = (*LOCKS, "requirements-dev.txt")


def provide(root: Path, *, dev: bool) -> None:
    """
    Make the virtualenv hold exactly what the lock files say; does nothing when they did not change.

    Raises:
        SetupError: when it cannot be made, or a file does not have the hash that the lock file states.

    """
    locks = DEV_LOCKS if dev else LOCKS
    if _missing(root, locks):
        with exclusive(root / ".local" / "bootstrap.lock"):
            # Who waited here finds the work done.
            if missing := _missing(root, locks):
                _install(root, missing)


def pip(python: Path) -> list[str | Path]:
    """Begin a command of the pip that a Python has; it asks nothing."""
    return [python, "-m", "pip", "--disable-pip-version-check", "--no-input"]


def _missing(root: Path, locks: tuple[str, ...]) -> list[str]:
    """List the lock files that are not installed as they are now."""
    if _unfinished(root).exists() or not (root / ".venv" / "bin" / "python").exists():
        return list(locks)
    return [name for name in locks if _read(_stamp(root, name)) != _digest(root / name)]


def _install(root: Path, locks: list[str]) -> None:
    """Install lock files; an installation that was cut short before is thrown away first."""
    venv, unfinished = root / ".venv", _unfinished(root)
    if unfinished.exists() or not (venv / "bin" / "python").exists():
        unfinished.touch()
        _create(venv)
    unfinished.touch()
    for name in locks:
        what = f"installing {name}"
        say(f"{what} into .venv")
        command = [*pip(venv / "bin" / "python"), "install", "--require-hashes", "--requirement", root / name]
        run(command, what)
        _stamp(root, name).write_text(_digest(root / name))
    unfinished.unlink()


def _create(venv: Path) -> None:
    """Make an empty virtualenv."""
    say(f"making .venv with Python {sys.version.split()[0]}")
    try:
        run([sys.executable, "-m", "venv", "--clear", venv], "making .venv")
    except SetupError as error:
        if "ensurepip" not in str(error):
            raise
        hint = "Python's module venv is incomplete; Debian, Ubuntu: apt-get install python3-venv"
        raise SetupError(f"{hint}\n{error}") from error


def _unfinished(root: Path) -> Path:
    """Name the mark of an installation that has begun; it lies outside of what may be half made."""
    return root / ".local" / "venv-unfinished"


def _stamp(root: Path, name: str) -> Path:
    """Name the file that says which content of a lock file is installed."""
    return root / ".venv" / f"{name}.sha256"


def _digest(path: Path) -> str:
    """Hash a lock file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read(path: Path) -> str | None:
    """Read a file that may not exist."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
