"""What clients feel while a migration waits for a lock: the longest stall, the 99th percentile, errors.

Clients update rows of one table all the time, a reader holds its lock (ACCESS SHARE) for a few seconds, and a
tool runs ALTER TABLE ADD COLUMN meanwhile: this engine, and psql, which waits in the queue with all clients
behind it. Last, CREATE INDEX CONCURRENTLY of this engine against the same reader.
usage: scripts/bench benchmarks/locks.py [ROWS]
"""

from __future__ import annotations

import random
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psycopg

from emulator import postgres
from engines.migrations import Options, apply, read_folder

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENTS = 8
PAUSE_S = 0.04  # 25 transactions a second each
QUIET_S = 3.0
READER_S = 8.0
AFTER_S = 1.0
ADD_COLUMN = "alter table t add column {} int"
INDEX = "create index concurrently {} on t (b)"


@dataclass
class Load:
    """Clients that update one row at a time; `times` has what each transaction took, in seconds."""

    dsn: str
    rows: int
    times: list[float] = field(default_factory=list)
    failed: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Start the clients."""
        self._threads = [threading.Thread(target=self._client) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop them."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as session:
            session.execute("set statement_timeout = '3s'")
            while not self._stop.wait(PAUSE_S):
                start = time.perf_counter()
                try:
                    row = random.randrange(self.rows)  # noqa: S311  # not a secret
                    session.execute("update t set b = b + 1 where a = %s", [row])
                except psycopg.Error:
                    self.failed += 1
                self.times.append(time.perf_counter() - start)


@dataclass(frozen=True)
class Felt:
    """What came out; times in seconds."""

    p99: float
    longest: float
    failed: int
    behind: float  # from the end of the reader to the end of the tool; before it: negative
    told: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Give one line."""
        return (
            f"p99 {self.p99 * 1000:7.1f} ms   longest stall {self.longest * 1000:7.1f} ms   "
            f"failed {self.failed:3}   done {self.behind:+.2f} s after the reader"
        )


def p99(times: list[float]) -> float:
    """Give the 99th percentile."""
    return statistics.quantiles(times, n=100)[98]


def felt(dsn: str, rows: int, tool: Callable[[Callable[[str], None]], None]) -> Felt:
    """Run a tool while a reader holds its lock, and look at the clients."""
    told: list[str] = []
    ended: list[float] = []

    def work() -> None:
        tool(told.append)
        ended.append(time.perf_counter())

    with psycopg.connect(dsn, application_name="long report") as reader, Load(dsn, rows) as load:
        # With a snapshot, for which CONCURRENTLY waits too.
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("select count(*) from t where a = 1")
        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(READER_S)
        reader.rollback()
        left = time.perf_counter()
        thread.join()
        time.sleep(AFTER_S)
    return Felt(p99(load.times), max(load.times), load.failed, ended[0] - left, tuple(told))


def engine(folder: Path, dsn: str, sql: str) -> Callable[[Callable[[str], None]], None]:
    """Give a run of this engine with one more file."""
    version = len(list(folder.iterdir())) + 1
    (folder / f"{version:03}_it.sql").write_text(sql.format(f"n{version}"))

    def tool(report: Callable[[str], None]) -> None:
        apply(dsn, read_folder(folder), options=Options(), report=report)

    return tool


def psql(dsn: str, sql: str) -> Callable[[Callable[[str], None]], None]:
    """Give a run of psql."""

    def tool(_report: Callable[[str], None]) -> None:
        subprocess.run(["psql", "-q", "-c", sql.format("by_psql"), dsn], check=True)

    return tool


def measure(dsn: str, rows: int, home: Path) -> None:
    """Fill the table, run all, print."""
    with psycopg.connect(dsn, autocommit=True) as session:
        session.execute("create table t (a int primary key, b int not null)")
        session.execute("insert into t select g, 0 from generate_series(0, %s) g", [rows])
        session.execute("vacuum analyze t")
    folder = home / "files"
    folder.mkdir()
    with Load(dsn, rows) as load:
        time.sleep(QUIET_S)
    quiet = p99(load.times)
    print(
        f"quiet                 p99 {quiet * 1000:7.1f} ms   longest stall {max(load.times) * 1000:7.1f} ms"
    )
    ours = felt(dsn, rows, engine(folder, dsn, ADD_COLUMN))
    print(f"groundwork            {ours}")
    if shutil.which("psql"):
        print(f"psql                  {felt(dsn, rows, psql(dsn, ADD_COLUMN))}")
    index = felt(dsn, rows, engine(folder, dsn, INDEX))
    print(f"groundwork, index     {index}")
    with psycopg.connect(dsn) as session:
        valid = session.execute("select bool_and(indisvalid) from pg_index where indrelid = 't'::regclass")
        print(f"index valid: {(valid.fetchone() or [None])[0]}")
    print(f"p99 ÷ quiet: {ours.p99 / quiet:.2f} (aim: at most 3); told: {ours.told[0]}")


def main(rows: int) -> None:
    """Start a server and measure."""
    home = Path(tempfile.mkdtemp(prefix="gw-bench-"))
    password = secrets.token_hex(8)
    server = postgres.Server(home / "data", postgres.free_port(), {"fsync": "off"}, superuser="postgres")
    server.initialise(password)
    server.start()
    try:
        measure(f"postgresql://postgres:{password}@127.0.0.1:{server.port}/postgres", rows, home)
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000)
