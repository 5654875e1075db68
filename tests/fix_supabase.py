"""The database of a new Supabase project, empty or with the product's schema, fresh for each test."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from emulator import database, postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIGRATIONS = Path(__file__).parent.parent / "migrations"
GROUPS = {"app_runtime": "app_a", "agent_runtime": "agent_a"}


@dataclass(frozen=True)
class Project:
    """A server that was prepared like a hosted project, and its passwords.

    Attributes:
        port: TCP port on 127.0.0.1.
        password: of the superuser `supabase_admin`, of `postgres` and of the workloads' logins.
    """

    port: int
    password: str

    def dsn(self, name: str, user: str = "postgres") -> str:
        """Give the URL of one database of this server."""
        return f"postgresql://{user}:{self.password}@127.0.0.1:{self.port}/{name}"

    def copy(self, template: str, name: str) -> None:
        """Make a database of the owner `postgres` from another one, which nobody may be using."""
        query = sql.SQL("create database {} template {} owner postgres")
        with psycopg.connect(self.dsn("template1", "supabase_admin"), autocommit=True) as session:
            session.execute(query.format(sql.Identifier(name), sql.Identifier(template)))

    def drop(self, name: str) -> None:
        """Drop a database and end its sessions."""
        query = sql.SQL("drop database {} with (force)")
        with psycopg.connect(self.dsn("template1", "supabase_admin"), autocommit=True) as session:
            session.execute(query.format(sql.Identifier(name)))


def migration_files() -> list[Path]:
    """List the product's migrations in their order."""
    return sorted(MIGRATIONS.glob("*.sql"))


def migrate(dsn: str) -> None:
    """Apply every migration, a transaction each, as the runner does."""
    with psycopg.connect(dsn, autocommit=True) as session:
        for file in migration_files():
            with session.transaction():
                session.execute(file.read_bytes())


@contextlib.contextmanager
def run_project(*, exposed_by_default: bool = False) -> Iterator[Project]:
    """Run a prepared server on a free loopback port, without durability."""
    home = Path(tempfile.mkdtemp(prefix="gw-sb-"))
    settings = {**database.server_settings(), "fsync": "off", "max_connections": "200"}
    server = postgres.Server(home / "data", postgres.free_port(), settings)
    project = Project(server.port, secrets.token_hex(8))
    server.initialise(project.password)
    server.start()
    try:
        admin = project.dsn("postgres", "supabase_admin")
        database.prepare(admin, owner_password=project.password, exposed_by_default=exposed_by_default)
        yield project
    finally:
        server.stop()
        shutil.rmtree(home)


def add_logins(project: Project) -> None:
    """Make one login per workload as a deploy does; they are roles of the server, for all its databases."""
    with psycopg.connect(project.dsn("product"), autocommit=True) as session:
        for group, login in GROUPS.items():
            names = {"login": sql.Identifier(login), "group": sql.Identifier(group)}
            create = sql.SQL("create role {login} login noinherit password {password}")
            session.execute(create.format(**names, password=sql.Literal(project.password)))
            session.execute(sql.SQL("grant {group} to {login} with inherit true, set true").format(**names))


@pytest.fixture(scope="session")
def supabase_project() -> Iterator[Project]:
    """Run one project for the session; its database `product` is the migrated template."""
    with run_project() as project:
        project.copy("postgres", "product")
        migrate(project.dsn("product"))
        add_logins(project)
        yield project


@pytest.fixture
def empty_project(supabase_project: Project) -> Iterator[str]:
    """Give the owner's DSN of a new project's database, without the product's schema."""
    name = f"e_{secrets.token_hex(6)}"
    supabase_project.copy("postgres", name)
    yield supabase_project.dsn(name)
    supabase_project.drop(name)


@pytest.fixture
def supabase_database(supabase_project: Project) -> Iterator[str]:
    """Give the owner's DSN of a fresh database with every migration applied."""
    name = f"p_{secrets.token_hex(6)}"
    supabase_project.copy("product", name)
    yield supabase_project.dsn(name)
    supabase_project.drop(name)


@pytest.fixture
def runtime_dsn(supabase_project: Project, supabase_database: str) -> Callable[[str], str]:
    """Give the DSN of `supabase_database` for a workload's login, by its group role (`app_runtime`, …)."""
    name = supabase_database.rsplit("/", 1)[1]
    return lambda group: supabase_project.dsn(name, GROUPS[group])
