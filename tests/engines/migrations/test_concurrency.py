"""Several runners, killed runners, and locks that others hold."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from engines.migrations import FailedError, LockedError, Options, apply
from engines.migrations.sessions.lock import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engines.migrations.conftest import Project

WAIT = "select pg_advisory_xact_lock(4711);"
PATIENT = "-- groundwork: lock-timeout=1min\n"


def at_the_gate(project: Project) -> list[Any]:
    """List the sessions that wait at the gate."""
    return project.rows(
        "select pid from pg_locks where locktype = 'advisory' and objid = 4711 and not granted"
    )


def test_eight_runners(project: Project) -> None:
    """However many start at once, each file runs once; who has nothing to do says so and is content."""
    project.write(
        _001_a="create table log (what text);",
        **{f"_{n:03d}_x": f"insert into log values ('{n}');" for n in range(2, 20)},
        _020_y="create index concurrently i on log (what); insert into log values ('20');",
    )
    runners = [project.start("up", "--json") for _ in range(8)]
    answers = [runner.communicate(timeout=120) for runner in runners]

    assert [runner.returncode for runner in runners] == [0] * 8, answers
    applied = [file for out, _ in answers for file in json.loads(out)["applied"]]
    assert sorted(applied) == [file.file for file in project.folder.files]
    assert {json.loads(out)["total"] for out, _ in answers} == {20}
    assert project.value("select count(*) = 19 and count(distinct what) = 19 from log")


def test_killed_in_a_file_that_the_server_finishes(
    project: Project, gate: Callable[[], None], until: Callable[[Callable[[], Any]], Any]
) -> None:
    """A killed runner's file, sent whole, still commits; a second run waits for that, and repeats nothing."""
    project.write(
        _001_a=f"{PATIENT}create table t (a int); {WAIT} insert into t values (1);", _002_b="select 1"
    )
    runner = project.start("up")
    until(lambda: at_the_gate(project))
    runner.kill()
    runner.communicate()
    second = project.start("up", "--json")
    assert second.stderr is not None
    assert "waiting for another run: pid" in second.stderr.readline()
    gate()
    out, _ = second.communicate(timeout=60)

    assert json.loads(out)["applied"] == ["002_b.sql"]
    assert project.value("select count(*) from t") == 1
    assert project.history == ["001", "002"]


def test_killed_together_with_its_session(
    project: Project, gate: Callable[[], None], until: Callable[[Callable[[], Any]], Any]
) -> None:
    """When runner and session die in the middle of a file, it leaves nothing; the next run does it."""
    project.write(_001_a=f"{PATIENT}create table t (a int); insert into t values (1); {WAIT}")
    runner = project.start("up")
    [(pid,)] = until(lambda: at_the_gate(project))
    runner.kill()
    runner.communicate()
    project.execute(f"select pg_terminate_backend({pid}, 10000)")
    assert project.value("select to_regclass('t') is null")
    gate()

    assert project.up().applied == ("001_a.sql",)
    assert project.value("select count(*) from t") == 1


def test_killed_between_statements_that_commit(
    project: Project, gate: Callable[[], None], until: Callable[[Callable[[], Any]], Any]
) -> None:
    """A file without a transaction goes on where the killed runner was."""
    project.write(
        _001_a=f"{PATIENT}create table t (a int); vacuum t; insert into t values (1); "
        f"begin; {WAIT} insert into t values (2); commit; create index concurrently i on t (a);"
    )
    runner = project.start("up")
    [(pid,)] = until(lambda: at_the_gate(project))
    runner.kill()
    runner.communicate()
    project.execute(f"select pg_terminate_backend({pid}, 10000)")
    gate()
    project.up()

    assert project.rows("select a from t order by a") == [(1,), (2,)]
    assert project.value("select indisvalid from pg_index where indexrelid = 'i'::regclass")


