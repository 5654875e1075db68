"""Source files of a project's functions, brought into folders of their own."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from engines.adoption.errors import AdoptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engines.adoption.notes import Notes
    from engines.adoption.reading import Live
    from engines.supabase import Function

FOLDER: Final = "functions"
_MODE: Final = 0o755


@dataclass(frozen=True)
class Source:
    """One function's folder.

    Attributes:
        folder: relative to the stack file.
        files: contents by path inside of it.
    """

    folder: str
    files: Mapping[str, bytes]


def describe_functions(live: Live, notes: Notes) -> tuple[dict[str, Any], tuple[Source, ...]]:
    """Give the functions as a stack file says them, and the files to write beside it."""
    described, sources = {}, []
    for one in live.functions:
        files = _together(live.files.get(one.slug, {}))
        entrypoint = _inside(one.entrypoint_path, files)
        if why := _unfit(files, entrypoint):
            notes.leave(f"function {one.slug}", why)
            continue
        source = Source(f"{FOLDER}/{one.slug}", files)
        described[one.slug] = {"dir": source.folder, "entrypoint": entrypoint, **_options(one, files)}
        sources.append(source)
    return described, tuple(sources)


def _options(function: Function, files: Mapping[str, bytes]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if import_map := _inside(function.import_map_path, files):
        options["import_map"] = import_map
    if function.verify_jwt is not None:
        options["verify_jwt"] = function.verify_jwt
    return options


def _unfit(files: Mapping[str, bytes], entrypoint: str | None) -> str | None:
    """Say why the files cannot be a folder; None: they can."""
    if not files:
        return "its files cannot be read; put them into a folder and name it"
    if odd := sorted(name for name in files if not _is_safe(name)):
        return f"its file {odd[0]!r} would not be inside of its folder"
    return None if entrypoint else "none of its files is the one that starts it"


def _together(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Give the files by their paths below the folder that they share, where the platform says whole paths.

    It unpacks them to `/tmp/user_fn_…/source`, a folder that means nothing elsewhere.
    """
    paths = {name: PurePosixPath(name) for name in files}
    if not paths or not all(path.is_absolute() for path in paths.values()):
        return dict(files)
    shared = os.path.commonpath([path.parent for path in paths.values()])
    return {str(path.relative_to(shared)): files[name] for name, path in paths.items()}


def _is_safe(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _inside(path: str | None, files: Mapping[str, bytes]) -> str | None:
    """Find the file that the platform names, which may say where it lay when it was bundled (`file:///…`)."""
    if not path:
        return None
    plain = unquote(urlsplit(path).path) if path.startswith("file:") else path
    ends = [name for name in files if plain == name or plain.endswith(f"/{name.removeprefix('./')}")]
    return max(ends, key=len, default=None)


def write_source(root: Path, source: Source) -> str:
    """Write a function's folder unless it is there, and say what was done; nothing is ever overwritten.

    Raises:
        AdoptionError: it cannot be written.
    """
    target = root / source.folder
    if target.exists():
        same = "as on the platform" if _holds(target, source.files) else "but differs from the platform"
        return f"{source.folder} is there already, {same}; it was left as it is"
    try:
        _write(target, source.files)
    except OSError as error:
        raise AdoptionError(f"{target} cannot be written: {error.strerror or error}") from None
    return f"{source.folder} has {len(source.files)} files from the platform"


def _holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    try:
        return all((folder / name).read_bytes() == content for name, content in files.items())
    except OSError:
        return False


def _write(target: Path, files: Mapping[str, bytes]) -> None:
    """Fill a folder beside it, then give it its name, so that no half of it is ever there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for name, content in files.items():
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            (beside / name).write_bytes(content)
        beside.chmod(_MODE)
        os.rename(beside, target)  # noqa: PTH104 - refuses a folder that somebody filled meanwhile
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
