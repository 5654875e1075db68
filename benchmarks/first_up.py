"""From nothing to healthy: the time of the first `pulumi up` of the local stack, after bootstrap.

Beside it stands what cannot be saved: making and starting one PostgreSQL server, in the same run.
usage: scripts/bench benchmarks/first_up.py
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from emulator import postgres
from tests.fix_program import open_program


def bare_server(home: Path) -> float:
    """Time initdb and start of one server, in seconds."""
    server = postgres.Server(home / "bare", postgres.free_port())
    start = time.perf_counter()
    server.initialise("benchmark")
    server.start()
    passed = time.perf_counter() - start
    server.stop()
    return passed


def main() -> None:
    """Bring a fresh copy up once and print the time."""
    home = Path(tempfile.mkdtemp(prefix="gw-bench-"))
    limit = bare_server(home)
    program = open_program(home / "program")
    start = time.perf_counter()
    try:
        program.up()
        passed = time.perf_counter() - start
    finally:
        program.clean()
        shutil.rmtree(home, ignore_errors=True)
    print(f"first up     {passed:6.1f} s   aim: at most 60 on two cores")
    print(f"one server   {limit:6.1f} s   initdb and start of PostgreSQL alone")
    print(f"ratio        {passed / limit:6.1f}")


if __name__ == "__main__":
    main()
