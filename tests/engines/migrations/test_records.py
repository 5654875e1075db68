"""What the schema `groundwork` keeps of each run: who, with what, how long, and how it waited for locks."""

from __future__ import annotations

import json
import subprocess
import threading
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from engines.migrations import FailedError, Options, apply, signed, survey
from engines.migrations.history.origin import commit_of
from engines.version import VERSION
from tests import polling

if TYPE_CHECKING:
    from engines.migrations import Detail
    from tests.engines.migrations.conftest import Project

SLEEPS = "select 1;\n\n-- slow\nselect pg_sleep(0.1);\nselect 2;\n"


def detail(project: Project, version: str) -> Detail:
    """Read the record of a version."""
    return survey(project.dsn, project.folder)[1][version]


def lines(project: Project, version: str) -> list[int]:
    """List the lines of the statements on record."""
    return [part.line for part in detail(project, version).statements]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SLEEPS, [1, 4, 5]),
        (f"begin;\n{SLEEPS}commit;", [2, 5, 6]),
        (f"-- groundwork: no-transaction\n{SLEEPS}", [2, 5, 6]),
        (f"{SLEEPS}create table t (a int);\ncreate index concurrently on t (a);", [1, 4, 5, 6, 7]),
        (f"{SLEEPS}vacuum;\nbegin;\nselect 3;\nselect 4;\ncommit;", [1, 4, 5, 6, 8, 9]),
        (f"{SLEEPS}vacuum;\nbegin;\nselect 3;\nselect 4;\nrollback;", [1, 4, 5, 6, 8, 9]),
        (f"savepoint a;\n{SLEEPS}rollback to a;", [1, 2, 5, 6, 7]),
    ],
)
@pytest.mark.parametrize("others", [0, 2])
def test_time_of_each_statement(project: Project, text: str, expected: list[int], others: int) -> None:
    """Every statement has its line and its time, alone, in a message with other files, and in units."""
    project.write(_005_a=text.replace("savepoint", "begin;savepoint").replace("to a;", "to a;commit;"))
    project.write(**{f"_{n:03}_b": "select 0" for n in range(1, others + 1)})
    project.up()

    found = detail(project, "005").statements
    assert [part.line for part in found] == expected
    slow = found[1 if text[0] != "s" or text[1] != "a" else 2]
    assert slow.duration_ms is not None
    assert slow.duration_ms >= 100
    assert all(part.duration_ms is not None for part in found)
    assert project.value("select duration_ms >= 100 from groundwork.migrations where version = '005'")


@pytest.mark.parametrize(
    "text",
    [
        "set transaction isolation level serializable;\nselect 1;\nselect 2;",
        "begin;\nset transaction isolation level repeatable read, read write;\nselect 1;\ncommit;",
        "set local transaction_isolation = 'serializable';\nselect 1;",
        "set session characteristics as transaction isolation level serializable;\nselect 1;",
    ],
)
def test_marks_leave_transactions_alone(project: Project, text: str) -> None:
    """What must be the first in a transaction still is."""
    project.write(_001_a=text)
    project.up()

    assert project.history == ["001"]


def test_snapshot_is_taken_after_the_lock(project: Project) -> None:
    """A file that locks a table before its first query sees what was committed until it got the lock."""
    project.execute("create table t (a int); create table seen (rows int)")
    project.write(
        _001_a="begin isolation level repeatable read;\nset local lock_timeout = 0;\nlock table t;\n"
        "insert into seen select count(*) from t;\ncommit;"
    )
    with psycopg.connect(project.dsn) as writer:
        writer.execute("insert into t values (1)")
        runner = threading.Thread(target=project.up)
        runner.start()
        with psycopg.connect(project.dsn, autocommit=True) as eyes:
            waiting = "select count(*) from pg_locks where not granted and relation = 't'::regclass"
            polling.until(lambda: eyes.execute(waiting.encode()).fetchone() == (1,))
        writer.commit()
        runner.join(30)

    assert project.rows("select rows from seen") == [(1,)]


