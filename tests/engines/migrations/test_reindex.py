"""REINDEX CONCURRENTLY that was killed or failed: what it left is cleaned up, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from engines.migrations import FailedError
from tests import polling

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engines.migrations.conftest import Project

TABLE = """create schema s; create table s.t (a text primary key, b text);
create index "i _1" on s.t (b); insert into s.t values ('a', 'b');"""
PARTED = """create schema s; create table s.t (a text primary key, b text) partition by hash (a);
create table s.p partition of s.t for values with (modulus 1, remainder 0);
create index "i _1" on s.t (b); insert into s.t values ('a', 'b');"""
INVALID = (
    "select indexrelid::regclass::text from pg_index i join pg_class c on c.oid = i.indexrelid "
    "where not indisvalid order by 1"
)
PHASE = "select pid from pg_stat_progress_create_index where command ~ 'REINDEX' and phase = '{}'"
SNAPSHOTS = "waiting for old snapshots"
DEAD = "waiting for readers before marking dead"


def _wait_for(project: Project, phase: str) -> int:
    """Wait for a phase of the rebuild, and give its server process."""
    query = PHASE.format(phase)
    return int(polling.until(lambda: project.rows(query), what=phase)[0][0])


def _kill(project: Project, runner: Any, pid: int) -> None:
    """End the runner and its session."""
    runner.kill()
    runner.communicate()
    project.execute(f"select pg_terminate_backend({pid}, 10000)")


def _killed_while_building(project: Project) -> None:
    """Kill a run whose rebuild waits for an old snapshot before it may use the new index."""
    with psycopg.connect(project.dsn) as old:
        old.execute("set transaction isolation level repeatable read")
        old.execute("select 1")
        runner = project.start("up")
        _kill(project, runner, _wait_for(project, SNAPSHOTS))


def _killed_after_the_swap(project: Project) -> None:
    """Kill a run whose rebuild has given the new index its name, and waits for readers of the old one."""
    with psycopg.connect(project.dsn) as old, psycopg.connect(project.dsn) as reader:
        old.execute("set transaction isolation level repeatable read")
        old.execute("select 1")
        runner = project.start("up")
        _wait_for(project, SNAPSHOTS)
        reader.execute("select from s.t")
        old.rollback()
        _kill(project, runner, _wait_for(project, DEAD))


@pytest.mark.parametrize("what", ['index s."i _1"', "table s.t", "schema s", "database"])
@pytest.mark.parametrize("kill", [_killed_while_building, _killed_after_the_swap])
@pytest.mark.parametrize("table", [TABLE, PARTED])
def test_killed_rebuild(project: Project, kill: Callable[[Project], None], what: str, table: str) -> None:
    """After a kill in either half, the next run drops the leftovers and rebuilds; the index stays valid."""
    project.write(_001_a=table)
    project.up()
    name = project.value("select current_database()") if what == "database" else ""
    project.write(_002_b=f"vacuum s.t; reindex (concurrently) {what} {name};")
    kill(project)
    assert project.value(f"select count(*) from ({INVALID}) x") > 0

    project.up()
    assert project.rows(INVALID) == []
    assert project.value("select bool_and(indisvalid) from pg_index")
    assert project.history == ["001", "002"]


def test_failed_rebuild(project: Project) -> None:
    """A rebuild that ran into a timeout is done again, without what it left."""
    project.write(_001_a=TABLE)
    project.up()
    project.write(_002_b="set statement_timeout = '300ms'; reindex table concurrently s.t;")
    with psycopg.connect(project.dsn) as client:
        client.execute("insert into s.t values ('x')")
        with pytest.raises(FailedError, match="canceling statement due to statement timeout"):
            project.up()
    assert project.rows(INVALID)

    project.up()
    assert project.rows(INVALID) == []


@pytest.mark.parametrize("sql", ["reindex table concurrently s.t", "create index concurrently j on s.t (b)"])
def test_tries_for_a_lock_leave_nothing(project: Project, sql: str) -> None:
    """With a lock timeout of its own a file is tried again: each try cleans up after the one before."""
    project.write(_001_a=TABLE)
    project.up()
    project.write(_002_b=f"set lock_timeout = '20ms'; {sql};")
    with psycopg.connect(project.dsn) as client:
        client.execute("insert into s.t values ('x')")
        runner = project.start("up")
        polling.until(lambda: project.rows("select from pg_stat_activity where query ~ '^drop index conc'"))
    assert runner.communicate(timeout=60)
    assert runner.returncode == 0
    assert project.rows(INVALID) == []
    assert project.value("select count(*) from pg_index where indrelid = 's.t'::regclass") == 2 + (
        "j on" in sql
    )


def test_what_is_not_left_over_stays(project: Project) -> None:
    """Valid indexes, and invalid ones of another table, other columns or another name, stay."""
    kept = ['"i _1_ccnew" on s.t (b)', '"i _1_ccold" on s.t (a)', "i_x_ccnew on s.t (b)", "other on s.t (b)"]
    kept += ['"i _1_ccnew7" on s.u (b)']
    project.write(_001_a=f"{TABLE} create table s.u (b text);" + "".join(f"create index {i};" for i in kept))
    project.up()
    for index in kept[1:]:
        name = index.partition(" on ")[0].replace('"', "")
        of = f"from pg_class where oid = indexrelid and relname = '{name}'"
        project.execute(f"update pg_index set indisvalid = false {of}")
    project.write(_002_b="vacuum s.t; reindex table concurrently s.t;")
    _killed_while_building(project)
    left = {row[0] for row in project.rows(INVALID)}
    project.up()

    assert {row[0] for row in project.rows(INVALID)} < left
    for index in kept:
        name = index.partition(" on ")[0].replace('"', "")
        assert project.value(f"select count(*) from pg_class where relname = '{name}'") == 1, name
    assert len(project.rows(INVALID)) == len(kept) - 1
