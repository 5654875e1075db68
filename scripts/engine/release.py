"""The engine from the official release archive, if its SHA-256 is pinned in the file sha256sums."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import sys
import tarfile
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.engine.console import SetupError, run, say

if TYPE_CHECKING:
    from pathlib import Path

RELEASES = "https://get.pulumi.com/releases/sdk"
CONNECT_TIMEOUT_S = 10
_NAME = re.compile(r"([0-9a-f]{64})  (pulumi-v(\d+\.\d+\.\d+)-(\w+-\w+)\.tar\.gz)")
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Archive:
    """One release archive that may be used."""

    name: str
    version: str
    sha256: str


class UnreachableError(Exception):
    """The archive cannot be had; another way may work."""


def this_platform() -> str:
    """Name this machine as release archives do, such as linux-x64."""
    machine = platform.machine().lower()
    return f"{sys.platform}-{_MACHINES.get(machine, machine)}"


def archives(sums: Path) -> dict[str, Archive]:
    """Read the pinned archives by platform."""
    found = (_NAME.fullmatch(line) for line in sums.read_text().splitlines())
    return {match[4]: Archive(match[2], match[3], match[1]) for match in found if match}


def install(archive: Archive, folder: Path) -> None:
    """
    Download an archive, check it, and unpack its programs into folder/bin.

    Raises:
        UnreachableError: if it cannot be downloaded.
        SetupError: if it is not the pinned file.

    """
    base = os.environ.get("GROUNDWORK_PULUMI_RELEASES", RELEASES).rstrip("/")
    url, target = f"{base}/{archive.name}", folder / archive.name
    say(f"downloading {url}")
    _download(url, target)
    _check(target, archive, url)
    _unpack(target, folder)
    target.unlink()


def _download(url: str, target: Path) -> None:
    """Fetch a file; give up soon where the network swallows connections."""
    try:
        if shutil.which("curl"):
            limits = [
                "--connect-timeout",
                str(CONNECT_TIMEOUT_S),
                "--speed-limit",
                "1000",
                "--speed-time",
                "20",
            ]
            run(
                ["curl", "--fail", "--silent", "--show-error", "--location", *limits, "-o", target, url],
                "downloading",
            )
        else:
            # Only http and https: the address comes from the user or from the constant above.
            with urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_S) as answer, target.open("wb") as file:  # noqa: S310
                shutil.copyfileobj(answer, file)
    except (OSError, SetupError) as error:
        raise UnreachableError(str(error)) from error


def _check(file: Path, archive: Archive, url: str) -> None:
    """Refuse a file that is not the pinned one."""
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != archive.sha256:
        message = (
            f"{url} is not the archive that scripts/engine/sha256sums pins, and was not used.\n"
            f"  pinned {archive.sha256}\n  found  {found}\n"
            "  Find out who changed it. To go on without it, put another pulumi on PATH (https://www.pulumi.com/docs/install)."
        )
        raise SetupError(message)


def _unpack(file: Path, folder: Path) -> None:
    """Unpack the programs; the archive has them in pulumi/ or, as of old, in pulumi/bin/."""
    with tarfile.open(file) as tar:
        # Python before 3.11.4 has no filters; the pinned sum vouches for the content either way.
        safe: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        tar.extractall(folder / "unpacked", **safe)  # noqa: S202  # see above
    top = folder / "unpacked" / "pulumi"
    (top / "bin" if (top / "bin").is_dir() else top).rename(folder / "bin")
    shutil.rmtree(folder / "unpacked")
