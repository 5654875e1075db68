"""Runs a workload as a host does: its own process in its own folder, ended by its process id."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from emulator.postgres import free_port
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What the tests plant and look for where it must not be.
SHARED = {"2": "CANARY-shared-new", "1": "CANARY-shared-old"}
SESSION_KEY = "CANARY-session-key-0123456789-abcdef"
SESSION_KEYS = json.dumps({"use": "2", "values": {"1": f"{SESSION_KEY}-old", "2": SESSION_KEY}})
BILLING = {"2": "CANARY-billing-new", "1": "CANARY-billing-old"}
MAIL_KEY = "CANARY-mail-key"
AI_KEY = "CANARY-ai-key"
WORKLOADS = Path(__file__).parent.parent.parent / "workloads"


@dataclass(frozen=True)
class Program:
    """A running workload.

    Attributes:
        url: where it listens.
        process: its process.
        log: the file with its output.
    """

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Send a GET request."""
        return httpx.get(f"{self.url}{path}", timeout=30, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """Send a POST request."""
        return httpx.post(f"{self.url}{path}", timeout=30, **options)

    def lines(self) -> list[dict[str, Any]]:
        """Read the log; every line is JSON, or the test fails."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def stop(self) -> int:
        """Ask it to end and give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


RunApp = Callable[..., Program]


def start(
    name: str, environment: Mapping[str, str], log: Path, port: int | None = None, folder: Path = WORKLOADS
) -> subprocess.Popen[bytes]:
    """Start a workload of a folder of workloads; `port`: None leaves it to the system."""
    command = [sys.executable, "serve.py", "--host", "127.0.0.1", "--port", str(port or 0)]
    # Nothing of the caller's environment but what Python needs: its proxies and secrets are not the test's.
    clean = {"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "error"}
    with log.open("ab") as output:
        return subprocess.Popen(
            command, cwd=folder / name, env={**clean, **environment}, stdout=output, stderr=output
        )


@contextlib.contextmanager
def running(
    name: str, environment: Mapping[str, str], log: Path, port: int | None = None, folder: Path = WORKLOADS
) -> Iterator[Program]:
    """Run a workload until the end of the block."""
    port = port or free_port()
    program = Program(f"http://127.0.0.1:{port}", start(name, environment, log, port, folder), log)
    try:
        until(lambda: _answers(program))
        yield program
    finally:
        if program.process.poll() is None:
            program.stop()


def _answers(program: Program) -> bool:
    assert program.process.poll() is None, program.log.read_text()
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{program.url}/ready", timeout=5).status_code > 0
    return False


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Parse a stream of server-sent events into (name, data)."""
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    return [(head.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for head, data in blocks]


def answer(text: str) -> str:
    """Join the tokens of a streamed reply."""
    return "".join(data["text"] for name, data in events(text) if name == "token")
