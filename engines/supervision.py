"""One supervisor daemon (supervisord) per home folder, and the talk with it.

    HOME/run/            0700: configuration, definitions, locks
    HOME/secrets/NAME/   0700: one file per secret of a program
    HOME/logs/NAME.log   what a program prints; supervisord.log beside it

The daemon's configuration names only paths relative to HOME, where the daemon runs: its syntax gives
`%`, `;` and `#` a meaning that a folder's name must not have.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import os
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines import launcher
from engines.errors import GroundworkError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of struct sockaddr_un: 108 bytes on Linux, 104 on macOS; supervisord adds ".PID" while it binds.
SOCKET_PATH_LIMIT = 90
LOCK_TIMEOUT_S = 120.0
DAEMON_TIMEOUT_S = 20.0
_POLL_S = 0.05

_DAEMON_SECTION = """\
; Generated. Changes are overwritten.
[unix_http_server]
file=%(socket)s
chmod=0700

[supervisord]
logfile=logs/supervisord.log
logfile_maxbytes=10MB
logfile_backups=3
pidfile=run/supervisord.pid
nocleanup=true

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

# Many tries with growing pauses: a program that fails for minutes because its database does comes back.
_PROGRAM_SECTION = """
[program:%(name)s]
command=run/launch %(name)s
autostart=false
autorestart=true
startsecs=1
startretries=20
stopwaitsecs=30
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile=logs/%(name)s.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""


class ProcessError(GroundworkError):
    """A program or its supervisor could not be started, stopped or asked; the text says where and why."""


@dataclass(frozen=True)
class Home:
    """The folders of one home."""

    root: Path

    @property
    def run(self) -> Path:
        """Configuration, definitions and locks."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """What programs print."""
        return self.root / "logs"

    @property
    def secrets(self) -> Path:
        """Secret files, one folder per program."""
        return self.root / "secrets"

    def programs(self) -> list[str]:
        """Name the programs that are defined here."""
        return sorted(file.stem for file in self.run.glob("*.json"))

    def make(self) -> None:
        """Make the folders; the private ones for their owner only."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        for folder in (self.run, self.secrets):
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file as a whole: readers see the old or the new text, and only their owner sees any."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def locked(home: Home) -> Iterator[None]:
    """Let one caller at a time change what runs in a home.

    Raises:
        ProcessError: somebody else has been changing it for two minutes.
    """
    descriptor = _lock(home, time.monotonic() + LOCK_TIMEOUT_S)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(home: Home, deadline: float) -> int:
    path = home.run / "lock"
    while time.monotonic() < deadline:
        home.make()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _same_file(descriptor, path):
                return descriptor
        os.close(descriptor)
        time.sleep(_POLL_S)
    raise ProcessError(f"another update is changing what runs in {home.root}; wait for it, then try again")


def _same_file(descriptor: int, path: Path) -> bool:
    """Tell whether an open file is still the one at `path`: the last program's end removes the folder."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


class _UnixConnection(http.client.HTTPConnection):
    """HTTP through a socket file."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True)
