"""The real drizzle-orm and drizzle-kit of the line 0.x, before and after ours, on the same folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.migrations import FailedError, RefusedError, baseline, repair, verify
from engines.migrations.files.folder import read_folder
from tests.interop.fix_tools import same_schema

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.fix_tools import Project

START = 1_700_000_000_123


def fill(project: Project) -> None:
    """Write a folder as drizzle-kit generates it."""
    project.enter(
        "0000_orange_thor",
        START,
        'CREATE TABLE "users" (\n\t"id" serial PRIMARY KEY NOT NULL,\n\t"name" text\n);\n',
        'CREATE TABLE "posts" ("id" serial PRIMARY KEY NOT NULL, "user_id" integer);',
        'ALTER TABLE "posts" ADD CONSTRAINT "fk" FOREIGN KEY ("user_id") REFERENCES "users"("id");',
    )
    project.enter("0001_brave_hulk", START + 1000, 'ALTER TABLE "users" ADD COLUMN "mail" text;')
    project.enter("0002_seed", START + 5000, "INSERT INTO users (name) VALUES ('a;b'), ('--> c');")


@pytest.fixture
def project(drizzle_project: Project) -> Project:
    """Give a project with three migrations."""
    fill(drizzle_project)
    return drizzle_project


def test_drizzle_has_nothing_to_do_after_ours(project: Project, tools: Path) -> None:
    """After our run both of Drizzle's migrators run nothing and write nothing."""
    outcome = project.up()
    rows = project.history()

    assert outcome.applied == ("0000_orange_thor.sql", "0001_brave_hulk.sql", "0002_seed.sql")
    assert outcome.history_table == "drizzle.__drizzle_migrations"
    assert project.drizzle(tools).status == 0
    assert project.drizzle_kit(tools).status == 0
    assert project.history() == rows
    assert project.rows("select count(*) from users") == [(2,)]


def test_ours_has_nothing_to_do_after_drizzle(project: Project, tools: Path) -> None:
    """After drizzle-kit's run ours finds every file applied, and edits nothing of its rows."""
    assert project.drizzle_kit(tools).status == 0
    rows = project.history()

    plan = project.plan()

    assert (plan.pending, plan.refusals, plan.latest) == ((), (), "0002_seed")
    assert project.up().applied == ()
    assert project.history() == rows


def test_rows_and_schema_are_equal(project: Project, tools: Path) -> None:
    """Ids, hashes, times, the history's own table, and all that the files made are what Drizzle makes."""
    project.up()
    assert project.drizzle(tools, project.other).status == 0

    assert project.history() == project.history(project.other)
    assert same_schema(project)


def test_drizzle_has_nothing_to_do_after_a_baseline(project: Project, tools: Path) -> None:
    """A database that Drizzle made, and that lost its history, has it again, and both its migrators agree."""
    assert project.drizzle_kit(tools).status == 0
    rows = project.history()
    project.execute("drop schema drizzle cascade")
    recorded = baseline(project.dsn, read_folder(project.path))

    assert recorded == ("0000_orange_thor.sql", "0001_brave_hulk.sql", "0002_seed.sql")
    assert project.history() == rows
    assert project.drizzle(tools).status == 0
    assert project.drizzle_kit(tools).status == 0
    assert project.history() == rows
    assert project.rows("select count(*) from users") == [(2,)]
    assert all(check.ok for check in verify(project.dsn, read_folder(project.path)))
    assert project.up().applied == ()


def test_they_take_turns(project: Project, tools: Path) -> None:
    """Each goes on where the other stopped."""
    project.up(to="0000_orange_thor")
    assert project.drizzle(tools).status == 0
    assert project.rows("select count(*) from users") == [(2,)]

    project.enter("0003_late", START + 9000, "CREATE TABLE late (id int);")

    assert project.up().applied == ("0003_late.sql",)
    assert [row[0] for row in project.history()] == [1, 2, 3, 4]


