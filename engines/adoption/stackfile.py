"""The file of a stack: written whole or not at all, and never over one that is there."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from engines.adoption.errors import AdoptionError

_MODE = 0o644


def path_of(root: Path, stack: str) -> Path:
    """Give the file of a stack."""
    return root / f"Pulumi.{stack}.yaml"


def must_be_new(path: Path, *, force: bool) -> None:
    """Refuse early what `write` would refuse late.

    Raises:
        AdoptionError: there is no folder for it, or the file is there.
    """
    if not path.parent.is_dir():
        raise AdoptionError(f"{path.parent} is no folder")
    if path.exists() and not force:
        raise _exists(path)


def write(path: Path, text: str, *, force: bool) -> Path | None:
    """Write a file that is new; with `force`, the former one is kept under another name.

    Returns:
        The copy of the former file; None: there was none.

    Raises:
        AdoptionError: it is there, or cannot be written; nothing is changed then.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    beside = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(_MODE)
        copy = _keep(path) if force and path.exists() else None
        if copy:
            beside.replace(path)
        else:
            os.link(beside, path)  # unlike a rename, it refuses a file that somebody made meanwhile
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise AdoptionError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()
    return copy


def _keep(path: Path) -> Path:
    """Give the former file a second name that nothing has."""
    number = 1
    while True:
        copy = path.with_name(f"{path.name}.before-{number}")
        with suppress(FileExistsError):
            os.link(path, copy)
            return copy
        number += 1


def _exists(path: Path) -> AdoptionError:
    return AdoptionError(
        f"{path} exists; name another stack with --stack, or use --force to replace it (a copy is kept)"
    )
