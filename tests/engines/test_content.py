"""A digest changes with names and bytes, and with nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from engines.content import digest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a small program folder."""
    root = tmp_path / "app"
    (root / "pages").mkdir(parents=True)
    (root / "main.py").write_text("print(1)")
    (root / "pages" / "index.html").write_text("<p>")
    return root


def test_same_content_elsewhere_is_the_same(folder: Path, tmp_path: Path) -> None:
    """Place, times and modes do not count."""
    before = digest([folder])
    moved = folder.rename(tmp_path / "elsewhere")
    os.utime(moved / "main.py", (0, 0))
    (moved / "main.py").chmod(0o755)

    assert digest([moved]) == before
    assert len(before) == 16


@pytest.mark.parametrize("change", ["main.py", "pages/index.html", "pages/new.html"])
def test_changed_content_is_another(folder: Path, change: str) -> None:
    """A changed or added file changes the digest."""
    before = digest([folder])
    (folder / change).write_text("changed")

    assert digest([folder]) != before


def test_renamed_file_is_another(folder: Path) -> None:
    """A name counts, not only the bytes."""
    before = digest([folder])
    (folder / "main.py").rename(folder / "other.py")

    assert digest([folder]) != before


def test_caches_and_excluded_names_do_not_count(folder: Path) -> None:
    """Bytecode never counts, nor what the caller excludes, at any depth."""
    before = digest([folder], exclude=["tests"])
    for name in ("__pycache__", "pages/__pycache__", "tests", "pages/tests"):
        (folder / name).mkdir(parents=True)
        (folder / name / "x").write_text("x")

    assert digest([folder], exclude=["tests"]) == before


def test_boundaries_count(tmp_path: Path) -> None:
    """Bytes that move from one file, or one folder, to the next change the digest."""
    for name, first, second in (("a", "xy", "z"), ("b", "x", "yz")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1").write_text(first)
        (tmp_path / name / "2").write_text(second)

    assert digest([tmp_path / "a"]) != digest([tmp_path / "b"])
    assert digest([tmp_path / "a" / "1", tmp_path / "a"]) != digest([tmp_path / "a", tmp_path / "a" / "1"])


def test_missing_path_is_named(tmp_path: Path) -> None:
    """A path that is not there is an error, not an empty digest."""
    with pytest.raises(FileNotFoundError, match="nothing is not there"):
        digest([tmp_path / "nothing"])
