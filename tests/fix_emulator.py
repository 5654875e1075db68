"""A real emulator process, and a project in it that is ready."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent
DEADLINE_S = 90.0


def wait_until(condition: Callable[[], Any], what: str, *, deadline_s: float = DEADLINE_S) -> Any:
    """Ask until the answer is true and give it; the test fails when the deadline has passed."""
    return until(condition, deadline_s, what=what)


def processes(text: str) -> list[str]:
    """Give the command lines of the machine's processes that hold `text`."""
    shown = subprocess.run(["ps", "-eww", "-o", "args="], capture_output=True, text=True, check=True)
    return [line for line in shown.stdout.splitlines() if text in line]


@dataclass
class Emulator:
    """One `python -m emulator`.

    Attributes:
        data: its data folder.
        token: its bearer token, in the form that the real CLI takes.
        arguments: more command line arguments.
        api_url: where it listens, once started.
    """

    data: Path
    token: str = field(default_factory=lambda: f"sbp_{secrets.token_hex(20)}")
    arguments: tuple[str, ...] = ("--rate-limit", "0")
    api_url: str = ""
    process: subprocess.Popen[bytes] | None = None
    client: httpx.Client = field(default_factory=httpx.Client)

    @property
    def log(self) -> Path:
        """What it wrote to stderr, over all starts."""
        return self.data.with_name(f"{self.data.name}.stderr")

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process without waiting for it."""
        command = [sys.executable, "-m", "emulator", "--data", str(self.data), *self.arguments]
        environment = {**os.environ, "GROUNDWORK_EMULATOR_TOKEN": self.token}
        with self.log.open("ab") as stderr:
            return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr)

    def start(self) -> None:
        """Start the process and wait for its line."""
        self.process = self.launch()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.end()
            raise AssertionError(f"the emulator did not start:\n{self.log.read_text()[-2000:]}")
        self.api_url = json.loads(line)["api_url"]
        headers = {"authorization": f"Bearer {self.token}"}
        self.client = httpx.Client(base_url=self.api_url, headers=headers, timeout=60)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and give the exit status; a process that has ended already is left alone."""
        self.client.close()
        if self.process is None:
            return 0
        self.process.send_signal(number)
        status = self.process.wait(DEADLINE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return status

    def dispose(self) -> None:
        """End the process, and stop what a killed one left running."""
        self.end()
        command = [sys.executable, "-m", "emulator", "--data", str(self.data), "--stop"]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    def status(self, ref: str) -> str:
        """Ask for a project's status; GONE when there is no such project."""
        answer = self.client.get(f"/v1/projects/{ref}")
        return "GONE" if answer.status_code == 404 else str(answer.json()["status"])

    def wait_for_status(self, ref: str, status: str) -> None:
        """Wait until a project has a status, and fail at once when it failed."""
        failed = {"INIT_FAILED", "PAUSE_FAILED", "RESTORE_FAILED"} - {status}

        def arrived() -> bool:
            now = self.status(ref)
            assert now not in failed, f"{now}:\n{self.log.read_text()[-2000:]}"
            return now == status

        wait_until(arrived, f"project {ref} to be {status}")

    def postmaster(self, ref: str) -> int:
        """Give the process number of a project's PostgreSQL, 0 while there is none."""
        try:
            return int((self.data / "postgres" / ref / "data" / "postmaster.pid").read_text().split("\n")[0])
        except (FileNotFoundError, ValueError):
            return 0

    def create(self, name: str = "demo", password: str | None = None) -> Project:
        """Make a project and wait until it is ready."""
        password = password or secrets.token_urlsafe(12)
        body = {"name": name, "organization_slug": "groundwork", "db_pass": password}
        ref = self.client.post("/v1/projects", json=body).raise_for_status().json()["ref"]
        self.wait_for_status(ref, "ACTIVE_HEALTHY")
        return Project(self, ref, password)


@dataclass
class Project:
    """A project that is ready.

    Attributes:
        ref: its 20 letters.
        password: of the role `postgres`.
    """

    emulator: Emulator = field(repr=False)
    ref: str
    password: str

    @property
    def url(self) -> str:
        """The project's own URL, without a slash at the end."""
        return f"{self.emulator.api_url}/projects/{self.ref}"

    @property
    def path(self) -> str:
        """The project's path in the Management API."""
        return f"/v1/projects/{self.ref}"

    @property
    def dsn(self) -> str:
        """The database's URL for its owner, as the API says it now."""
        return self.login("postgres", self.password)

    def login(self, user: str, password: str) -> str:
        """The database's URL for one login."""
        entry = self.emulator.client.get(f"{self.path}/config/database/pooler").json()[0]
        address = f"{entry['db_host']}:{entry['db_port']}/{entry['db_name']}"
        return f"postgresql://{user}:{quote(password, safe='')}@{address}"

    @property
    def admin_dsn(self) -> str:
        """The database's URL for its superuser, whose password only the emulator knows."""
        record = json.loads((self.emulator.data / "state" / f"{self.ref}.json").read_text())
        return self.login("supabase_admin", record["admin_password"])

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Run SQL through the API and give the rows."""
        answer = self.emulator.client.post(f"{self.path}/database/query", json={"query": query})
        assert answer.status_code == 201, answer.text
        rows: list[dict[str, Any]] = answer.json()
        return rows

    def key(self, name: str) -> str:
        """Give one API key in plain."""
        listed = self.emulator.client.get(f"{self.path}/api-keys", params={"reveal": "true"}).json()
        return str(next(key["api_key"] for key in listed if name in {key["id"], key.get("prefix")}))

    def connect(self) -> psycopg.Connection:
        """Open a session as the owner."""
        return psycopg.connect(self.dsn, autocommit=True)


@contextlib.contextmanager
def running_emulator(*arguments: str) -> Iterator[Emulator]:
    """Run one with more command line arguments; nothing is left of it afterwards."""
    # Not pytest's own folder: as root, PostgreSQL runs as another account, and every pytest that starts on
    # the machine takes from all accounts but its own the right to enter that folder.
    with tempfile.TemporaryDirectory(prefix="gw-emulator-") as home:
        running = Emulator(Path(home) / "data")
        running.arguments += arguments
        running.start()
        try:
            yield running
        finally:
            running.dispose()


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """Run one emulator for all tests that do not stop it."""
    with running_emulator() as running:
        yield running


@pytest.fixture(scope="session")
def project(emulator: Emulator) -> Project:
    """Give one project that is ready; a test leaves it as it was."""
    return emulator.create("shared")


@pytest.fixture
def own_emulator() -> Iterator[Emulator]:
    """Run an emulator of the test's own, which it may kill and start again."""
    with running_emulator() as running:
        yield running
