"""The PostgreSQL server of one project, with the worker that runs its jobs and requests."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg
from psycopg import conninfo

from emulator import database, peer, postgres
from emulator.worker import Worker

if TYPE_CHECKING:
    from emulator.store import Record

HOST = "127.0.0.1"
DATABASE = "postgres"
OWNER = "postgres"
READER = "supabase_read_only_user"
# A port can be taken by somebody between the look and the start.
START_ATTEMPTS = 3
SETTLE_INTERVAL_S = 0.05
# Lines of postmaster.pid (PostgreSQL, src/include/utils/pidfile.h), counted from 0.
_PORT_LINE, _SOCKET_LINE, _ADDRESS_LINE, _STATE_LINE = 3, 4, 5, 7
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - only compared with


def admin_dsn(record: Record) -> str:
    """Give the URL of a project's database for the emulator's own work, as superuser."""
    password = quote(record.admin_password, safe="")
    return f"postgresql://{postgres.SUPERUSER}:{password}@{HOST}:{record.port}/{DATABASE}"


def connect(dsn: str, *, timeout_s: int = 3, options: str = "") -> psycopg.Connection:
    """Open a session in autocommit, with settings of its own in `options` (`-c name=value`).

    Raises:
        psycopg.OperationalError: nobody answers in time, or the login is refused.
    """
    complete = conninfo.make_conninfo(
        dsn, connect_timeout=timeout_s, application_name="emulator", options=options
    )
    return psycopg.connect(complete, autocommit=True)


@dataclass
class Instance:
    """One project's server; its methods are called by one thread at a time (projects.py sees to it).

    Attributes:
        folder: holds the data folder and the log.
        host: address at which others reach the server, beside the loopback address that the emulator uses.
    """

    folder: Path
    host: str = HOST

    def __post_init__(self) -> None:
        """Start with no worker."""
        self._worker: Worker | None = None
        self._worker_dsn = ""
        self._lock = threading.Lock()

    def start(self, record: Record) -> int:
        """Start the server, or adopt the one that runs, and give its port.

        Raises:
            postgres.ServerError: it did not start; the text holds the end of its log.
        """
        self._settle()
        self._clear_draft()
        server = self._server(record.port)
        server.initialise(record.admin_password)
        self._leave_other_address(server)
        if not server.running():
            self._start_on_free_port(record.port)
        self._settle()
        return int(self._pid_file()[_PORT_LINE])

    def _leave_other_address(self, server: postgres.Server) -> None:
        """Stop a server that listens where an earlier emulator was reached: only a start changes that."""
        lines = self._pid_file()
        if len(lines) > _ADDRESS_LINE and lines[_ADDRESS_LINE].strip() != self.host:
            server.stop()

    def _start_on_free_port(self, wanted: int) -> None:
        port = wanted if wanted and self._is_free(wanted) else self._free_port()
        for _ in range(START_ATTEMPTS - 1):
            try:
                self._server(port).start()
            except postgres.ServerError:
                if self._is_free(port):
                    raise
                port = self._free_port()
            else:
                return
        self._server(port).start()

    def _free_port(self) -> int:
        return next(port for port in iter(postgres.free_port, 0) if self._is_free(port))

    def _is_free(self, port: int) -> bool:
        # PostgreSQL starts when one of its addresses is free, and is then missed at the other.
        return all(_is_free(address, port) for address in {HOST, self.host})

    def prepare(self, record: Record) -> None:
        """Make the database look like a Supabase project's; safe to repeat.

        Raises:
            psycopg.Error: a statement failed.
        """
        database.prepare(admin_dsn(record), owner_password=record.owner_password)

    def start_worker(self, record: Record) -> None:
        """Start what runs the project's scheduled jobs and HTTP requests, anew if the server has moved."""
        dsn = admin_dsn(record)
        if dsn != self._worker_dsn:
            self._stop_worker()
        with self._lock:
            if self._worker is None:
                self._worker, self._worker_dsn = Worker(dsn), dsn
                self._worker.start()

    def stop(self) -> None:
        """Stop worker and server; what is stopped already is left as it is.

        Raises:
            postgres.ServerError: the server did not stop in time.
        """
        self._stop_worker()
        self._settle()
        self._server(0).stop()

    def _stop_worker(self) -> None:
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def dsn(self, user: str) -> str:
        """Give the login of a role through the server's socket, which needs no password (peer.py).

        Raises:
            ConnectionError: the server does not run.
        """
        lines = self._pid_file()
        if len(lines) <= _SOCKET_LINE:
            raise ConnectionError("the database server does not run")
        return peer.Socket(lines[_SOCKET_LINE], lines[_PORT_LINE]).dsn(user, DATABASE)

    def running(self) -> bool:
        """Tell whether the server lives."""
        lines = self._pid_file()
        return bool(lines) and self._lives(lines)

    def remove(self) -> None:
        """Stop everything and delete the data.

        Raises:
            postgres.ServerError: the server did not stop in time.
            OSError: the folder could not be deleted.
        """
        self.stop()
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _server(self, port: int) -> postgres.Server:
        # The first address is the one that postmaster.pid holds. 0.0.0.0 has the loopback address in it.
        addresses = dict.fromkeys([self.host] if self.host == _EVERYWHERE else [self.host, HOST])
        settings = {**database.server_settings(), "listen_addresses": ",".join(addresses)}
        return postgres.Server(self.folder / "data", port, settings)

    @property
    def _pid_path(self) -> Path:
        return self.folder / "data" / "postmaster.pid"

    def _pid_file(self) -> list[str]:
        try:
            return self._pid_path.read_text(encoding="utf-8").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _settle(self) -> None:
        """Wait while the server is starting or stopping: a killed emulator may have left it in between.

        Raises:
            postgres.ServerError: it neither came up nor went away in time.
        """
        for _ in range(int(postgres.START_TIMEOUT_S / SETTLE_INTERVAL_S)):
            lines = self._pid_file()
            if not lines or not self._lives(lines):
                self._forget(lines)
                return
            if len(lines) > _STATE_LINE and lines[_STATE_LINE].strip() == "ready":
                return
            time.sleep(SETTLE_INTERVAL_S)
        raise postgres.ServerError(
            f"the server of {self.folder} neither came up nor ended; see data.log there"
        )

    def _clear_draft(self) -> None:
        """Set aside what an initdb has begun that outlived its emulator: two must not write to one folder.

        Raises:
            postgres.ServerError: the old initdb does not end.
        """
        draft = self.folder / "data.draft"
        if not draft.exists():
            return
        for _ in range(int(postgres.START_TIMEOUT_S / SETTLE_INTERVAL_S)):
            if str(draft) not in _processes():
                # Its last child may still write into it: moved, the folder is in nobody's way.
                moved = draft.rename(draft.with_name(f"data.dead.{secrets.token_hex(4)}"))
                shutil.rmtree(moved, ignore_errors=True)
                return
            time.sleep(SETTLE_INTERVAL_S)
        raise postgres.ServerError(f"an earlier initdb of {self.folder} does not end")

    def _lives(self, lines: list[str]) -> bool:
        return str(self.folder / "data") in _processes("-p", lines[0].strip())

    def _forget(self, lines: list[str]) -> None:
        """Remove the lock files of a dead server whose process number is in use again, or not yet free.

        That is so after a reboot, and in containers whose first process does not collect the dead. PostgreSQL
        can only ask whether the number lives, and would refuse to start. Otherwise the files stay: they lead
        PostgreSQL to what the dead server left.
        """
        if not lines or not _in_use(int(lines[0])):
            return
        if len(lines) > _SOCKET_LINE:
            _socket_file(lines[_SOCKET_LINE], lines[_PORT_LINE], ".lock").unlink(missing_ok=True)
        self._pid_path.unlink(missing_ok=True)


def _processes(*which: str) -> str:
    """Give the command lines of some processes, of all if not said which."""
    asked = ["ps", "-ww", "-o", "args=", *(which or ["-A"])]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout


def _socket_file(folder: str, port: str, suffix: str = "") -> Path:
    return Path(folder) / f".s.PGSQL.{port}{suffix}"


def _in_use(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_free(address: str, port: int) -> bool:
    if _socket_file(tempfile.gettempdir(), str(port), ".lock").exists():
        return False
    with socket.socket() as probe:
        # As PostgreSQL does: connections of an earlier server in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True
