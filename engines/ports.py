"""TCP ports of the loopback interface: which are free, and who has the others."""

from __future__ import annotations

import errno
import random
import shutil
import socket
import subprocess
from pathlib import Path

LOOPBACK = "127.0.0.1"
_LISTEN = "0A"
_LASTING = range(20_000, 32_000)
_TRIES = 50


def free_port(preferred: int | None = None) -> int:
    """Give a port that nobody uses now: `preferred` if it is free, else any.

    The port is kept for a long time, over times when nobody listens on it. So it comes from below the range
    out of which kernels serve outgoing connections (Linux from 32768, macOS from 49152), which would take it.
    """
    if preferred and port_taken(preferred) is None:
        return preferred
    for candidate in random.sample(_LASTING, _TRIES):
        if port_taken(candidate) is None:
            return candidate
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def port_taken(port: int) -> str | None:
    """Name who listens on a port of this machine, as well as that can be known; None: it is free."""
    if not _bound(port) and not _answers(port):
        return None
    return _owner_linux(port) or _owner_lsof(port) or "another program"


def _bound(port: int) -> bool:
    with socket.socket() as probe:
        # Without it, connections that ended a moment ago count as a user of the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            # A privileged port is no use to us either, but nobody has it.
            return error.errno == errno.EADDRINUSE
    return False


def _answers(port: int) -> bool:
    # BSD lets SO_REUSEADDR bind 127.0.0.1 beside a listener on all addresses.
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _owner_linux(port: int) -> str | None:
    """Find the listener's process by its socket's inode (proc(5))."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        if _has_socket(process, inodes):
            return f"{_command(process)} (pid {process.name})"
    return None


def _listening_inodes(port: int) -> set[str]:
    suffix = f":{port:04X}"
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        rows = table.read_text(encoding="ascii").splitlines()[1:] if table.exists() else []
        for row in (line.split() for line in rows):
            if row[1].endswith(suffix) and row[3] == _LISTEN:
                found.add(row[9])
    return found


def _has_socket(process: Path, sockets: set[str]) -> bool:
    try:
        return any(str(link.readlink()) in sockets for link in (process / "fd").iterdir())
    except OSError:
        # Somebody else's process, or one that has just ended.
        return False


def _command(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a program"


def _owner_lsof(port: int) -> str | None:
    """Ask lsof, which macOS has."""
    tool = shutil.which("lsof")
    if tool is None:
        return None
    command = [tool, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    fields = {line[:1]: line[1:] for line in done.stdout.splitlines()}
    return f"{fields['c']} (pid {fields['p']})" if {"p", "c"} <= fields.keys() else None
