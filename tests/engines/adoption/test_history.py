"""Whatever kept a project's history, the stack file speaks of files that fit to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.adoption.catalog import Catalog, Schema
from engines.adoption.history import describe_migrations, history_of
from engines.adoption.notes import Notes
from engines.adoption.reading import Live
from engines.supabase import Project

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = Project("a" * 20, "demo", "groundwork", "us-east-1", "ACTIVE_HEALTHY")
OLD = ("id", "hash", "created_at")


@pytest.mark.parametrize(
    ("catalog", "versions", "layout", "text"),
    [
        (Catalog(has_supabase=True), ("20260101000000",), "supabase", "1 migration in supabase_migrations."),
        (Catalog(has_supabase=True), ("001", "002"), "numbered", "the latest is 002"),
        (Catalog(has_supabase=True), (), "auto", "0 migrations in supabase_migrations.schema_migrations"),
        (Catalog(drizzle=OLD), ("1",), "drizzle", "(Drizzle 0.x)"),
        (Catalog(drizzle=(*OLD, "name", "applied_at")), ("1",), "drizzle", "(Drizzle 1.0)"),
        (Catalog(), (), "auto", "no migration history"),
    ],
)
def test_history_tells_the_layout(
    catalog: Catalog, versions: tuple[str, ...], layout: str, text: str
) -> None:
    """The table tells the tool, and the versions tell how files are named."""
    history = history_of(Live(PROJECT, catalog=catalog, versions=versions))

    assert history.layout == layout
    assert text in history.text


def steps(root: Path, live: Live) -> list[str]:
    """Describe the section for the folder `sql`, and give what is to be done."""
    notes = Notes()
    assert describe_migrations(live, "sql", root, notes)["dir"] == "sql"
    return notes.steps


def test_database_without_history_is_baselined(tmp_path: Path) -> None:
    """Tables without a history have to be told to the engine before it runs anything."""
    (tmp_path / "sql").mkdir()
    (step,) = steps(tmp_path, Live(PROJECT, catalog=Catalog(schemas=(Schema("public", 3, 0),))))

    assert step.startswith("the database has tables and no migration history")
    assert step.endswith("`scripts/db baseline --dir sql`")


def test_empty_project_needs_nothing_but_a_look(tmp_path: Path) -> None:
    """What the first update will run is named."""
    (tmp_path / "sql").mkdir()
    for number in range(1, 6):
        (tmp_path / "sql" / f"00{number}_a.sql").write_text("select 1;")

    run, compare = steps(tmp_path, Live(PROJECT))

    assert run.endswith("what the history does not name: 001_a.sql, 002_a.sql, 003_a.sql and 2 more")
    assert compare == "compare files and history: `scripts/db list --dir sql`"


def test_files_that_do_not_fit_are_told(tmp_path: Path) -> None:
    """The folder's own problems do not keep the project from being adopted."""
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "first.sql").write_text("select 1;")
    (step,) = steps(tmp_path, Live(PROJECT, catalog=Catalog(has_supabase=True), versions=("001",)))

    assert step.startswith("the files do not fit the history: ")
    assert "first.sql" in step
