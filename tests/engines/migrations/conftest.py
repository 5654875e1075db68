"""What the tests of the migration engine share: a folder to write, and short ways to run it and to look."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from engines.migrations import Options, Outcome, apply, read_folder
from tests import polling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engines.migrations import Folder

ROOT = Path(__file__).resolve().parents[3]
GATE = 4711


@dataclass(frozen=True)
class Project:
    """A folder of migrations and the database that it is for."""

    path: Path
    dsn: str

    def write(self, **files: str) -> None:
        """Write files; `_001_a` stands for 001_a.sql."""
        for key, text in files.items():
            (self.path / f"{key.removeprefix('_')}.sql").write_bytes(text.encode())

    @property
    def folder(self) -> Folder:
        """Read the folder as it is now."""
        return read_folder(self.path)

    def up(self, **options: Any) -> Outcome:
        """Run what is pending."""
        return apply(self.dsn, self.folder, options=Options(**options), report=lambda _text: None)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with psycopg.connect(self.dsn, autocommit=True) as session:
            return session.execute(query.encode()).fetchall()

    def value(self, query: str) -> Any:
        """Ask the database for one value."""
        return self.rows(query)[0][0]

    def execute(self, command: str) -> None:
        """Change the database behind the engine's back."""
        with psycopg.connect(self.dsn, autocommit=True) as session:
            session.execute(command.encode())

    @property
    def history(self) -> list[str]:
        """List the applied versions."""
        return [
            row[0]
            for row in self.rows("select version from supabase_migrations.schema_migrations order by 1")
        ]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command line as a process of its own."""
        command = [sys.executable, "-m", "engines.migrations.cli", *arguments, "--dir", str(self.path)]
        environment = {**os.environ, "GROUNDWORK_DSN": self.dsn, "PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True, cwd=self.path)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line to its end."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture
def project(database: str, tmp_path: Path) -> Project:
    """Give an empty folder and an empty database."""
    path = tmp_path / "migrations"
    path.mkdir()
    return Project(path, database)


@pytest.fixture
def gate(database: str) -> Iterator[Callable[[], None]]:
    """Close a gate that `select pg_advisory_xact_lock(4711)` in a file waits at; call it to open it."""
    with psycopg.connect(database, autocommit=True) as session:
        session.execute("select pg_advisory_lock(%s)", [GATE])

        def open_it() -> None:
            session.execute("select pg_advisory_unlock(%s)", [GATE])

        yield open_it


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Any]:
    """Wait for something to become true, at most 30 seconds."""
    return polling.until
