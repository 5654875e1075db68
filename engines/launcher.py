"""Becomes a program: the small step between the supervisor and what it keeps alive.

`python launcher.py NAME`, started by the supervisor inside a home folder, reads `run/NAME.json`, makes
sure that no earlier instance of the same program lives, and replaces itself by the program.

A running program holds a lock (flock) on `run/NAME.lock`, inherited through exec and released by the
kernel at its end, however it ends. The file's text says who holds it. So "does it live" never depends on
a process number that may have been given to somebody else, and there are never two of one program.

Only the standard library is imported: this file runs as a script, before every start.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TERM_TIMEOUT_S = 20.0
KILL_TIMEOUT_S = 5.0
_POLL_S = 0.05
# What a program gets of its starter's environment; all else would carry secrets of the caller along.
# The name under which the supervisor itself holds a lock; no program can have it.
DAEMON = "-daemon"
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass(frozen=True)
class Spec:
    """What to run, as stored in `run/NAME.json` (no secret is in it).

    Attributes:
        command: program and arguments.
        directory: where it runs.
        environment: all variables but those of `PASSED_ON`.
        definition: fingerprint of everything that makes a restart necessary.
    """

    command: tuple[str, ...]
    directory: str
    environment: dict[str, str]
    definition: str


@dataclass(frozen=True)
class Holder:
    """Who holds a program's lock: its process (leader of its own process group) and definition."""

    pid: int
    definition: str


def spec_file(run: Path, name: str) -> Path:
    """Give the file of a program's definition."""
    return run / f"{name}.json"


def lock_file(run: Path, name: str) -> Path:
    """Give the file whose lock a living program holds."""
    return run / f"{name}.lock"


def guard_file(lock: Path) -> Path:
    """Give the file that lets one process at a time look at a lock."""
    return lock.with_suffix(".guard")


def read_spec(path: Path) -> Spec:
    """Read a definition; raises OSError or ValueError when it is not there or broken."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    return Spec(tuple(raw["command"]), raw["directory"], dict(raw["environment"]), raw["definition"])


def dump_spec(spec: Spec) -> str:
    """Give the stored form of a definition."""
    return json.dumps(asdict(spec), indent=2, sort_keys=True)


@contextlib.contextmanager
def _guarded(lock: Path) -> Iterator[None]:
    """Let one process at a time look at a lock.

    Looking means taking it for a moment: without the guard, somebody else who looks would be mistaken
    for the holder, and the process number that a dead holder left be believed.
    """
    descriptor = os.open(guard_file(lock), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _try_lock(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            return None
        raise
    return descriptor


def holder(path: Path) -> Holder | None:
    """Say who holds a lock; None: nobody (a text that a dead process left does not count)."""
    if not path.exists():
        return None
    with _guarded(path):
        descriptor = _try_lock(path)
        if descriptor is not None:
            os.close(descriptor)
            return None
        raw = json.loads(path.read_text(encoding="utf-8"))
    return Holder(int(raw["pid"]), str(raw["definition"]))


def end_holder(path: Path, *, term_timeout_s: float = TERM_TIMEOUT_S) -> bool:
    """End whoever holds a lock, politely at first, with its process group; tell whether it is gone."""
    for number, patience in ((signal.SIGTERM, term_timeout_s), (signal.SIGKILL, KILL_TIMEOUT_S)):
        found = holder(path)
        if found is None:
            return True
        _signal_group(found.pid, number)
        if _wait_released(path, patience):
            return True
    return False


def _signal_group(pid: int, number: signal.Signals) -> None:
    if pid <= 1:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def _wait_released(path: Path, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while holder(path) is not None:
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def hold(path: Path, definition: str) -> bool:
    """Take a lock for this process and what it becomes by exec, and write who holds it; False: it is held."""
    with _guarded(path):
        descriptor = _try_lock(path)
        if descriptor is None:
            return False
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "definition": definition}).encode(), 0)
        os.set_inheritable(descriptor, True)
    return True


def become(spec: Spec) -> None:
    """Replace this process by the program; returns only by an OSError."""
    base = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
    os.chdir(spec.directory)
    # Python ignores SIGPIPE, and a background shell SIGINT: programs expect the defaults.
    for number in (signal.SIGPIPE, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    environment = {**base, **spec.environment}
    os.execvpe(spec.command[0], list(spec.command), environment)  # noqa: S606 - no shell is the point


def main(name: str, run: Path = Path("run")) -> str:
    """Start the program `name`; returns only with the reason why it could not be started."""
    lock = lock_file(run, name)
    try:
        spec = read_spec(spec_file(run, name))
        if not end_holder(lock) or not hold(lock, spec.definition):
            return f"an earlier instance of {name} (pid {_pid_text(lock)}) does not end; end it by hand"
        become(spec)
    except (OSError, ValueError, KeyError) as error:
        return f"cannot start {name}: {error}"
    return f"cannot start {name}"


def _pid_text(lock: Path) -> str:
    found = holder(lock)
    return str(found.pid) if found else "unknown"


def become_daemon(run: Path = Path("run")) -> str:
    """Leave a supervisor behind, in a session of its own; returns with what went wrong, or nothing."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        # The child has taken the lock, or has ended without.
        return "" if os.read(reader, 1) else "it ended before it had begun"
    os.setsid()
    _redirect(run / "supervisord.err")
    if hold(lock_file(run, DAEMON), ""):
        os.write(writer, b"+")
        arguments = ["-I", "-m", "supervisor.supervisord", "-n", "-s", "-c", str(run / "supervisord.conf")]
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - no shell is the point
    os._exit(1)


def _redirect(errors: Path) -> None:
    """Let go of the starter's input and outputs."""
    nothing = os.open(os.devnull, os.O_RDWR)
    complaints = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for source, target in ((nothing, 0), (nothing, 1), (complaints, 2)):
        os.dup2(source, target)


if __name__ == "__main__":
    sys.exit((become_daemon() if sys.argv[1] == "--daemon" else main(sys.argv[1])) or 0)
