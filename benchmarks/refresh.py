"""A whole project, read in one round of concurrent requests, against one request and one by one.

Every request of the stand-in takes 100 ms longer, as far as a platform elsewhere is away; the limit is one
request with that delay. The medians' ratios count. usage: scripts/bench benchmarks/refresh.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from engines.supabase import PARTS, ManagementClient, read_project
from tests.fix_emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable

DELAY_S = 0.1


def timed(what: Callable[[], object]) -> float:
    """Time one call, in seconds."""
    start = time.perf_counter()
    what()
    return time.perf_counter() - start


def main(rounds: int) -> None:
    """Read in the three ways in turn and print the ratios."""
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as home:
        emulator = Emulator(Path(home) / "data")
        emulator.start()
        try:
            measure(emulator, emulator.create("bench").ref, rounds)
        finally:
            emulator.dispose()


def measure(emulator: Emulator, ref: str, rounds: int) -> None:
    """Print what one project costs."""
    slow = {"kind": "slow", "path": "/v[12]/.*", "seconds": DELAY_S, "times": 1_000_000}
    emulator.client.post("/emulator/faults", json=slow).raise_for_status()
    with ManagementClient(emulator.api_url, emulator.token) as client:
        ways: dict[str, Callable[[], object]] = {
            "one request": lambda: client.projects.get(ref),
            "all parts, one round": lambda: read_project(client, ref),
            "all parts, one by one": lambda: [read(client, ref) for read in PARTS.values()],
            "all sections, one request": lambda: client.overview.read(ref),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds + 1):
            for name, way in ways.items():
                times[name].append(timed(way))
    # The first round opens the connections.
    medians = {name: statistics.median(found[1:]) for name, found in times.items()}
    limit = medians["one request"]
    for name, seconds in medians.items():
        print(f"{name:26} {seconds:6.3f} s   {seconds / limit:5.2f} x one request")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