@pytest.mark.parametrize("change", [b"\xef\xbb\xbf", b""])
def test_hash_is_that_of_the_bytes(drizzle_project: Project, tools: Path, change: bytes) -> None:
    """CRLF stays in the hash; a byte order mark too, though Drizzle cannot run such a file."""
    project = drizzle_project
    fill(project)
    project.write("0001_brave_hulk.sql", change + b'ALTER TABLE "users"\r\n ADD COLUMN "mail" text;\r\n')

    project.up()
    assert project.drizzle(tools).status == 0
    theirs = project.drizzle(tools, project.other)

    assert theirs.status == (1 if change else 0)
    if not change:
        assert project.history() == project.history(project.other)


def test_other_line_ends_are_no_edit(project: Project, tools: Path) -> None:
    """What Drizzle applied from a checkout with CRLF is the same in a checkout with LF."""
    text = (project.path / "0000_orange_thor.sql").read_bytes()
    project.write("0000_orange_thor.sql", text.replace(b"\n", b"\r\n"))
    assert project.drizzle(tools).status == 0

    project.write("0000_orange_thor.sql", text)

    assert project.plan().refusals == ()


def test_time_out_of_order_drifts_in_drizzle_and_not_in_ours(project: Project, tools: Path) -> None:
    """Drizzle skips an entry whose `when` is not the latest, for ever; ours names and runs it."""
    for dsn in (project.dsn, project.other):
        assert project.drizzle(tools, dsn).status == 0
    project.enter("0003_merged", START + 2000, "CREATE TABLE merged (id int);")

    assert project.drizzle(tools, project.other).status == 0
    assert project.rows("select to_regclass('merged')::text", project.other) == [(None,)]

    assert [file.file for file in project.plan().pending] == ["0003_merged.sql"]
    assert project.up().applied == ("0003_merged.sql",)
    rows = project.history()
    assert project.drizzle(tools).status == 0
    assert project.history() == rows
    assert rows[-1][2] == START + 2000


def test_journal_order_and_equal_times_on_an_empty_database(project: Project, tools: Path) -> None:
    """All entries run in the journal's order, whatever their times and names, with Drizzle's rows."""
    project.enter("0009_first", START + 3000, "CREATE TABLE x (id int);")
    project.enter("0004_second", START + 3000, "ALTER TABLE x ADD COLUMN t text;")

    project.up()
    assert project.drizzle(tools, project.other).status == 0

    assert project.history() == project.history(project.other)
    assert same_schema(project)
    assert project.plan(project.other).pending == ()


def test_one_of_two_equal_times_is_pending(project: Project, tools: Path) -> None:
    """Entries of one time are told apart by their hash, where Drizzle takes one for the other."""
    project.enter("0003_a", START + 6000, "CREATE TABLE a (id int);")
    assert project.drizzle(tools).status == 0
    project.enter("0004_b", START + 6000, "CREATE TABLE b (id int);")
    assert project.drizzle(tools).status == 0
    assert project.rows("select to_regclass('b')::text") == [(None,)]

    assert project.up().applied == ("0004_b.sql",)


def test_entry_before_the_last_applied_is_refused(project: Project, tools: Path) -> None:
    """What was put into the middle of the journal is named, and runs only when that is allowed."""
    assert project.drizzle(tools).status == 0
    project.enter("0001_between", START + 1500, "CREATE TABLE between_two (id int);")
    project.journal.insert(1, project.journal.pop())
    project.keep()

    with pytest.raises(RefusedError, match=r"0001_between\.sql sorts before 0002_seed"):
        project.up()
    assert project.up(allow_out_of_order=True).applied == ("0001_between.sql",)


def test_edited_file_is_refused(project: Project, tools: Path) -> None:
    """Drizzle never compares hashes; ours does, with those that Drizzle wrote."""
    assert project.drizzle(tools).status == 0
    project.write("0001_brave_hulk.sql", 'ALTER TABLE "users" ADD COLUMN "phone" text;')

    assert project.drizzle(tools).status == 0
    with pytest.raises(RefusedError, match=r"0001_brave_hulk\.sql was edited after it was applied"):
        project.up()


