"""A stack file is written whole or not at all, and never over another."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from engines.adoption import AdoptionError, must_be_new, path_of, write

if TYPE_CHECKING:
    from pathlib import Path


def test_file_is_new(tmp_path: Path) -> None:
    """It is readable by others, and nothing else is left in the folder."""
    path = path_of(tmp_path, "prod")

    assert write(path, "config: {}\n", force=False) is None
    assert path.read_text() == "config: {}\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_file_that_exists_is_refused(tmp_path: Path) -> None:
    """The text says what to do, early and late; the file stays, and no other is left."""
    path = path_of(tmp_path, "prod")
    path.write_text("mine")

    with pytest.raises(
        AdoptionError, match=r"Pulumi\.prod\.yaml exists; name another stack with --stack, or use"
    ):
        must_be_new(path, force=False)
    with pytest.raises(AdoptionError, match="exists"):
        write(path, "theirs", force=False)

    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_force_keeps_every_former_file(tmp_path: Path) -> None:
    """Each former file gets a name that no other has."""
    path = path_of(tmp_path, "prod")
    copies = [write(path, text, force=True) for text in ("one", "two", "three")]

    assert path.read_text() == "three"
    assert copies[0] is None
    assert [copy.read_text() for copy in copies[1:] if copy] == ["one", "two"]


def test_of_two_at_once_one_writes(tmp_path: Path) -> None:
    """The other is refused; what is there is whole."""
    path, texts = path_of(tmp_path, "prod"), [str(number) * 100_000 for number in range(8)]

    def one(text: str) -> str | None:
        try:
            write(path, text, force=False)
        except AdoptionError:
            return None
        return text

    with ThreadPoolExecutor(8) as pool:
        written = [text for text in pool.map(one, texts) if text]

    assert [path.read_text()] == written
    assert list(tmp_path.iterdir()) == [path]


def test_disk_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written is told by its path, and no half of it is left."""

    def fail(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(AdoptionError, match=r"Pulumi\.prod\.yaml cannot be written: No space left on device"):
        write(path_of(tmp_path, "prod"), "x", force=False)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Nobody reads a whole project to learn that there is no folder."""
    with pytest.raises(AdoptionError, match="nowhere is no folder"):
        must_be_new(path_of(tmp_path / "nowhere", "prod"), force=False)
