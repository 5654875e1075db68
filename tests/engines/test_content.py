"""A digest changes with names and bytes, and with nothing else."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from engines.content import commit, digest, fingerprint

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


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody, and give what it says."""
    named = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-C", str(folder)]
    done = subprocess.run([*named, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(folder: Path) -> Path:
    """Give a repository with the folder `app` and another one, each committed by itself."""
    root = folder.parent
    git(root, "init", "--quiet")
    (root / "else").mkdir()
    (root / "else" / "x").write_text("x")
    git(root, "add", "app")
    git(root, "commit", "--quiet", "-m", "app")
    git(root, "add", "else")
    git(root, "commit", "--quiet", "-m", "else")
    return root


def test_a_commit_elsewhere_does_not_count(repository: Path) -> None:
    """A folder's commit is the last one that touched it."""
    assert commit(repository / "app") == git(repository, "rev-parse", "HEAD~1")
    assert commit(repository / "else") == git(repository, "rev-parse", "HEAD")


def test_files_that_are_not_committed_show(repository: Path) -> None:
    """What was built of changed files does not pass for the commit."""
    (repository / "app" / "main.py").write_text("changed")

    assert commit(repository / "app") == git(repository, "rev-parse", "HEAD~1") + "-dirty"
    assert not commit(repository / "else").endswith("-dirty")


def test_a_shallow_clone_does_not_guess(repository: Path, tmp_path: Path) -> None:
    """Where history is cut off, the last commit that touched a folder cannot be told."""
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth", "1", repository.as_uri(), str(clone))

    assert commit(clone / "app") == "unknown"


def test_without_a_repository_the_commit_is_unknown(folder: Path) -> None:
    """An archive of the files works as well."""
    assert commit(folder) == "unknown"
    assert commit(folder / "nothing") == "unknown"


def test_a_fingerprint_follows_values_and_key() -> None:
    """A changed value shows, another order does not; another key hides the same value."""
    one = fingerprint("key", {"a": "1", "b": {"c": "2"}})

    assert fingerprint("key", {"b": {"c": "2"}, "a": "1"}) == one
    assert fingerprint("key", {"a": "1", "b": {"c": "3"}}) != one
    assert fingerprint("other", {"a": "1", "b": {"c": "2"}}) != one
    assert len(one) == 32
