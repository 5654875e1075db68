"""A backfill of 2 million rows beside clients, against one plain UPDATE of the same rows.

Each round makes a fresh copy of the table for either way, and lets clients change rows of a hot range while
it runs. The figures are ratios of medians; the longest stall is the slowest transaction of any client. What
clients feel of the machine itself is measured beside, with nothing else running.
usage: scripts/bench benchmarks/backfill.py [ROUNDS [ROWS]]
"""

from __future__ import annotations

import random
import secrets
import shutil
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from emulator import postgres
from engines.migrations import Options, apply, read_folder

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENTS = 8
PER_SECOND = 25
HOT = 1_000
PLAIN = "update accounts set note = 'filled' where note is null"
FILE = "-- groundwork: backfill table=accounts key=id\n" + PLAIN + " and {batch};\n"
# Longer than any round takes when all is well; a round that is stuck ends here.
MOST_S = 120
QUIET_S = 5
BACKFILL = "backfill"
UPDATE = "plain UPDATE"


@dataclass
class Clients:
    """Sessions that change rows of a hot range, and what they felt."""

    dsn: str
    rows: int
    latencies: list[float] = field(default_factory=list)
    failed: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Be one client until told to stop."""
        chooser = random.Random()  # noqa: S311  # not a secret
        first = self.rows // 2
        with psycopg.connect(self.dsn, autocommit=True, options="-c statement_timeout=3000") as session:
            due = time.perf_counter()
            while not self.stop.wait(max(0.0, due - time.perf_counter())):
                key = first + chooser.randrange(HOT)
                begun = time.perf_counter()
                try:
                    session.execute("update accounts set balance = balance + 1 where id = %s", [key])
                except psycopg.Error:
                    self.failed += 1
                ended = time.perf_counter()
                self.latencies.append(ended - begun)
                due = max(due + 1 / PER_SECOND, ended)


@dataclass(frozen=True)
class Round:
    """One way, once: seconds, and what the clients felt."""

    took_s: float
    stall_s: float
    p99_s: float
    failed: int


def prepare(dsn: str, rows: int) -> None:
    """Make the table anew."""
    with psycopg.connect(dsn, autocommit=True) as session:
        session.execute("drop table if exists accounts")
        session.execute("drop schema if exists supabase_migrations, groundwork cascade")
        session.execute(
            "create table accounts (id bigint primary key, email text, balance bigint, note text)"
            " with (autovacuum_enabled = off)"
        )
        session.execute(
            "insert into accounts select i, 'user' || i || '@example.com', 0 from generate_series(1, %s) i",
            [rows],
        )
        session.execute("vacuum analyze accounts")
        session.execute("checkpoint")


def timed(dsn: str, rows: int, work: Callable[[], None]) -> Round:
    """Run one way beside the clients."""
    clients = Clients(dsn, rows)
    threads = [threading.Thread(target=clients.run) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    time.sleep(1)  # the clients are at their pace
    clients.latencies.clear()
    begun = time.perf_counter()
    work()
    took = time.perf_counter() - begun
    time.sleep(0.5)  # who waits for a row gets it
    clients.stop.set()
    for thread in threads:
        thread.join(MOST_S)
    felt = sorted(clients.latencies)
    return Round(took, felt[-1], felt[int(len(felt) * 0.99)], clients.failed)


def check(dsn: str, rows: int) -> None:
    """Stop when a way has not filled every row."""
    with psycopg.connect(dsn) as session:
        found = session.execute("select count(*) from accounts where note = 'filled'").fetchone()
    if found != (rows,):
        raise SystemExit(f"filled {found} of {rows} rows")


def plain(dsn: str) -> None:
    """Do all rows in one UPDATE."""
    limit = f"-c statement_timeout={MOST_S * 1000}"
    with psycopg.connect(dsn, autocommit=True, options=limit) as session:
        session.execute(PLAIN)


def ours(dsn: str, folder: Path) -> None:
    """Do all rows in batches, history and locks included."""
    apply(dsn, read_folder(folder), options=Options(), report=lambda _text: None)


def nothing(_dsn: str) -> None:
    """Let the clients run alone."""
    time.sleep(QUIET_S)


def compare(dsn: str, folder: Path, rounds: int, rows: int) -> dict[str, list[Round]]:
    """Run both ways in turn, and the clients alone."""
    ways: dict[str, Callable[[str], None]] = {
        BACKFILL: partial(ours, folder=folder),
        UPDATE: plain,
        "clients alone": nothing,
    }
    found: dict[str, list[Round]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            prepare(dsn, rows)
            found[name].append(timed(dsn, rows, partial(work, dsn)))
            if work is not nothing:
                check(dsn, rows)
    return found


def show(found: dict[str, list[Round]]) -> None:
    """Print medians, the worst of all rounds for what clients felt, and the ratio."""
    for name, rounds in found.items():
        took = statistics.median(one.took_s for one in rounds)
        stall = max(one.stall_s for one in rounds)
        p99 = statistics.median(one.p99_s for one in rounds)
        failed = sum(one.failed for one in rounds)
        print(
            f"{name:<13} {took:6.2f} s   longest stall {stall * 1000:5.0f} ms   "
            f"client p99 {p99 * 1000:5.0f} ms   failed {failed}"
        )
    ours_s, plain_s = (statistics.median(one.took_s for one in found[name]) for name in (BACKFILL, UPDATE))
    print(f"ratio         {ours_s / plain_s:6.2f}     aim: at most 1.1; longest stall 100 ms; none failed")


def main(rounds: int, rows: int) -> None:
    """Start a server, compare, stop it."""
    home = Path(tempfile.mkdtemp(prefix="gw-bench-"))
    password = secrets.token_hex(8)
    settings = {"shared_buffers": "512MB", "max_wal_size": "4GB"}
    server = postgres.Server(home / "data", postgres.free_port(), settings, superuser="postgres")
    server.initialise(password)
    server.start()
    folder = home / "migrations"
    folder.mkdir()
    (folder / "001_fill.sql").write_text(FILE)
    try:
        show(
            compare(
                f"postgresql://postgres:{password}@127.0.0.1:{server.port}/postgres", folder, rounds, rows
            )
        )
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(*(numbers + [3, 2_000_000][len(numbers) :]))