class Daemon:
    """The supervisor of one home, reached through its socket."""

    home: Home
    socket: str

    def call(self, method: str, *arguments: Any, timeout_s: float = 60.0) -> Any:
        """Call a method of supervisord's XML-RPC interface (supervisord.org/api.html).

        Raises:
            xmlrpc.client.Fault: the daemon refuses; its text says why.
            OSError: the daemon does not answer.
        """
        body = xmlrpc.client.dumps(arguments, f"supervisor.{method}")
        with contextlib.closing(_UnixConnection(self.socket, timeout_s)) as connection:
            connection.request("POST", "/RPC2", body, {"Content-Type": "text/xml"})
            [result], _ = xmlrpc.client.loads(connection.getresponse().read().decode())
        return result

    def answers(self) -> bool:
        """Tell whether the daemon answers now."""
        try:
            return bool(self.call("getState", timeout_s=3.0)["statename"] == "RUNNING")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False

    def listens(self) -> bool:
        """Tell whether anybody listens at the socket, be it one that is about to end."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(self.socket) == 0


def find(home: Home) -> Daemon | None:
    """Give the living daemon of a home; None: there is none (files of a dead one do not count)."""
    if launcher.holder(launcher.lock_file(home.run, launcher.DAEMON)) is None:
        return None
    try:
        return Daemon(home, (home.run / "socket").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def ensure(home: Home) -> Daemon:
    """Give the daemon of a home, started if there is none; the caller holds the home's lock.

    Raises:
        ProcessError: it does not start.
    """
    daemon = find(home)
    if daemon is not None and daemon.answers():
        return daemon
    lock = launcher.lock_file(home.run, launcher.DAEMON)
    # Not the usual patience: what does not answer will hardly end in order.
    if not launcher.end_holder(lock, term_timeout_s=3):
        raise ProcessError(f"the supervisor of {home.root} neither answers nor ends; end it by hand")
    return _start(home)


def _start(home: Home) -> Daemon:
    daemon = Daemon(home, str(_socket_folder(home) / "s"))
    _end_lost(daemon)
    write_private(home.run / "socket", daemon.socket)
    write_config(home, daemon.socket)
    command = [sys.executable, "-I", launcher.__file__, "--daemon"]
    done = subprocess.run(
        command,
        cwd=home.root,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    if done.returncode != 0:
        raise ProcessError(
            f"the supervisor of {home.root} did not start: {(done.stdout + done.stderr).strip()}"
        )
    _wait_answer(daemon)
    return daemon


def _end_lost(daemon: Daemon) -> None:
    """End the daemon that a home had when somebody deleted the home's files; its programs end with it."""
    if not daemon.answers():
        return
    daemon.call("shutdown")
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while daemon.listens():
        if time.monotonic() >= deadline:
            raise ProcessError(f"an earlier supervisor of {daemon.home.root} does not end; end it by hand")
        time.sleep(_POLL_S)


def _environment() -> dict[str, str]:
    """Give the daemon what any program needs, and nothing that its starter keeps to itself."""
    fallback = {"PATH": os.defpath, "HOME": str(Path.home()), "LANG": "C.UTF-8"}
    given = {key: os.environ[key] for key in launcher.PASSED_ON if key in os.environ}
    return {**fallback, **given}


def _wait_answer(daemon: Daemon) -> None:
    home, deadline = daemon.home, time.monotonic() + DAEMON_TIMEOUT_S
    while not daemon.answers():
        if launcher.holder(launcher.lock_file(home.run, launcher.DAEMON)) is None:
            complaint = (home.run / "supervisord.err").read_text(encoding="utf-8", errors="replace").strip()
            raise ProcessError(f"the supervisor of {home.root} did not start: {complaint}")
        if time.monotonic() >= deadline:
            raise ProcessError(
                f"the supervisor of {home.root} does not answer; see {home.logs}/supervisord.log"
            )
        time.sleep(_POLL_S)


def write_config(home: Home, socket_path: str) -> None:
    """Write the daemon's configuration for all programs defined in the home, and the way to start them."""
    sections = [_PROGRAM_SECTION % {"name": name} for name in home.programs()]
    first = _DAEMON_SECTION % {"socket": socket_path.replace("%", "%%")}
    write_private(home.run / "supervisord.conf", first + "".join(sections))
    start = f'exec {shlex.quote(sys.executable)} -I {shlex.quote(launcher.__file__)} "$1"'
    write_private(home.run / "launch", f"#!/bin/sh\n{start}\n", mode=0o700)


def socket_folder_name(root: Path) -> str:
    """Name the folder of a home's socket, below the system's folder for temporary files."""
    return f"groundwork-{os.geteuid()}-{hashlib.sha256(bytes(root)).hexdigest()[:12]}"


def _socket_folder(home: Home) -> Path:
    """Make the short, private folder of the daemon's socket."""
    name = socket_folder_name(home.root)
    folder = Path(tempfile.gettempdir()) / name
    if len(bytes(folder)) > SOCKET_PATH_LIMIT:
        folder = Path("/tmp") / name  # noqa: S108 - the owner is checked below, the mode is 0700
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
    if not private:
        raise ProcessError(f"{folder} must be a folder of yours with mode 0700; remove it and try again")
    return folder


def end(home: Home) -> None:
    """End the daemon of a home, and remove what it needed; the caller holds the home's lock.

    Raises:
        ProcessError: it does not end.
    """
    if not launcher.end_holder(launcher.lock_file(home.run, launcher.DAEMON)):
        raise ProcessError(f"the supervisor of {home.root} does not end; end it by hand")
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(Path((home.run / "socket").read_text(encoding="utf-8")).parent)
    shutil.rmtree(home.secrets, ignore_errors=True)
    shutil.rmtree(home.run)
