"""One short fingerprint for a set of files, to tell whether code or SQL changed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DIGEST_LENGTH = 16
_NEVER = {"__pycache__", ".DS_Store"}


def digest(paths: Iterable[Path], exclude: Iterable[str] = ()) -> str:
    """Fingerprint files and folders by their names below each path and their bytes.

    The same content gives the same text on every machine: no absolute path, time or mode goes in.

    Args:
        paths: files, or folders that are walked.
        exclude: names of files or folders that do not count, at any depth; `__pycache__` never counts.

    Returns:
        16 hexadecimal digits of a SHA-256.

    Raises:
        FileNotFoundError: a path is not there.
    """
    skipped = _NEVER | set(exclude)
    total = hashlib.sha256()
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there, so its content cannot be compared")
        total.update(b"/")
        for name, file in _files(path, skipped):
            # Lengths keep ("ab", "c") and ("a", "bc") apart.
            content = file.read_bytes()
            total.update(f"{len(name.encode())}:{name}:{len(content)}:".encode())
            total.update(content)
    return total.hexdigest()[:DIGEST_LENGTH]


def _files(path: Path, skipped: set[str]) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield path.name, path
        return
    found = {file.relative_to(path): file for file in path.rglob("*") if file.is_file()}
    for relative in sorted(found, key=Path.as_posix):
        if not skipped.intersection(relative.parts):
            yield relative.as_posix(), found[relative]
