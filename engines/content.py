"""One short fingerprint for a set of files, to tell whether code or SQL changed."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

DIGEST_LENGTH = 16
UNKNOWN_COMMIT = "unknown"
# Label of a service of a Swarm: the digest of all that was rolled out.
RELEASE = "groundwork.release"
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


def fingerprint(key: str, values: Mapping[str, Any]) -> str:
    """Give a digest that shows a change of values and says nothing of them to who lacks the key.

    Args:
        key: a secret; without it, a value that can be guessed could be tried against the digest.
        values: anything that JSON holds; the order of keys does not count.

    Returns:
        32 hexadecimal digits of an HMAC-SHA-256.
    """
    text = json.dumps(values, sort_keys=True)
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[: 2 * DIGEST_LENGTH]


def _files(path: Path, skipped: set[str]) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield path.name, path
        return
    found = {file.relative_to(path): file for file in path.rglob("*") if file.is_file()}
    for relative in sorted(found, key=Path.as_posix):
        if not skipped.intersection(relative.parts):
            yield relative.as_posix(), found[relative]


def commit(folder: Path) -> str:
    """Name the last commit that touched a folder, so that commits elsewhere leave what is built of it alone.

    Args:
        folder: a folder of a git working copy.

    Returns:
        40 hexadecimal digits, with `-dirty` after them when files differ from that commit; `unknown` without
        git or a repository, and where history was cut off before that commit (in a shallow clone, the oldest
        commit seems to have made everything).
    """
    last = _git(folder, "log", "-1", "--format=%H", "--", ".")
    if not last or last in _cut_off(folder):
        return UNKNOWN_COMMIT
    return f"{last}-dirty" if _git(folder, "status", "--porcelain", "--", ".") else last


def _cut_off(folder: Path) -> list[str]:
    """List the commits at which a shallow clone's history begins."""
    listed = Path(folder, _git(folder, "rev-parse", "--git-path", "shallow") or "shallow")
    return listed.read_text(encoding="utf-8").split() if listed.is_file() else []


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
