"""The Pulumi engine: one on PATH, one in the per-user cache, a release archive, or a build, in this order."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.engine import build, release, toolchain
from scripts.engine.console import SetupError, exclusive, say

if TYPE_CHECKING:
    from collections.abc import Callable

LANGUAGE_HOST = "pulumi-language-python"


@dataclass(frozen=True)
class Engine:
    """An engine that is there; `origin` is path, release or build."""

    version: str
    origin: str
    directory: str


@dataclass(frozen=True)
class Pins:
    """Which versions may be used: the archive of this platform, if there is one, and the build."""

    archive: release.Archive | None
    build: str

    @classmethod
    def read(cls, modules: Path) -> Pins:
        """Read the pins from scripts/engine."""
        return cls(
            release.archives(modules / "sha256sums").get(release.this_platform()), build.version(modules)
        )

    @property
    def least(self) -> tuple[int, ...]:
        """The oldest version that will do."""
        return min(_numbers(self.build), _numbers(self.archive.version if self.archive else self.build))


def cache_folder() -> Path:
    """Give the folder that keeps engines, one per user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "groundwork"


def provide(root: Path) -> Engine:
    """
    Find or make an engine, and point .venv/engine at its folder.

    Raises:
        SetupError: when no way is left, or a download is not what is pinned.

    """
    modules = root / "scripts" / "engine"
    key, stamp = _key(modules), root / ".venv" / "engine.json"
    if (known := _known(stamp, key)) is not None:
        return known
    pins = Pins.read(modules)
    found = _on_path(pins) or _cached(pins)
    if found is None:
        with exclusive(cache_folder() / "lock"):
            found = _cached(pins) or _make(pins, root)
    _point(root / ".venv" / "engine", found.directory)
    _replace(stamp, json.dumps({"key": key, **asdict(found)}))
    return found


def _key(modules: Path) -> str:
    """Sum up what the choice depends on, without starting a program."""
    on_path = shutil.which("pulumi")
    facts: list[object] = [str(cache_folder()), on_path, release.this_platform()]
    if on_path:
        status = Path(on_path).stat()
        facts += [status.st_mtime_ns, status.st_size]
    facts += [(modules / name).read_text() for name in ("sha256sums", "cli/go.mod")]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _known(stamp: Path, key: str) -> Engine | None:
    """Give the engine that was chosen before, if nothing has changed and it is still there."""
    try:
        kept = json.loads(stamp.read_text())
        if kept.pop("key") != key or not os.access(Path(kept["directory"]) / "pulumi", os.X_OK):
            return None
        return Engine(**kept)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _on_path(pins: Pins) -> Engine | None:
    """Use the pulumi that the user has installed, if it is new enough and complete."""
    found = shutil.which("pulumi")
    if found is None or Path(found).resolve().is_relative_to(cache_folder().resolve()):
        return None
    answer = _version_of(found)
    # Not resolved: a version manager's pulumi is a link to a program of another name.
    directory = Path(found).parent
    if answer is None or not pins.least <= _numbers(answer) < (4,):
        least = ".".join(map(str, pins.least))
        say(f"{found} is not used: its version is {answer or 'unknown'}, and {least} or newer is needed")
        return None
    if not (directory / LANGUAGE_HOST).exists() and not shutil.which(LANGUAGE_HOST):
        say(f"{found} is not used: {LANGUAGE_HOST}, which comes with it, is not there")
        return None
    return Engine(answer, "path", str(directory))


def _cached(pins: Pins) -> Engine | None:
    """Use what was downloaded or built before."""
    versions = [pins.archive.version] if pins.archive else []
    for version in [*versions, pins.build]:
        home = cache_folder() / f"pulumi-{version}"
        if os.access(home / "bin" / "pulumi", os.X_OK):
            origin = home / "origin"
            return Engine(version, origin.read_text() if origin.exists() else "build", str(home / "bin"))
    return None


def _make(pins: Pins, root: Path) -> Engine:
    """Download the release, else build it. Whoever calls holds the lock of the cache."""
    for leftover in cache_folder().glob(".new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    archive = pins.archive
    if archive is None:
        say(f"no release archive is pinned for {release.this_platform()}; building instead")
    else:
        try:
            return _keep("release", archive.version, lambda folder: release.install(archive, folder))
        except release.UnreachableError as error:
            say(f"the release archive cannot be had; building instead. {error}")
    modules = root / "scripts" / "engine"
    go = toolchain.provide(modules, cache_folder(), root / ".venv" / "bin" / "python")
    return _keep("build", pins.build, lambda folder: build.install(modules, folder, go))


def _keep(origin: str, version: str, install: Callable[[Path], None]) -> Engine:
    """Make an engine beside its place, try it, and move it there in one step."""
    home = cache_folder() / f"pulumi-{version}"
    folder = Path(tempfile.mkdtemp(prefix=".new-", dir=cache_folder()))
    try:
        (folder / "bin").mkdir()
        if origin == "release":
            (folder / "bin").rmdir()
        install(folder)
        answer = _version_of(str(folder / "bin" / "pulumi"))
        if answer != version:
            raise SetupError(f"the engine that was made says it is {answer or 'nothing'}, not {version}")
        (folder / "origin").write_text(origin)
        folder.chmod(0o755)
        shutil.rmtree(home, ignore_errors=True)
        folder.rename(home)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Engine(version, origin, str(home / "bin"))


def _version_of(pulumi: str) -> str | None:
    """Ask an engine for its version, such as 3.259.0; None if it cannot say."""
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        answer = subprocess.run(
            [pulumi, "version"], capture_output=True, text=True, check=False, timeout=60, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.match(r"v?(\d+\.\d+\.\d+)", answer.stdout)
    return match[1] if match else None


def _numbers(version: str) -> tuple[int, ...]:
    """Make a version comparable."""
    return tuple(int(part) for part in version.split("."))


def _point(link: Path, directory: str) -> None:
    """Point a link at a folder, in one step."""
    fresh = link.with_name(f".{link.name}-{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(directory)
    fresh.replace(link)


def _replace(path: Path, text: str) -> None:
    """Write a file in one step."""
    fresh = path.with_name(f".{path.name}-{os.getpid()}")
    fresh.write_text(text)
    fresh.replace(path)
