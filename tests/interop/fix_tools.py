"""The real Supabase CLI and Drizzle, installed from npm once per user, and a project to run them on."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from engines.migrations import Options, Outcome, Plan, apply, inspect, read_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.fix_postgres import Server

HERE = Path(__file__).parent
MARK = "--> statement-breakpoint"
_UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ECONNRESET", "ENETUNREACH")


def install(source: Path) -> Path:
    """Install a package.json as its lock says; give the folder with its `node_modules`."""
    npm = shutil.which("npm")
    if not npm or not shutil.which("node"):
        pytest.skip("npm and node are not installed, with which the real tools come")
    lock = (source / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "groundwork" / "interop"
    home = cache / hashlib.sha256(lock + os.uname().machine.encode()).hexdigest()[:16]
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            _fetch(npm, source, home)
            (home / "complete").touch()
    return home


def _fetch(npm: str, source: Path, home: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, home)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    if any(word in done.stderr for word in _UNREACHABLE):
        pytest.skip(f"npm reaches no registry: {done.stderr.strip().splitlines()[0]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def tools() -> Path:
    """Install the Supabase CLI and Drizzle 0.x."""
    return install(HERE)


@pytest.fixture(scope="session")
def tools_1() -> Path:
    """Install Drizzle 1.0."""
    return install(HERE / "drizzle-1")


@dataclass(frozen=True)
class Ran:
    """How a tool ended."""

    status: int
    text: str


@dataclass
class Project:
    """A folder of migrations, and two databases: ours and, to compare, the tool's."""

    path: Path
    dsn: str
    other: str
    home: Path
    journal: list[dict[str, Any]] = field(default_factory=list)

    def up(self, dsn: str | None = None, **options: Any) -> Outcome:
        """Run what is pending with ours."""
        folder = read_folder(self.path)
        return apply(dsn or self.dsn, folder, options=Options(**options), report=lambda _text: None)

    def plan(self, dsn: str | None = None) -> Plan:
        """Say what ours would do."""
        return inspect(dsn or self.dsn, read_folder(self.path))

    def rows(self, query: str, dsn: str | None = None) -> list[tuple[Any, ...]]:
        """Ask a database."""
        with psycopg.connect(dsn or self.dsn, autocommit=True) as session:
            return session.execute(query.encode()).fetchall()

    def execute(self, command: str, dsn: str | None = None) -> None:
        """Change a database behind the tools' backs."""
        with psycopg.connect(dsn or self.dsn, autocommit=True) as session:
            session.execute(command.encode())

    def run(self, command: list[str], **environment: str) -> Ran:
        """Run a tool with nothing of the user's own settings."""
        own = {"PATH": os.environ["PATH"], "HOME": str(self.home), "DO_NOT_TRACK": "1", "NO_COLOR": "1"}
        done = subprocess.run(
            command,
            cwd=self.home,
            env=own | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Ran(done.returncode, done.stdout + done.stderr)

    def drizzle(self, tools: Path, dsn: str | None = None) -> Ran:
        """Run drizzle-orm's migrator, which an application calls at its start."""
        script = [shutil.which("node") or "node", str(HERE / "migrate.cjs"), str(self.path)]
        return self.run(script, DATABASE_URL=dsn or self.dsn, NODE_PATH=str(tools / "node_modules"))

    def drizzle_kit(self, tools: Path, *arguments: str, dsn: str | None = None) -> Ran:
        """Run a command of drizzle-kit, `migrate` if none is named."""
        config = {
            "dialect": "postgresql",
            "schema": "./schema.js",
            "out": os.path.relpath(self.path, self.home),
            "dbCredentials": {"url": dsn or self.dsn},
        }
        text = f"module.exports = {json.dumps(config)};"
        (self.home / "drizzle.config.js").write_text(text, encoding="utf-8")
        (self.home / "schema.js").touch()
        kit = str(tools / "node_modules/.bin/drizzle-kit")
        return self.run([kit, *(arguments or ["migrate"]), "--config=drizzle.config.js"])

    def supabase(self, tools: Path, *arguments: str, dsn: str | None = None) -> Ran:
        """Run the Supabase CLI on a database."""
        remote = f"--remote={dsn or self.dsn}?sslmode=disable"
        return self.run([str(tools / "node_modules/.bin/supabase"), *arguments, remote])

    def write(self, name: str, text: str | bytes) -> None:
        """Write a file below the folder of migrations."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())

    def enter(self, tag: str, when: int, *pieces: str) -> None:
        """Write a migration of Drizzle 0.x and its entry in the journal."""
        self.write(f"{tag}.sql", f"{MARK}\n".join(pieces))
        index = len(self.journal)
        self.journal.append({"idx": index, "version": "7", "when": when, "tag": tag, "breakpoints": True})
        self.keep()

    def keep(self) -> None:
        """Write the journal as it is."""
        journal: Mapping[str, Any] = {"version": "7", "dialect": "postgresql", "entries": self.journal}
        self.write("meta/_journal.json", json.dumps(journal, indent=2))

    def history(self, dsn: str | None = None) -> list[tuple[Any, ...]]:
        """Give Drizzle's rows, with their ids."""
        return self.rows("select id, hash, created_at from drizzle.__drizzle_migrations order by id", dsn)


def same_schema(project: Project) -> bool:
    """Say whether both databases have the same relations and columns in all schemas but ours."""
    query = """
select n.nspname, c.relname, c.relkind, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       pg_get_expr(d.adbin, d.adrelid)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'groundwork')
order by 1, 2, a.attnum"""
    return project.rows(query) == project.rows(query, project.other)


@pytest.fixture
def second(postgres_server: Server, database: str) -> Iterator[str]:
    """Give a second fresh database."""
    name = database.rpartition("/")[2] + "_other"
    with psycopg.connect(postgres_server.dsn("postgres"), autocommit=True) as session:
        session.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        yield postgres_server.dsn(name)
        session.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def drizzle_project(database: str, second: str, tmp_path: Path) -> Project:
    """Give an empty folder for Drizzle."""
    (tmp_path / "drizzle").mkdir()
    return Project(tmp_path / "drizzle", database, second, tmp_path)


@pytest.fixture
def cli_project(database: str, second: str, tmp_path: Path) -> Project:
    """Give an empty folder for the Supabase CLI, with an empty configuration."""
    path = tmp_path / "supabase" / "migrations"
    path.mkdir(parents=True)
    (tmp_path / "supabase" / "config.toml").write_text('project_id = "interop"\n', encoding="utf-8")
    return Project(path, database, second, tmp_path)
