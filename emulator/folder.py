"""The data folder: its layout, its lock, and writes that a kill cannot tear."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.errors import StartError

if TYPE_CHECKING:
    from pathlib import Path

# Written and removed at start, so that a full disk shows then and not in the middle of a request.
PROBE_BYTES = 256 * 1024


def write(path: Path, text: str) -> None:
    """Replace a file as a whole, readable by its owner only: after a kill it is the old or the new one.

    Raises:
        OSError: the disk is full or not writable; the old file stays.
    """
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)  # noqa: PTH105 - mkstemp gives a string
    except BaseException:
        os.unlink(draft)  # noqa: PTH108 - mkstemp gives a string
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Make a rename last through a power cut (fsync(2): the folder needs a sync of its own)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Folder:
    """One emulator's data folder.

    Attributes:
        root: the folder itself.
    """

    root: Path

    @property
    def state(self) -> Path:
        """Records of the projects with their secrets; nobody else may enter."""
        return self.root / "state"

    @property
    def organizations(self) -> Path:
        """Names of the organizations by slug."""
        return self.root / "organizations.json"

    def postgres(self, ref: str) -> Path:
        """Folder of one project's PostgreSQL (its data folder and its log)."""
        return self.root / "postgres" / ref

    def open(self) -> int:
        """Make the folder and take it; the descriptor that is given back holds the lock until the end.

        Raises:
            StartError: it cannot be written, the disk is full, or another emulator has it.
        """
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            self.state.chmod(0o700)
            lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartError(f"cannot use the data folder {self.root}: {error.strerror}") from error
        self._take(lock)
        self._probe()
        return lock

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(lock, 32, 0).decode() or "unknown"
            os.close(lock)
            raise StartError(
                f"another emulator (process {owner}) uses the data folder {self.root}"
            ) from error
        with contextlib.suppress(OSError):  # The number only helps a reader; _probe reports a full disk.
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)

    def _probe(self) -> None:
        probe = self.state / "probe"
        try:
            write(probe, "." * PROBE_BYTES)
            probe.unlink()
        except OSError as error:
            raise StartError(f"cannot write to the data folder {self.root}: {error.strerror}") from error