def test_pieces_that_leave_the_transaction(drizzle_project: Project, tools: Path) -> None:
    """`COMMIT` as a piece, then CONCURRENTLY, a setting and a procedure that commits, then `BEGIN` again."""
    project = drizzle_project
    project.enter("0000_table", START, "CREATE TABLE t (id int);\n", "INSERT INTO t VALUES (1), (2);")
    project.enter(
        "0001_index",
        START + 1,
        "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$\nBEGIN\n  INSERT INTO t VALUES (3);\n"
        "  COMMIT;\nEND $$;\n",
        "COMMIT;",
        "\nSET lock_timeout = '5s';",
        "\nCREATE INDEX CONCURRENTLY i ON t (id);",
        "\nCALL p();",
        "\nBEGIN;",
    )
    project.enter("0002_after", START + 2, "ALTER TABLE t ADD COLUMN name text")

    project.up()
    assert project.drizzle(tools, project.other).status == 0

    assert project.history() == project.history(project.other)
    assert same_schema(project)
    assert project.rows("select count(*) from t") == project.rows("select count(*) from t", project.other)
    assert project.drizzle(tools).status == 0


def test_pieces_need_no_semicolon(drizzle_project: Project, tools: Path) -> None:
    """A breakpoint ends a statement, also in a line, behind a comment, or with SQL after it."""
    project = drizzle_project
    mark = "--> statement-breakpoint"
    text = (
        f"CREATE TABLE a (id int)\n{mark}\nCREATE TABLE b (id int) -- no end{mark}\nCREATE TABLE c (id int);"
        f"{mark} CREATE TABLE d (id int)\n{mark}\n{mark}\n\n"
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1;'"
    )
    project.enter("0000_pieces", START, text)

    project.up()
    assert project.drizzle(tools, project.other).status == 0

    assert same_schema(project)
    assert project.history() == project.history(project.other)
    assert project.rows("select f()") == [(1,)]


def test_failure_keeps_what_is_before_it(project: Project, tools: Path) -> None:
    """Drizzle loses all pending files; ours keeps the good ones, names the line, and goes on."""
    project.enter("0003_wrong", START + 9000, "CREATE TABLE w (id int);\n", "ALTER TABLE nowhere ADD x int;")

    with pytest.raises(FailedError, match=r'0003_wrong\.sql, line 3 .*relation "nowhere" does not exist'):
        project.up()
    assert len(project.history()) == 3
    assert project.drizzle(tools).status == 1

    project.write("0003_wrong.sql", "CREATE TABLE w (id int);")
    assert project.up().applied == ("0003_wrong.sql",)
    assert project.drizzle(tools).status == 0


def test_rows_that_two_drizzles_wrote_at_once(project: Project, tools: Path) -> None:
    """Equal rows, which Drizzle's race leaves, are one applied file."""
    assert project.drizzle(tools).status == 0
    project.execute(
        "insert into drizzle.__drizzle_migrations (hash, created_at)"
        " select hash, created_at from drizzle.__drizzle_migrations"
    )

    plan = project.plan()

    assert (plan.pending, plan.missing, plan.refusals) == ((), (), ())


def test_repair_is_seen_by_drizzle(project: Project, tools: Path) -> None:
    """A file recorded as applied is not run by Drizzle; a reverted one is run again."""
    folder = read_folder(project.path)
    project.up(to="0001_brave_hulk")
    repair(project.dsn, folder, applied=["0002_seed", "0001_brave_hulk"])
    assert project.drizzle(tools).status == 0
    assert project.rows("select count(*) from users") == [(0,)]
    assert [row[2] for row in project.history()] == [START, START + 5000, START + 1000]

    repair(project.dsn, folder, reverted=["0002_seed"])
    assert project.drizzle(tools).status == 0
    assert project.rows("select count(*) from users") == [(2,)]


def test_row_without_a_file_is_refused(project: Project) -> None:
    """A row whose migration is not in the journal is named by its time, and can be forgotten."""
    project.up()
    gone = project.journal.pop()
    project.keep()
    (project.path / f"{gone['tag']}.sql").unlink()

    with pytest.raises(RefusedError, match=rf"version {START + 5000} is in the database's history"):
        project.up()

    repair(project.dsn, read_folder(project.path), reverted=[str(START + 5000)])
    assert project.up().applied == ()
    assert len(project.history()) == 2
