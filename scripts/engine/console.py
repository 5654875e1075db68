"""What the parts of the bootstrap share with the person who waits: messages, progress, and one at a time."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

HEARTBEAT_S = 15.0


class SetupError(Exception):
    """The machine lacks something; the text says what, and what to do."""


def say(text: str) -> None:
    """Tell the user one thing, on standard error: standard output belongs to the command that follows."""
    print(f"bootstrap: {text}", file=sys.stderr, flush=True)


def run(command: Sequence[str | Path], what: str, environment: Mapping[str, str] | None = None) -> None:
    """
    Run a command that may take long, and say every few seconds that it is still at work.

    Raises:
        SetupError: with the end of the command's output, when it fails or cannot be started.

    """
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )
        except OSError as error:
            raise SetupError(f"{what} failed: {error}") from error
        try:
            _wait(process, what, started)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            output.seek(0)
            raise SetupError(
                f"{what} failed ({command[0]} ended with {process.returncode}):\n{_last_lines(output.read())}"
            )


def _wait(process: subprocess.Popen[bytes], what: str, started: float) -> None:
    """Wait for a process with a sign of life now and then."""
    while True:
        try:
            process.wait(HEARTBEAT_S)
        except subprocess.TimeoutExpired:
            say(f"  {what}: {time.monotonic() - started:.0f} s")
        else:
            return


def _last_lines(text: str, count: int = 15) -> str:
    """Indent the end of a command's output."""
    return "\n".join(f"  | {line}" for line in text.rstrip().splitlines()[-count:])


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Let one process at a time pass; the kernel frees the lock when its holder dies."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another bootstrap is at work; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
