"""Folders as real projects have them: what the real Supabase CLI and Drizzle make of them, ours makes too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engines.migrations.fix_folders import FOLDERS
from tests.engines.migrations.fix_twin import dump

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.interop.fix_tools import Project

START = 1_700_000_000_000
# What stops the CLI, where psql and ours go on.
STOPS_THE_CLI = {
    "savepoints": "SAVEPOINT can only be used in transaction blocks",
    "settings": "permission denied for schema supabase_migrations",
    "quotes": "syntax error at end of input",
    "units": "invalid transaction termination",
}
# Temporary objects are in each other's way in one session; a guard is in the way of our own tables.
NOT_HERE = {"session_state", "event_triggers"}
# Without the files that change what follows, as Drizzle runs all in one session and one transaction.
DRIZZLE = {"quotes": {"003_c.sql"}, "sequences": {"003_c.sql"}, "ends": {"004_mark.sql"}, "names": set[str]()}


def role_of(project: Project) -> str:
    """Name a role that no other test has."""
    return f"r_{project.dsn.rpartition('/')[2]}"


def files(project: Project, name: str) -> Iterator[tuple[str, bytes]]:
    """Give the names without versions, and the contents."""
    left_out = DRIZZLE[name] if project.path.name == "drizzle" else set()
    for file, text in FOLDERS[name].items():
        if file not in left_out:
            raw = text.replace("{role}", role_of(project)).encode() if isinstance(text, str) else text
            yield file.partition("_")[2], raw


def write(project: Project, name: str) -> None:
    """Write a folder as the Supabase CLI makes it."""
    for number, (file, raw) in enumerate(files(project, name)):
        project.write(f"2026010100{number:04}_{file}", raw)


def is_up_to_date(project: Project, tools: Path) -> bool:
    """Ask the CLI whether there is something to push."""
    return "Remote database is up to date." in project.supabase(tools, "db", "push", "--dry-run").text


@pytest.mark.parametrize("name", sorted(FOLDERS.keys() - STOPS_THE_CLI.keys() - NOT_HERE))
def test_supabase_cli(cli_project: Project, tools: Path, name: str) -> None:
    """Schema, rows, sequences, rights and history are those of `db push`, which then finds nothing to do."""
    project = cli_project
    write(project, name)

    theirs = project.supabase(tools, "db", "push", "--yes", dsn=project.other)
    assert theirs.status == 0, theirs.text
    project.up()

    assert dump(project.dsn, "groundwork") == dump(project.other, "groundwork")
    assert is_up_to_date(project, tools)
    assert project.plan(project.other).pending == ()
    assert project.up(project.other).applied == ()


@pytest.mark.parametrize("name", sorted(STOPS_THE_CLI))
def test_what_stops_the_cli(cli_project: Project, tools: Path, name: str) -> None:
    """Where the CLI stops half way, ours applies all files, and the CLI finds nothing left to do."""
    project = cli_project
    write(project, name)

    theirs = project.supabase(tools, "db", "push", "--yes", dsn=project.other)
    assert theirs.status == 1
    assert STOPS_THE_CLI[name] in theirs.text
    if name == "settings":
        project.execute(f"drop owned by {role_of(project)}; drop role {role_of(project)}", project.other)

    assert len(project.up().applied) == len(FOLDERS[name])
    assert is_up_to_date(project, tools)


def test_objects_of_the_session_stay_as_with_the_cli(cli_project: Project, tools: Path) -> None:
    """A file may count on a temporary table of the one before it, as both run in one session of the CLI."""
    project = cli_project
    project.write("20260101000000_a.sql", "create temp table work as select 7 a;")
    project.write("20260102000000_b.sql", "create table t as select a from work;")

    theirs = project.supabase(tools, "db", "push", "--yes", dsn=project.other)
    assert theirs.status == 0, theirs.text
    project.up()

    assert dump(project.dsn, "groundwork") == dump(project.other, "groundwork")


@pytest.mark.parametrize("name", sorted(DRIZZLE))
def test_drizzle(drizzle_project: Project, tools: Path, name: str) -> None:
    """Schema, rows, sequences, rights and history are those of Drizzle, which then finds nothing to do."""
    project = drizzle_project
    for number, (file, raw) in enumerate(files(project, name)):
        tag = f"{number:04}_{file.removesuffix('.sql')}"
        project.enter(tag, START + number, raw.decode())

    theirs = project.drizzle(tools, project.other)
    assert theirs.status == 0, theirs.text
    project.up()

    assert dump(project.dsn, "groundwork") == dump(project.other, "groundwork")
    rows = project.history()
    assert project.drizzle(tools).status == 0
    assert project.history() == rows
    assert project.plan(project.other).pending == ()
