"""A constant load on one address, from a process of its own; every request is on record with its answer.

Open loop: a request begins when its time has come, whether or not earlier ones are answered, so that a stall
is felt by all who would have asked during it. Bounded in time and in requests under way, on loopback only.

usage: python -m tests.load URL --rate N --seconds N
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from urllib.parse import urlsplit

import aiohttp

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parent.parent
LONGEST_S = 1800
MOST_OPEN = 500
TIMEOUT_S = 30


@dataclass(frozen=True)
class Shot:
    """One request.

    Attributes:
        begun: when its time had come, by the monotonic clock, in seconds.
        seconds: until its answer was read.
        answer: the HTTP status, or the name of what went wrong.
    """

    begun: float
    seconds: float
    answer: str

    @property
    def is_ok(self) -> bool:
        """Whether it was answered with 200."""
        return self.answer == "200"


@dataclass(frozen=True)
class Phase:
    """What callers felt in one span of time.

    Attributes:
        requests: how many began in it.
        failed: those that were not answered with 200.
        p99: in seconds, counted from the time at which a request should have begun.
    """

    requests: int
    failed: tuple[Shot, ...]
    p99: float


class Load:
    """A running load; the context that made it ends it."""

    def __init__(self, process: subprocess.Popen[str], record: Path) -> None:
        """Keep the process and the file that it writes."""
        self._process = process
        self._record = record

    def stop(self) -> None:
        """Ask no more, and wait for the answers that are still to come."""
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(timeout=TIMEOUT_S * 2) == 0

    def shots(self, since: float = 0, until: float = float("inf")) -> list[Shot]:
        """Give what is on record of a span of the monotonic clock."""
        lines = [line.split() for line in self._record.read_text().splitlines() if line.endswith(";")]
        found = [Shot(float(begun), float(took), answer.rstrip(";")) for begun, took, answer in lines]
        return [shot for shot in found if since <= shot.begun < until]

    def phase(self, since: float, until: float) -> Phase:
        """Sum a span up."""
        shots = self.shots(since, until)
        return Phase(len(shots), tuple(shot for shot in shots if not shot.is_ok), percentile_99(shots))


def percentile_99(shots: Sequence[Shot]) -> float:
    """Give the 99th percentile of how long requests took, in seconds; 0 without any."""
    times = [shot.seconds for shot in shots]
    return statistics.quantiles(times, n=100)[98] if len(times) > 1 else sum(times)


@contextlib.contextmanager
def running(url: str, rate: int) -> Iterator[Load]:
    """Send `rate` requests per second to a loopback address until the context ends."""
    assert urlsplit(url).hostname == "127.0.0.1", "load goes to this machine only"
    with tempfile.TemporaryDirectory(prefix="gw-load-") as home:
        record = Path(home) / "record"
        command = [sys.executable, "-m", "tests.load", url, "--rate", str(rate), "--seconds", str(LONGEST_S)]
        with record.open("w") as file:
            process = subprocess.Popen(command, cwd=ROOT, stdout=file, text=True)
        try:
            until(record.read_text, what="a load that has begun")
            yield Load(process, record)
        finally:
            process.kill()
            process.wait()


async def _shoot(session: aiohttp.ClientSession, url: str, due: float, record: TextIO) -> None:
    try:
        async with session.get(url) as response:
            await response.read()
            answer = str(response.status)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        answer = type(error).__name__
    record.write(f"{due:.6f} {time.monotonic() - due:.6f} {answer};\n")


async def _run(url: str, rate: int, seconds: float) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=MOST_OPEN)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        started, shots = time.monotonic(), set[asyncio.Task[None]]()
        sys.stdout.write("begun\n")
        for number in range(int(rate * seconds)):
            due = started + number / rate
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), max(0, due - time.monotonic()))
            if ended.is_set():
                break
            shot = asyncio.create_task(_shoot(session, url, due, sys.stdout))
            shots.add(shot)
            shot.add_done_callback(shots.discard)
        await asyncio.gather(*shots)


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args()
    # What is on record stays there when the process is killed.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    asyncio.run(_run(given.url, given.rate, min(given.seconds, LONGEST_S)))


if __name__ == "__main__":
    _main()
