"""The comparison of rows over several runs: resumed ones, two at once, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from engines.migrations import inspect, verify
from engines.migrations.run import connect
from engines.migrations.verification.rows import compare_rows
from engines.migrations.verification.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.migrations import Check, Folder
    from tests.engines.migrations.conftest import Project

COUNTED = "select exists (select from groundwork.row_counts)"
VERIFIED = "verified: tables, policies, row security, row counts, nulls"
SHRINKS = "-- groundwork: shrinks=a\ntruncate a"


@pytest.fixture
def rows(project: Project) -> Project:
    """Give a project with a table of 100 rows, and a run that is not verified."""
    project.execute("create table a as select n from generate_series(1, 100) n")
    project.write(_001_a="create table b ()")
    project.up(count_rows=True)
    return project


def row_counts(project: Project, folder: Folder) -> Check:
    """Verify as an update does, and give what was said about the rows; all the rest is fine."""
    checks = verify(project.dsn, folder, settle=True)
    assert [check.name for check in checks if not check.ok] == []
    return next(check for check in checks if check.name == "row counts")


class TestResumed:
    """A run that stopped and goes on."""

    def test_table_that_the_first_try_made(self, project: Project) -> None:
        """Rows that a file made and a later file took away are no loss, also when one between them failed."""
        project.write(_001_a="create table t as select generate_series(1, 100) n", _002_b="select 1 / 0")
        assert project.command("up").returncode == 1
        project.write(_002_b="delete from t")
        done = project.command("up")

        assert done.returncode == 0, done.stderr

    def test_second_session(self, project: Project) -> None:
        """A run that goes on in a second session compares with the rows before the first."""
        name = conninfo_to_dict(project.dsn)["dbname"]
        project.write(
            _001_a="create table t as select generate_series(1, 100) n",
            _002_b=f"alter database {name} set work_mem = '8MB'",
            _003_c="delete from t",
        )
        done = project.command("up")

        assert done.returncode == 0, done.stderr

    def test_nothing_to_compare(self, project: Project) -> None:
        """A database without tables is verified again, too, until all holds."""
        project.write(_001_a="select 1")
        (project.path / "checks").mkdir()
        (project.path / "checks" / "a.sql").write_text("select 'wrong'", encoding="utf-8")
        assert [project.command("up").returncode for _ in range(2)] == [1, 1]
        (project.path / "checks" / "a.sql").write_text("select 1 limit 0", encoding="utf-8")

        assert project.command("up").returncode == 0
        assert project.command("up").stdout == "nothing to do; 1 in all, latest 001\n"


class TestTwo:
    """A verification beside another run."""

    def test_run_under_way_keeps_its_counts(
        self, rows: Project, gate: Callable[[], None], until: Callable[[Callable[[], object]], object]
    ) -> None:
        """What holds for one run does not end the comparison of the other."""
        folder = rows.folder
        rows.write(_002_b="vacuum; select pg_advisory_xact_lock(4711)", _003_c="delete from a")
        runner = rows.start("up")
        until(lambda: rows.rows("select from pg_locks where objid = 4711 and not granted"))
        found = row_counts(rows, folder)
        gate()
        _out, text = runner.communicate()

        assert found.message == "another run is under way, whose verification will end the comparison"
        assert "public.a had 100 rows before the run" in text

    def test_loss_beside_a_run(
        self, rows: Project, gate: Callable[[], None], until: Callable[[Callable[[], object]], object]
    ) -> None:
        """Rows that a run takes away which is under way are its own to judge."""
        folder = rows.folder
        rows.write(_002_b=f"{SHRINKS}; vacuum; select pg_advisory_xact_lock(4711)")
        runner = rows.start("up")
        until(lambda: rows.rows("select from pg_locks where objid = 4711 and not granted"))
        found = row_counts(rows, folder)
        gate()
        _out, text = runner.communicate()

        assert found.message.startswith(
            "another run is under way, so these are left to the next verification"
        )
        assert "public.a had 100 rows" in found.message
        assert (runner.returncode, rows.value(COUNTED)) == (0, False), text

    def test_file_that_this_folder_does_not_have(self, rows: Project) -> None:
        """A run of an older folder does not fail for what a newer one did, nor does it end the comparison."""
        folder = rows.folder
        rows.write(_002_b=SHRINKS)
        rows.up(count_rows=True)
        found = row_counts(rows, folder)

        assert found.message.endswith(
            "but version 002, which this folder does not have, may mean to shrink it"
        )
        assert rows.value(COUNTED)
        assert row_counts(rows, rows.folder).message == ""
        assert not rows.value(COUNTED)

    def test_history_that_changes_meanwhile(self, rows: Project) -> None:
        """A comparison during which another run ended is left to that run, and says so."""
        before = inspect(rows.dsn, rows.folder)
        rows.write(_002_b=SHRINKS)
        rows.up(count_rows=True)
        with connect(rows.dsn, writes=False) as session:
            found = compare_rows(session, rows.folder, before, Rules())

        assert (found.shrunk, found.is_final) == ((), False)
        assert found.notes[0].startswith("another run has changed the history meanwhile")


class TestEnd:
    """The end of the comparison."""

    def test_beside_a_dump(self, rows: Project) -> None:
        """Somebody who only reads our tables, as pg_dump does, keeps no verification from its end."""
        with psycopg.connect(rows.dsn) as session:
            session.execute("lock table groundwork.row_counts in access share mode")
            assert row_counts(rows, rows.folder).message == ""

        assert not rows.value(COUNTED)
        assert rows.command("up").stdout == "nothing to do; 1 in all, latest 001\n"

    def test_that_fails_is_said(self, rows: Project) -> None:
        """Counts that cannot be removed are said to stay, and the next run verifies again."""
        with psycopg.connect(rows.dsn) as session:
            session.execute("lock table groundwork.row_counts in share mode")
            said = row_counts(rows, rows.folder).message
            told = rows.command("up").stdout.splitlines()

        assert said == (
            "the next run compares again, as the counts cannot be removed: "
            "canceling statement due to lock timeout"
        )
        assert told[-2:] == [f"note: row counts: {said}", VERIFIED]
        assert rows.command("up").stdout.splitlines()[-1] == VERIFIED
        assert not rows.value(COUNTED)
