"""A folder that two tools apply to two fresh databases, and everything in which those may differ."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
import pytest

from emulator import postgres
from engines.migrations import Options, Outcome, apply, inspect, read_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.fix_postgres import Server

_BIN = postgres.installation() / "bin"
OURS = ("groundwork", "supabase_migrations", "drizzle")
# psql -1 cannot run these, and a person who has such a file leaves -1 away.
_NOT_IN_ONE = re.compile(rb"\bconcurrently\b|\bvacuum\b|no-transaction", re.IGNORECASE)


def dump(dsn: str, *hidden: str, options: Sequence[str] = ()) -> list[str]:
    """Give all that pg_dump knows of a database: objects, owners, rights, comments, rows, sequences."""
    arguments = [f"--exclude-schema={name}" for name in hidden]
    command = [str(_BIN / "pg_dump"), "--restrict-key=x", *options, *arguments, dsn]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()


def psql(dsn: str, file: Path) -> subprocess.CompletedProcess[str]:
    """Run one file as its author would: in one transaction where that is possible, up to the first error."""
    single = [] if _NOT_IN_ONE.search(file.read_bytes()) else ["-1"]
    command = [str(_BIN / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", *single, "-f", str(file), dsn]
    environment = {**os.environ, "PGCLIENTENCODING": "UTF8", "PGAPPNAME": "psql"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@dataclass(frozen=True)
class Twin:
    """A folder, a database for ours, and one for the tool that it is compared with."""

    path: Path
    dsn: str
    other: str

    def write(self, files: dict[str, str | bytes]) -> None:
        """Write files by their whole names; text as UTF-8, with its line ends."""
        for name, text in files.items():
            (self.path / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    def up(self) -> Outcome:
        """Apply with ours."""
        return apply(self.dsn, read_folder(self.path), options=Options(), report=lambda _text: None)

    def by_psql(self) -> None:
        """Apply with psql, file by file."""
        for file in sorted(self.path.glob("*.sql")):
            done = psql(self.other, file)
            assert done.returncode == 0, f"{file.name}: {done.stderr}"

    def rows(self, query: str, dsn: str | None = None) -> list[tuple[object, ...]]:
        """Ask a database."""
        with psycopg.connect(dsn or self.dsn, autocommit=True) as session:
            return session.execute(query.encode()).fetchall()

    def agree(self) -> None:
        """See that both databases are the same, each file is recorded once, and nothing is left to do."""
        assert dump(self.dsn, *OURS) == dump(self.other, *OURS)
        folder = read_folder(self.path)
        plan = inspect(self.dsn, folder)
        assert (plan.pending, plan.refusals) == ((), ())
        assert plan.applied == tuple(file.file for file in folder.files)
        assert self.rows("select count(*) from groundwork.migration_progress") == [(0,)]


@pytest.fixture
def twin(database: str, second: str, tmp_path: Path) -> Twin:
    """Give an empty folder and two empty databases."""
    path = tmp_path / "migrations"
    path.mkdir()
    return Twin(path, database, second)


@pytest.fixture
def third(postgres_server: Server, database: str) -> Iterator[str]:
    """Give one more fresh database."""
    name = database.rpartition("/")[2] + "_third"
    with psycopg.connect(postgres_server.dsn("postgres"), autocommit=True) as session:
        session.execute(f"create database {name}".encode())
        yield postgres_server.dsn(name)
        session.execute(f"drop database {name} with (force)".encode())
