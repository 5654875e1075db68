"""The source files of an edge function: what a folder holds, and which of its files changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from engines.supabase.errors import FunctionFilesError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What the platform takes for one function (https://supabase.com/docs/guides/functions/limits).
LARGEST_SOURCE = 20 * 1024 * 1024
_DIGEST_LENGTH = 16
_SKIPPED = frozenset({"node_modules"})


def read_files(folder: Path) -> dict[str, bytes]:
    """Read the files of a function by their paths below its folder, `/` between the parts.

    Files and folders whose names begin with a dot, and `node_modules`, are no part of it. Links to files are
    followed, links to folders are not.

    Raises:
        FunctionFilesError: there is no such folder, a file cannot be read, or all are too large.
    """
    if not folder.is_dir():
        raise FunctionFilesError(f"there is no folder {folder}")
    files: dict[str, bytes] = {}
    left = LARGEST_SOURCE
    for name, path in sorted(_walk(folder)):
        try:
            left -= path.stat().st_size
            if left < 0:
                raise FunctionFilesError(_too_large(folder))
            files[name] = path.read_bytes()
        except OSError as error:
            raise FunctionFilesError(f"{path} cannot be read: {error.strerror}") from None
    return files


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Give a short digest of each file, by path."""
    return {name: hashlib.sha256(content).hexdigest()[:_DIGEST_LENGTH] for name, content in files.items()}


def below(files: Mapping[str, bytes], entrypoint: str) -> dict[str, bytes]:
    """Give the platform's files by their paths below the function's folder, found by its entrypoint.

    The platform names files as it unpacked them, `/tmp/user_fn_…/source/index.ts` or `source/index.ts`.
    """
    starts = [name for name in files if name == entrypoint or name.endswith(f"/{entrypoint}")]
    folder = min(starts, key=len, default=entrypoint).removesuffix(entrypoint)
    return {name.removeprefix(folder): content for name, content in files.items()}


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    for place, inner, names in os.walk(folder):
        inner[:] = [name for name in inner if _counts(name)]
        for path in (Path(place) / name for name in names if _counts(name)):
            yield path.relative_to(folder).as_posix(), path


def _counts(name: str) -> bool:
    return not name.startswith(".") and name not in _SKIPPED


def _too_large(folder: Path) -> str:
    most = f"{LARGEST_SOURCE // 1024**2} MiB"
    return (
        f"the files in {folder} are larger than {most} together, which is the most that a function may have; "
        "move what it does not need out of the folder (node_modules and dot files do not count)"
    )
