"""The engine from Go modules, for networks that reach package registries only; go.sum pins every file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

from scripts.engine.console import SetupError, run, say

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.engine.toolchain import Go

CLI = "github.com/pulumi/pulumi/pkg/v3"
SDK = "github.com/pulumi/pulumi/sdk/v3"
# What the language host starts; scripts that lie in the SDK's module, beside the Go code.
HELPERS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")


def version(modules: Path) -> str:
    """Read the engine's version from the module that builds it."""
    match = re.search(
        rf"^require {re.escape(CLI)} v([\d.]+)$", (modules / "cli" / "go.mod").read_text(), re.MULTILINE
    )
    if match is None:
        raise SetupError(f"{modules / 'cli' / 'go.mod'} does not say which version of {CLI} to build")
    return match[1]


def install(modules: Path, folder: Path, go: Go) -> None:
    """
    Build the engine and its Python language host into folder/bin.

    Raises:
        SetupError: if the build fails.

    """
    number = version(modules)
    environment = {**os.environ, **go.variables, "CGO_ENABLED": "0", "GOWORK": "off"}
    flags = f"-s -w -X {SDK}/go/common/version.Version=v{number} -X {SDK}.Version=v{number}"
    build: list[str | Path] = [
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-o",
        folder / "bin" / "pulumi",
        "-ldflags",
        flags,
    ]
    say(f"building the Pulumi engine {number} from Go modules: 4 to 7 minutes and 3 GB of Go's cache, once")
    started = time.monotonic()
    run([go.program, "-C", modules / "cli", *build, f"{CLI}/cmd/pulumi"], "building the engine", environment)
    host: list[str | Path] = [
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-o",
        folder / "bin" / "pulumi-language-python",
    ]
    host_package = f"{SDK}/python/cmd/pulumi-language-python"
    run(
        [go.program, "-C", modules / "python-host", *host, "-ldflags", "-s -w", host_package],
        "building the host",
        environment,
    )
    _copy_helpers([go.program, "-C", str(modules / "cli")], folder / "bin", environment)
    say(f"built in {time.monotonic() - started:.0f} s")


def _copy_helpers(go: list[str], target: Path, environment: dict[str, str]) -> None:
    """Copy the language host's scripts from Go's module cache, where files are read-only."""
    source = subprocess.run(
        [*go, "list", "-m", "-f", "{{.Dir}}", SDK],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if source.returncode:
        raise SetupError(f"{SDK} is not in Go's module cache: {source.stderr.strip()}")
    for helper in HELPERS:
        copy = target / helper.rpartition("/")[2]
        shutil.copyfile(f"{source.stdout.strip()}/{helper}", copy)
        copy.chmod(0o755)
