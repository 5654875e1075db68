"""A real PostgreSQL server for the session, and a fresh database per test."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from emulator import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = secrets.token_hex(8)


@dataclass(frozen=True)
class Server:
    """Where the session's PostgreSQL listens; the login is its superuser."""

    host: str
    port: int
    password: str

    def dsn(self, database: str, user: str = "postgres") -> str:
        """Give the URL of one database of this server."""
        return f"postgresql://{user}:{self.password}@{self.host}:{self.port}/{database}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """Start the wheel's PostgreSQL on a free loopback port, without durability."""
    home = Path(tempfile.mkdtemp(prefix="gw-pg-"))
    settings = {"fsync": "off", "max_connections": "200"}
    server = postgres.Server(home / "data", postgres.free_port(), settings, superuser="postgres")
    server.initialise(PASSWORD)
    server.start()
    yield Server("127.0.0.1", server.port, PASSWORD)
    server.stop()
    shutil.rmtree(home)


@pytest.fixture
def database(postgres_server: Server) -> Iterator[str]:
    """Give the DSN of a fresh database and drop it afterwards."""
    name = f"t_{secrets.token_hex(6)}"
    admin = postgres_server.dsn("postgres")
    with psycopg.connect(admin, autocommit=True) as session:
        session.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield postgres_server.dsn(name)
    with psycopg.connect(admin, autocommit=True) as session:
        session.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
