"""The server itself dies in the middle of a message, with commits in it that are not on disk."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import psycopg
import pytest

from emulator import postgres
from engines.migrations import MigrationError
from tests import polling
from tests.engines.migrations.conftest import GATE, Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = 12


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[postgres.Server]:
    """Give a server of one's own which leaves WAL in memory as long as it can."""
    settings = {"wal_writer_delay": "10s", "autovacuum": "off"}
    server = postgres.Server(tmp_path / "data", postgres.free_port(), settings, superuser="postgres")
    server.initialise("secret")
    server.start()
    yield server
    server.stop()


def end_at_once(server: postgres.Server) -> None:
    """End a server as a crash does: nothing is written any more (PostgreSQL manual, "Shutting Down")."""
    pid = int((server.data / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGQUIT)
    polling.until(lambda: not server.running())


def test_file_and_record_are_lost_together(mortal: postgres.Server, tmp_path: Path) -> None:
    """After a crash, what is on record is what took effect; the next run brings the rest, each file once."""
    path = tmp_path / "migrations"
    path.mkdir()
    project = Project(path, f"postgresql://postgres:secret@127.0.0.1:{mortal.port}/postgres")
    project.execute("create table log (file text)")
    for number in range(1, FILES + 1):
        wait = f"select pg_advisory_xact_lock({GATE});" if number == FILES - 1 else ""
        project.write(**{f"_{number:03}_a": f"{wait}insert into log values ('{number:03}')"})
    with psycopg.connect(project.dsn, autocommit=True) as gate:
        gate.execute("select pg_advisory_lock(%s)", [GATE])
        ended: list[BaseException] = []

        def run() -> None:
            try:
                project.up()
            except MigrationError as error:
                ended.append(error)

        runner = threading.Thread(target=run)
        runner.start()
        waiting = "select count(*) from pg_stat_activity where wait_event = 'advisory'"
        polling.until(lambda: gate.execute(waiting).fetchone() == (1,))
        end_at_once(mortal)
    runner.join(30)
    assert "connection" in str(ended[0])

    mortal.start()
    applied = project.rows("select file from log order by 1")
    assert project.rows("select version from supabase_migrations.schema_migrations order by 1") == applied
    assert project.rows("select version from groundwork.migrations order by 1") == applied
    project.up()

    everything = [(f"{number:03}",) for number in range(1, FILES + 1)]
    assert project.rows("select file from log order by 1") == everything
    assert project.history == [version for (version,) in everything]
