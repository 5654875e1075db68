"""Migrations: this engine against other tools and against limits, in interleaved rounds; medians and ratios.

Whole processes, each with a fresh database. The limits do less than a tool must (no checksums, no lock, no
parser): "psql" is one transaction around all files; "loop" is psycopg with one transaction a file, "bundle"
one message a file, "batch" as many files as fit into 64 KiB a message, each with a history row.
"Inside" are seconds within a Python process: our `read_folder` and `apply` ÷ what batch does.
usage: scripts/bench benchmarks/migrations.py [ROUNDS] [CASE…]
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from benchmarks.delay import far_away
from benchmarks.peers import PEERS
from emulator import postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]
ROUND_TRIP_S = 0.020
OURS = "groundwork"
LIMIT_S = 300
INSIDE = re.compile(r"^inside ([0-9.]+)$", re.MULTILINE)

# What runs inside of a Python process of its own: argv is the folder and the DSN.
ENGINE = """
import sys, time
from pathlib import Path
import engines.migrations.run
from engines.migrations import Options, apply, read_folder
start = time.perf_counter()
apply(sys.argv[2], read_folder(Path(sys.argv[1])), options=Options(), report=lambda _text: None)
print("inside", time.perf_counter() - start)
"""
LIMIT = """
import sys, time
from pathlib import Path
import psycopg
from psycopg import sql, generators
way, size = sys.argv[3], 0
start = time.perf_counter()
with psycopg.connect(sys.argv[2], autocommit=True) as session:
    session.execute("create table if not exists history (version text primary key, sql text)")
    done = {row[0] for row in session.execute("select version from history")}
    texts = {path.name: path.read_text() for path in sorted(Path(sys.argv[1]).iterdir())}
    row = sql.SQL("insert into history values ({}, {})")
    waiting = []
    def send():
        session.pgconn.send_query(";".join(waiting).encode())
        for result in session.wait(generators.execute(session.pgconn)):
            if result.error_message:
                raise SystemExit(result.error_message.decode())
        waiting.clear()
    for name, text in texts.items():
        if name in done:
            continue
        if way == "loop":
            with session.transaction():
                session.execute(text)
                session.execute("insert into history values (%s, %s)", [name, text])
            continue
        message = f"begin;{text};{row.format(name, text).as_string()};commit"
        if waiting and (way == "bundle" or size + len(message) > 65536):
            send()
            size = 0
        waiting.append(message)
        size += len(message)
    if waiting:
        send()
print("inside", time.perf_counter() - start)
"""


def small(count: int) -> dict[str, str]:
    """Write files as folders hold them: of ten, one makes a table, the others change it, a few lines each."""
    return {f"{n:04}_change_{n}": _small(n) for n in range(1, count + 1)}


def _small(number: int) -> str:
    """Write one of them."""
    table, step = f"t{(number - 1) // 10}", (number - 1) % 10
    if step == 0:
        return (
            f"create table {table} (id int primary key, owner uuid not null, name text not null,\n"
            f"  made timestamptz not null default now());\ncreate index on {table} (owner);\n"
            f"alter table {table} enable row level security;\n"
            f"create policy own on {table} using (owner = '{number:032x}');\n"
        )
    if step <= 3:
        column = f"c{step}"
        return (
            f"alter table {table} add {column} int;\ncomment on column {table}.{column} is 'a number';\n"
            f"create index on {table} ({column});\n"
        )
    if step == 4:
        return f"insert into {table} (id, owner, name) values ({step}, '{number:032x}', 'name {number}');\n"
    if step == 5:
        return f"create view v_{table} with (security_invoker = on) as select id, name from {table};\n"
    body = f"select name from {table} where id = i + {step}"
    return f"create or replace function f_{table}(i int) returns text language sql as $$ {body} $$;\n"


def long(statements: int, width: int) -> dict[str, str]:
    """Write one file of many statements."""
    rows = "".join(f"insert into a values ({n}, '{'x' * width}');\n" for n in range(statements - 1))
    return {"0001_long": f"create table a (id int, name text);\n{rows}"}


@dataclass(frozen=True)
class Case:
    """What is run.

    Attributes:
        files: texts by name without suffix.
        before: how many of them are applied before the clock starts.
        far: through the proxy.
    """

    files: Mapping[str, str]
    before: int = 0
    far: bool = False


CASES: dict[str, Callable[[], Case]] = {
    "1,000 files": lambda: Case(small(1000)),
    "no-op on 1,000": lambda: Case(small(1000), before=1000),
    "1 of 1,000": lambda: Case(small(1000), before=999),
    "2,000 statements": lambda: Case(long(2000, 20)),
    "20 MB": lambda: Case(long(100_000, 170)),
    "50 files, 20 ms": lambda: Case(small(50), far=True),
    "no-op on 1,000, 20 ms": lambda: Case(small(1000), before=1000, far=True),
}


@dataclass(frozen=True)
class Contestant:
    """Something that runs files: how it wants them, and its command."""

    lay_out: Callable[[Path, Mapping[str, str]], None]
    command: Callable[[Path, str], list[str]]


def _python(script: str, *more: str) -> Callable[[Path, str], list[str]]:
    return lambda folder, dsn: [sys.executable, "-c", script, str(folder), dsn, *more]


def _psql(folder: Path, dsn: str) -> list[str]:
    files = [part for path in sorted(folder.iterdir()) for part in ("-f", str(path))]
    return ["psql", "-q", "-1", "-v", "ON_ERROR_STOP=1", *files, dsn]


def contestants() -> dict[str, Contestant]:
    """Give everything that can be run here; say what cannot."""
    from benchmarks.peers import plain  # noqa: PLC0415  # a name too general for the module

    found = {
        OURS: Contestant(plain(), _python(ENGINE)),
        **{way: Contestant(plain(), _python(LIMIT, way)) for way in ("batch", "bundle", "loop")},
    }
    if shutil.which("psql"):
        found["psql, 1 transaction"] = Contestant(plain(), _psql)
    for peer in PEERS:
        reason = peer.prepare()
        if reason:
            print(f"left out: {peer.name}: {reason}")
        else:
            found[peer.name] = Contestant(peer.lay_out, lambda *at, peer=peer: list(peer.command(*at)))
    return found


@dataclass(frozen=True)
class Bench:
    """The server, and a folder for files."""

    port: int
    password: str
    home: Path

    def dsn(self, database: str, port: int) -> str:
        """Give a URL; a name in plain ASCII, as each tool's parser is another."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{port}/{database}"

    def fresh(self) -> Iterator[str]:
        """Make an empty database, and drop it."""
        name = f"b_{secrets.token_hex(6)}"
        with psycopg.connect(self.dsn("postgres", self.port), autocommit=True) as session:
            session.execute(f"create database {name}".encode())
            yield name
            session.execute(f"drop database {name} with (force)".encode())

    def timed(self, who: Contestant, case: Case) -> tuple[float, float | None, int]:
        """Time one run: whole process and, where it says so, inside, in seconds; count its round trips."""
        for database in self.fresh():
            if case.before:
                first = dict(list(case.files.items())[: case.before])
                run(who, self._folder(who, first), self.dsn(database, self.port))
            folder = self._folder(who, case.files)
            if not case.far:
                return *run(who, folder, self.dsn(database, self.port)), 0
            with far_away(self.port, ROUND_TRIP_S) as line:
                return *run(who, folder, self.dsn(database, line.port)), line.round_trips
        raise AssertionError

    def _folder(self, who: Contestant, files: Mapping[str, str]) -> Path:
        """Write the files; the same path each time, as some tools remember it."""
        folder = self.home / "files"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        who.lay_out(folder, files)
        return folder


