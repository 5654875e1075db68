"""Reading a folder: layouts, order, and every problem at once."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from engines.migrations import FolderError, read_folder

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, *names: str) -> Path:
    """Make files with these names."""
    for name in names:
        (path / name).write_text("select 1;", encoding="utf-8")
    return path


def problems(path: Path) -> tuple[str, ...]:
    """Give the problems of a folder."""
    with pytest.raises(FolderError) as caught:
        read_folder(path)
    return caught.value.problems


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        ([], "numbered"),
        (["001_a.sql", "010_b.sql"], "numbered"),
        (["20260101000000_a.sql"], "supabase"),
        (["001_a.sql", "20260101000000_b.sql"], "supabase"),
    ],
)
def test_layout_is_detected(tmp_path: Path, names: list[str], layout: str) -> None:
    """Names tell the layout; one timestamp is enough, as what follows must sort after it."""
    folder = read_folder(write(tmp_path, *names))

    assert folder.layout == layout
    assert [file.file for file in folder.files] == names


def test_names_in_any_script(tmp_path: Path) -> None:
    """Version and name are split at the first underscore; names may be empty or in any script."""
    files = read_folder(write(tmp_path, "001_été_日本.sql", "002_.sql", "003_a_b c.sql")).files

    assert [(f.version, f.name) for f in files] == [("001", "été_日本"), ("002", ""), ("003", "a_b c")]


def test_all_problems_at_once(tmp_path: Path) -> None:
    """Every file that cannot be used is named, in one error."""
    write(tmp_path, "001_a.sql", "001_b.sql", "seed.sql", "002-c.sql", "003_d.SQL", "20210101000000_init.sql")
    (tmp_path / "004_e.sql").write_bytes(b"\xff")
    (tmp_path / "005_f.sql").mkdir()

    found = problems(tmp_path)

    assert [text.partition(":")[0] for text in found] == [
        "002-c.sql",
        "003_d.SQL",
        "20210101000000_init.sql",
        "seed.sql",
        "004_e.sql",
        "005_f.sql",
        "001_b.sql",
    ]
    assert "would never run: a migration is named VERSION_name.sql" in found[0]
    assert "the Supabase CLI always skips" in found[2]
    assert "cannot be read: Is a directory" in found[5]
    assert "has the same version as 001_a.sql" in found[6]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("9_a.sql", "10_b.sql"), "9_a.sql: sorts after 10_b.sql as text but before it as a number; pad"),
        (("1_a.sql", "01_b.sql"), "1_a.sql: has the same version as 01_b.sql"),
    ],
)
def test_text_and_number_order_differ(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    """Versions that people and the history would order differently are refused with the cure."""
    assert problems(write(tmp_path, *names)) == (next(p for p in problems(tmp_path) if message in p),)


def test_what_is_no_migration_is_listed(tmp_path: Path) -> None:
    """Other files, hidden files and sub-folders are left alone, but not silently."""
    write(tmp_path, "001_a.sql", "README.md", ".002_b.sql")
    (tmp_path / "archive").mkdir()
    (tmp_path / "checks").mkdir()

    assert read_folder(tmp_path).ignored == (".002_b.sql", "README.md", "archive")


def test_link_to_itself(tmp_path: Path) -> None:
    """A link that leads to itself is named like any other file that would never run."""
    (tmp_path / "seed.sql").symlink_to("seed.sql")
    (tmp_path / "001_a.sql").symlink_to("001_a.sql")

    name, cannot_be_read = problems(tmp_path)
    assert name.startswith("seed.sql: would never run")
    assert cannot_be_read.startswith("001_a.sql: cannot be read: Too many levels of symbolic links")


def test_missing_folder(tmp_path: Path) -> None:
    """A folder that is not there is an error, not an empty plan."""
    assert problems(tmp_path / "nowhere") == ("the folder cannot be read: No such file or directory",)


def test_unknown_layout(tmp_path: Path) -> None:
    """A layout that we do not know is refused with those that we know."""
    with pytest.raises(FolderError, match="layout `rails` is not known; there are numbered, supabase"):
        read_folder(tmp_path, layout="rails")


def test_reading_needs_no_driver() -> None:
    """A program that reads a folder pays for neither the database driver nor the SQL parser."""
    code = "import sys, engines.migrations; print({'psycopg', 'pglast'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
