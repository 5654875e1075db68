"""The real drizzle-orm and drizzle-kit of the line 1.0, before and after ours, on the same folder."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from engines.migrations import baseline, verify
from engines.migrations.files.folder import read_folder
from tests.interop.fix_tools import MARK, same_schema

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.fix_tools import Project


@pytest.fixture
def project(drizzle_project: Project) -> Project:
    """Give a project with three folders."""
    drizzle_project.write(
        "20260101000000_orange_thor/migration.sql",
        f'CREATE TABLE "users" ("id" serial PRIMARY KEY);\n{MARK}\nCREATE INDEX ON users (id);',
    )
    drizzle_project.write("20260102030405_brave_hulk/migration.sql", "ALTER TABLE users ADD COLUMN mail text")
    drizzle_project.write("20260103000000_seed/migration.sql", "INSERT INTO users (mail) VALUES ('a');\r\n")
    return drizzle_project


def history(project: Project, dsn: str | None = None) -> list[tuple[Any, ...]]:
    """Give the rows of the newer table, but for the moment, of which only the presence counts."""
    query = (
        "select id, hash, created_at, name, applied_at is null from drizzle.__drizzle_migrations order by id"
    )
    return project.rows(query, dsn)


def test_drizzle_has_nothing_to_do_after_a_baseline(project: Project, tools_1: Path) -> None:
    """A database that Drizzle made, and that lost its history, has it again, and both its migrators agree."""
    assert project.drizzle_kit(tools_1).status == 0
    rows = history(project)
    project.execute("drop schema drizzle cascade")
    baseline(project.dsn, read_folder(project.path))

    assert history(project) == rows
    assert project.drizzle(tools_1).status == 0
    assert project.drizzle_kit(tools_1).status == 0
    assert history(project) == rows
    assert all(check.ok for check in verify(project.dsn, read_folder(project.path)))
    assert project.up().applied == ()


def test_drizzle_has_nothing_to_do_after_ours(project: Project, tools_1: Path) -> None:
    """After our run both of Drizzle's migrators run nothing and write nothing."""
    outcome = project.up()
    rows = history(project)

    assert outcome.applied == tuple(
        f"{name}/migration.sql"
        for name in ("20260101000000_orange_thor", "20260102030405_brave_hulk", "20260103000000_seed")
    )
    assert project.drizzle(tools_1).status == 0
    assert project.drizzle_kit(tools_1).status == 0
    assert history(project) == rows


def test_ours_has_nothing_to_do_after_drizzle(project: Project, tools_1: Path) -> None:
    """After drizzle-kit's run ours finds every file applied."""
    assert project.drizzle_kit(tools_1).status == 0
    rows = history(project)

    plan = project.plan()

    assert (plan.pending, plan.refusals, plan.latest) == ((), (), "20260103000000_seed")
    assert project.up().applied == ()
    assert history(project) == rows


def test_rows_and_schema_are_equal(project: Project, tools_1: Path) -> None:
    """Ids, hashes, times, names, and the table's own columns and defaults are those of Drizzle."""
    project.up()
    assert project.drizzle(tools_1, project.other).status == 0

    assert history(project) == history(project, project.other)
    assert same_schema(project)


def before_up(project: Project) -> Project:
    """Give the same migrations as Drizzle 0.x had them, before `drizzle-kit up`."""
    old = type(project)(project.home / "old", project.dsn, project.other, project.home)
    for number, folder in enumerate(sorted(project.path.iterdir())):
        text = (folder / "migration.sql").read_bytes().decode()
        time = datetime.strptime(folder.name[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        old.enter(f"{number:04d}_{folder.name[15:]}", int(time.timestamp()) * 1000 + 789, text)
    return old


def test_table_of_0_x_is_upgraded_as_drizzle_does(project: Project, tools: Path, tools_1: Path) -> None:
    """A database that Drizzle 0.x migrated is taken over: its rows are named, and nothing runs twice."""
    old = before_up(project)
    for dsn in (project.dsn, project.other):
        assert old.drizzle(tools, dsn).status == 0
    project.write("20260104000000_new/migration.sql", "CREATE TABLE fresh (id int);")

    assert project.up().applied == ("20260104000000_new/migration.sql",)
    assert project.drizzle(tools_1, project.other).status == 0

    assert history(project) == history(project, project.other)
    assert same_schema(project)
    assert project.drizzle(tools_1).status == 0
    assert len(history(project)) == 4


def test_journal_folder_on_the_newer_table(project: Project, tools: Path, tools_1: Path) -> None:
    """A checkout that still has the journal fills the name that `drizzle-kit up` will give the folder."""
    old = before_up(project)
    assert project.drizzle(tools_1).status == 0
    old.enter("0003_new", 1_767_528_000_000, "CREATE TABLE fresh (id int);")

    assert old.up().applied == ("0003_new.sql",)

    assert history(project)[-1][2:] == (1_767_528_000_000, "20260104120000_new", False)
    project.write("20260104120000_new/migration.sql", "CREATE TABLE fresh (id int);")
    assert project.drizzle(tools_1).status == 0
    assert old.drizzle(tools).status == 0
    assert len(history(project)) == 4


def test_folder_in_the_middle(project: Project, tools_1: Path) -> None:
    """Drizzle 1.0 runs what is not recorded, wherever it is; ours says so first, and then does the same."""
    for dsn in (project.dsn, project.other):
        assert project.drizzle(tools_1, dsn).status == 0
    project.write("20260101120000_between/migration.sql", "CREATE TABLE between_two (id int);")

    assert "sorts before 20260103000000_seed" in project.plan().refusals[0]
    project.up(allow_out_of_order=True)
    assert project.drizzle(tools_1, project.other).status == 0

    assert history(project) == history(project, project.other)


def test_two_folders_of_one_second(project: Project, tools_1: Path) -> None:
    """They run in the order of JavaScript's localeCompare, and both are recorded."""
    project.write("20260105000000_b_x/migration.sql", "CREATE TABLE one (id int);")
    project.write("20260105000000_B0/migration.sql", "ALTER TABLE one ADD COLUMN two int;")
    project.write("20260105000000_c/migration.sql", "ALTER TABLE one ADD COLUMN three int;")

    project.up()
    assert project.drizzle(tools_1, project.other).status == 0

    assert history(project) == history(project, project.other)


def test_folder_that_drizzle_kit_made_and_moved_up(
    drizzle_project: Project, tools: Path, tools_1: Path
) -> None:
    """From `generate` of 0.x over `drizzle-kit up` to `generate` of 1.0: each file once, by either runner."""
    project = drizzle_project
    for name in ("zebra", "ant"):
        assert project.drizzle_kit(tools, "generate", "--custom", f"--name={name}").status == 0
    project.write("0000_zebra.sql", "CREATE TABLE zebra (id int);")
    project.write("0001_ant.sql", "CREATE TABLE ant (id int);")
    assert project.up().applied == ("0000_zebra.sql", "0001_ant.sql")
    assert project.drizzle_kit(tools).status == 0

    assert project.drizzle_kit(tools_1, "up").status == 0
    assert not (project.path / "meta").exists()
    assert (project.plan().pending, project.plan().refusals) == ((), ())
    assert project.drizzle_kit(tools_1, "generate", "--custom", "--name=new").status == 0

    assert [file.partition("_")[2] for file in project.up().applied] == ["new/migration.sql"]
    rows = history(project)
    assert project.drizzle(tools_1).status == 0
    assert history(project) == rows
    assert [row[3].partition("_")[2] for row in rows] == ["zebra", "ant", "new"]
