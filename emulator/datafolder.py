"""Files of ours within a server's data folder, owned as PostgreSQL wants its files owned."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg


def path(session: psycopg.Connection) -> Path:
    """Give the data folder of a session's server."""
    return Path(setting(session, "data_directory"))


def setting(session: psycopg.Connection, name: str) -> str:
    """Read a server setting."""
    row = session.execute("select current_setting(%s)", [name]).fetchone()
    return str(row[0]) if row else ""


def write(file: Path, content: bytes) -> None:
    """Replace a file in one step: readable by the server's account only, old or new after a kill.

    Raises:
        OSError: the folder cannot be written.
    """
    draft = file.with_name(f"{file.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        target.write(content)
    owner = file.parent.stat()
    os.chown(draft, owner.st_uid, owner.st_gid)
    draft.replace(file)


def write_once(file: Path, content: bytes) -> None:
    """Write a file unless it exists.

    Raises:
        OSError: the folder cannot be written.
    """
    if not file.exists():
        write(file, content)