def run(who: Contestant, folder: Path, dsn: str) -> tuple[float, float | None]:
    """Run a command and time it; raises with its words when it fails."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SUPABASE_TELEMETRY_DISABLED": "1", "DO_NOT_TRACK": "1"}
    start = time.perf_counter()
    done = subprocess.run(
        who.command(folder, dsn), env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    passed = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout)[-300:])
    inside = INSIDE.search(done.stdout)
    return passed, float(inside[1]) if inside else None


def compare(bench: Bench, case: Case, who: dict[str, Contestant], rounds: int) -> None:
    """Run all in turn, a few rounds, and print medians."""
    whole: dict[str, list[float]] = defaultdict(list)
    inside: dict[str, list[float]] = defaultdict(list)
    trips: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, contestant in list(who.items()):
            if case.before and name.startswith("psql"):
                continue
            try:
                passed, within, round_trips = bench.timed(contestant, case)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                print(f"  {name}: failed: {error}")
                del who[name]
                continue
            whole[name].append(passed)
            inside[name] += [] if within is None else [within]
            trips[name] += [round_trips] if round_trips else []
    show(_medians(whole), _medians(inside), _medians(trips))


def _medians(figures: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(found) for name, found in figures.items() if found}


def show(median: Mapping[str, float], within: Mapping[str, float], trips: Mapping[str, float]) -> None:
    """Print a table: seconds, ours as a ratio to each, and round trips on a long line."""
    for name, seconds in sorted(median.items(), key=lambda item: item[1]):
        ratio = f"ours ÷ it {median[OURS] / seconds:5.2f}"
        more = (
            f"   inside {within[name]:6.3f} s, {within[OURS] / within[name]:5.2f}" if name in within else ""
        )
        far = f"   {trips[name]:.0f} round trips" if name in trips else ""
        print(f"  {name:22} {seconds:7.3f} s   {ratio}{more}{far}", flush=True)


def main(rounds: int, chosen: list[str]) -> None:
    """Run the cases."""
    home = Path(tempfile.mkdtemp(prefix="gw-bench-"))
    password = secrets.token_hex(8)
    server = postgres.Server(home / "data", postgres.free_port(), {}, superuser="postgres")
    who = contestants()
    server.initialise(password)
    server.start()
    try:
        for name, make in CASES.items():
            if not chosen or name in chosen:
                print(f"{name} (median of {rounds})")
                compare(Bench(server.port, password, home), make(), dict(who), rounds)
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5, sys.argv[2:])
