"""A server prepared as a project's, shared by the tests of the database and the worker."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from emulator import database, postgres
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ADMIN_PASSWORD = secrets.token_hex(8)
OWNER_PASSWORD = secrets.token_hex(8)
DEADLINE_S = 20


@dataclass(frozen=True)
class ProjectServer:
    """A running server with the two logins that tests use."""

    server: postgres.Server

    @property
    def admin_dsn(self) -> str:
        """URL of the database as superuser."""
        return self.dsn(postgres.SUPERUSER, ADMIN_PASSWORD)

    @property
    def owner_dsn(self) -> str:
        """URL of the database as the project's owner."""
        return self.dsn("postgres", OWNER_PASSWORD)

    def dsn(self, user: str, password: str) -> str:
        """Give the URL of the database for a login."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.server.port}/postgres"


@contextmanager
def running_server(prefix: str = "gw-project-") -> Iterator[ProjectServer]:
    """Run a fresh server, not prepared, without durability; nothing is left of it afterwards."""
    home = Path(tempfile.mkdtemp(prefix=prefix))
    settings = {**database.server_settings(), "fsync": "off"}
    server = postgres.Server(home / "data", postgres.free_port(), settings)
    try:
        server.initialise(ADMIN_PASSWORD)
        server.start()
        yield ProjectServer(server)
    finally:
        server.stop()
        shutil.rmtree(home)


@pytest.fixture
def fresh_server() -> Iterator[ProjectServer]:
    """Give a server that nobody has prepared."""
    with running_server() as found:
        yield found


@pytest.fixture
def odd_server() -> Iterator[ProjectServer]:
    """Give a server below a folder whose name has a colon."""
    with running_server("gw:project-") as found:
        yield found


@pytest.fixture
def owner_password() -> str:
    """Give the password that the prepared server's owner has."""
    return OWNER_PASSWORD


@pytest.fixture(scope="session")
def project_server() -> Iterator[ProjectServer]:
    """Give a prepared server; tests remove what they make in it."""
    with running_server() as found:
        database.prepare(found.admin_dsn, owner_password=OWNER_PASSWORD)
        yield found


@pytest.fixture
def admin(project_server: ProjectServer) -> Iterator[psycopg.Connection]:
    """Give a session of the superuser."""
    with psycopg.connect(project_server.admin_dsn, autocommit=True) as session:
        yield session


@pytest.fixture
def owner(project_server: ProjectServer) -> Iterator[psycopg.Connection]:
    """Give a session of the project's owner."""
    with psycopg.connect(project_server.owner_dsn, autocommit=True) as session:
        yield session


@pytest.fixture
def trial(owner: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Give a session of the owner within a transaction that is rolled back."""
    with owner.transaction(force_rollback=True):
        yield owner


@pytest.fixture
def wait_for() -> Callable[[Callable[[], object]], object]:
    """Give a function that asks until the answer is true, and fails after a deadline."""
    return lambda look: until(look, DEADLINE_S)
