"""The files that follow from the declarations are written by scripts/lint and compared by scripts/check."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ("docs/variables.md", "workloads/app/variables.json", "workloads/agent/variables.json")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script in a folder, as scripts/lint and scripts/check do."""
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "variables.py"), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make the folders of a program that has no generated file yet."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "workloads" / "app").mkdir(parents=True)
    (tmp_path / "workloads" / "agent").mkdir()
    return tmp_path


def test_what_is_committed_is_what_is_declared() -> None:
    """Nobody has to remember the generated files: a check tells."""
    done = run(ROOT, "--check")

    assert done.stderr == ""
    assert done.returncode == 0


def test_a_check_names_what_is_stale_and_writes_nothing(folder: Path) -> None:
    """The check fails with each file and the command that writes it."""
    (folder / "docs" / "variables.md").write_text("old\n")
    done = run(folder, "--check")

    assert done.returncode == 1
    assert [line.split()[0] for line in done.stderr.splitlines()] == list(FILES)
    assert done.stderr.count("run scripts/lint") == 3
    assert (folder / "docs" / "variables.md").read_text() == "old\n"


def test_written_once_it_is_as_committed(folder: Path) -> None:
    """The same declarations give the same files anywhere."""
    done = run(folder)

    assert (done.returncode, run(folder, "--check").returncode) == (0, 0)
    assert [(folder / name).read_text() for name in FILES] == [(ROOT / name).read_text() for name in FILES]