@pytest.mark.parametrize("extra", ["", "create index concurrently on u (b);"])
def test_lock_waits(project: Project, extra: str) -> None:
    """Tries in vain and the time that they took are on record, by file and by statement."""
    project.execute("create table t (a int); create table u (b int)")
    project.write(_001_a=f"select 1;\nalter table t add b int;\n{extra}")
    told = threading.Event()
    with psycopg.connect(project.dsn) as reader:
        reader.execute("select from t")
        arguments: dict[str, Any] = {"options": Options(retry_s=60), "report": lambda _text: told.set()}
        runner = threading.Thread(target=apply, args=[project.dsn, project.folder], kwargs=arguments)
        runner.start()
        assert told.wait(30)
        reader.rollback()
        runner.join(30)

    found = detail(project, "001")
    assert found.retries >= 2
    assert found.lock_wait_ms >= 100
    waited = [part.line for part in found.statements if part.retries]
    assert waited == [2]
    assert sum(part.lock_wait_ms for part in found.statements) == pytest.approx(found.lock_wait_ms, abs=0.01)
    assert all(part.duration_ms is not None for part in found.statements)


def test_long_file_is_measured_in_groups(project: Project) -> None:
    """A file of more than a thousand statements has at most a thousand times, and all of it is covered."""
    project.write(_001_a="create table t (a int);\n" + "insert into t values (1);\n" * 2500)
    project.up()

    found = detail(project, "001").statements
    assert found[0].line == 1
    assert {part.line - before.line for before, part in pairwise(found)} == {3}
    assert found[-1].line > 2495


def test_table_of_times_is_taken_away(project: Project) -> None:
    """A file that drops the table of the times costs the times, and nothing else."""
    project.write(_001_a="select 1", _002_b="drop table groundwork.migration_statements", _003_c="select 2")
    project.up()
    project.write(_004_d="vacuum")
    project.up()

    assert project.history == ["001", "002", "003", "004"]
    known = survey(project.dsn, project.folder)[1]
    assert [version for version, found in known.items() if found.statements] == ["004"]


def test_database_of_an_earlier_version(project: Project) -> None:
    """Tables that an earlier version made get what they lack."""
    project.write(_001_a="select 1")
    project.up()
    project.execute(
        "alter table groundwork.migrations drop git_commit, drop lock_wait_ms;"
        "drop table groundwork.migration_statements"
    )
    assert survey(project.dsn, project.folder)[1] == {}
    project.write(_002_b="select 1")
    project.up()

    assert [part.line for part in detail(project, "002").statements] == [1]


def test_record_of_a_reverted_version_is_replaced(project: Project) -> None:
    """When another tool has removed the history row, a new run's record takes the place of the old one."""
    project.write(_001_a="select 1;\nselect 2")
    project.up(actor="ann")
    project.execute("delete from supabase_migrations.schema_migrations")
    project.write(_001_a="select 1")
    project.up(actor="bob")

    assert project.rows("select actor from groundwork.migrations") == [("bob",)]
    assert lines(project, "001") == [1]


def test_failed_file_has_no_times(project: Project) -> None:
    """What was rolled back is not on record; the files before it are, with their times."""
    project.write(_001_a="select 1", _002_b="select 1;\nselect 1 / 0")
    with pytest.raises(FailedError):
        project.up()

    found = survey(project.dsn, project.folder)[1]
    assert list(found) == ["001"]
    assert [part.line for part in found["001"].statements] == [1]


def test_commit_of_the_files(tmp_path: Path) -> None:
    """The commit is that of the folder's repository, marked where files were changed since."""
    assert commit_of(tmp_path) == ""
    assert commit_of(tmp_path / "nowhere") == ""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "a"]):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert commit_of(tmp_path) == head.stdout.strip()

    (tmp_path / "a.sql").touch()
    subprocess.run([*git, "add", "a.sql"], check=True)
    assert commit_of(tmp_path) == f"{head.stdout.strip()}-dirty"


def test_who_runs_it(project: Project) -> None:
    """The command line says who runs it, with which version; `list` shows it, for people and for machines."""
    project.write(_001_a="select 1;\nselect 2")
    assert project.command("up").returncode == 0

    listed = json.loads(project.command("list", "--json").stdout)[0]
    me = signed(Options(), project.path)
    assert (listed["actor"], listed["tool_version"], listed["login"]) == (me.actor, VERSION, "postgres")
    assert [part["line"] for part in listed["statements"]] == [1, 2]
    text = project.command("list", "--statements").stdout.splitlines()
    assert text[0].split() == ["STATUS", "APPLIED", "AT", "TOOK", "WAITED", "BY", "COMMIT", "FILE"]
    assert text[1].startswith("applied ")
    assert [line.split()[-2:] for line in text[2:]] == [["line", "1"], ["line", "2"]]


def test_version_is_that_of_the_changelog() -> None:
    """The version on record is the newest of the changelog."""
    changelog = Path(__file__).resolve().parents[3] / "CHANGELOG.md"
    newest = next(line for line in changelog.read_text().splitlines() if line.startswith("## "))
    assert newest.split()[1] == VERSION