def test_waiting_runner_does_not_block_concurrently(
    project: Project, gate: Callable[[], None], until: Callable[[Callable[[], Any]], Any]
) -> None:
    """CREATE INDEX CONCURRENTLY of the runner with the lock ends while another one waits for the lock."""
    project.write(
        _001_a=f"{PATIENT}create table t (a int); {WAIT}", _002_b="create index concurrently i on t (a)"
    )
    first = project.start("up", "--json")
    until(lambda: at_the_gate(project))
    second = project.start("up", "--json")
    assert second.stderr is not None
    second.stderr.readline()  # it waits
    gate()
    answers = [json.loads(runner.communicate(timeout=60)[0]) for runner in (first, second)]

    assert [answer["applied"] for answer in answers] == [["001_a.sql", "002_b.sql"], []]


def test_lock_that_is_not_released(project: Project) -> None:
    """After the deadline the other runner is named."""
    project.write(_001_a="select 1")
    with psycopg.connect(project.dsn, application_name="somebody else", autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s)", [KEY])
        pid = other.info.backend_pid

        with pytest.raises(
            LockedError, match=rf"pid {pid} \(somebody else, user postgres, connected since 20"
        ):
            project.up(wait_s=0.05)


def test_nothing_to_do_does_not_wait(project: Project) -> None:
    """Who has nothing to do needs no lock."""
    project.write(_001_a="select 1")
    project.up()
    with psycopg.connect(project.dsn, autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s)", [KEY])

        assert project.up(wait_s=0).applied == ()


@pytest.mark.parametrize(
    "sql", ["alter table t add b int", "vacuum full t", "alter table t add b int; vacuum"]
)
def test_lock_is_taken_when_the_blocker_leaves(project: Project, sql: str) -> None:
    """A file whose lock is held is tried again until granted, and the blocker is named."""
    project.execute("create table t (a int)")
    project.write(_001_a=sql)
    seen = threading.Event()
    told: list[str] = []

    def report(text: str) -> None:
        told.append(text)
        seen.set()

    with psycopg.connect(project.dsn, application_name="reader") as reader:
        reader.execute("select from t")
        pid = reader.info.backend_pid
        arguments = {"options": Options(retry_s=60), "report": report}
        runner = threading.Thread(target=apply, args=[project.dsn, project.folder], kwargs=arguments)
        runner.start()
        assert seen.wait(30)
        reader.rollback()
        runner.join(30)

    assert not runner.is_alive()
    assert f"waiting for a lock held by pid {pid} (reader, user postgres, idle in transaction" in told[0]
    assert project.history == ["001"]


def test_lock_that_is_never_granted(project: Project) -> None:
    """When it gives up, it says which statement, and which session held the lock with which query."""
    project.execute("create table t (a int)")
    project.write(_001_a="select 1;\nalter table t add b int")
    with psycopg.connect(project.dsn, application_name="reader") as reader:
        reader.execute("select 'a report' from t")

        with pytest.raises(FailedError) as caught:
            project.up(retry_s=0.5)
    text = str(caught.value)
    assert "001_a.sql, line 2 (statement 2 of 2): canceling statement due to lock timeout" in text
    assert "the lock was held by pid" in text
    assert "select 'a report' from t" in text
    assert caught.value.sqlstate == "55P03"


def test_other_errors_are_not_tried_again(project: Project) -> None:
    """Only a lock that was not granted is worth another try."""
    project.execute("create sequence tries")
    project.write(_001_a="select nextval('tries'); select 1 / 0")

    with pytest.raises(FailedError):
        project.up()
    assert project.value("select last_value from tries") == 1


def test_limit_of_a_try(project: Project) -> None:
    """How long a try waits for a lock is the run's limit, or the file's own."""
    project.write(
        _001_a="create table seen as select current_setting('lock_timeout') as was",
        _002_b="-- groundwork: lock-timeout=3s\ninsert into seen select current_setting('lock_timeout')",
    )
    assert project.command("up", "--lock-timeout", "0.25").returncode == 0

    assert project.rows("select was from seen order by 1") == [("250ms",), ("3s",)]
