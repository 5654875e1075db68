"""Adopting a database without a history, and naming the database that is changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from engines.migrations import RefusedError, baseline, mark_disposable, repair, reset
from engines.migrations.cli import main
from engines.postgres import describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engines.migrations.conftest import Project

FILES = {
    "_001_a": "create table a (); create table public.b (id int)",
    "_002_p": "create policy p on b; alter table b enable row level security",
    "_003_c": "create table c ()",
}


def test_records_without_running(project: Project) -> None:
    """What the files make is there: they are recorded as `up` would, and there is nothing to do."""
    project.write(**FILES)
    project.execute(";".join(FILES.values()))

    assert baseline(project.dsn, project.folder) == ("001_a.sql", "002_p.sql", "003_c.sql")
    assert project.history == ["001", "002", "003"]
    assert project.up().applied == ()
    stored = "select statements[1] from supabase_migrations.schema_migrations where version = '003'"
    assert project.value(stored) == "create table c ()"
    assert project.command("verify").returncode == 0


def test_upto_a_version(project: Project) -> None:
    """Files behind the version stay pending."""
    project.write(**FILES)
    project.execute(";".join(list(FILES.values())[:2]))
    done = project.command("baseline", "--to", "002")

    assert done.stdout.splitlines() == [
        "recorded 001_a.sql without running it",
        "recorded 002_p.sql without running it",
        f"2 recorded in {describe(project.dsn)}",
    ]
    assert project.up().applied == ("003_c.sql",)


def test_answer_for_machines(project: Project) -> None:
    """The answer names the database and the files."""
    project.write(_001_a="select 1")

    answer = json.loads(project.command("baseline", "--json").stdout)
    assert answer == {"database": describe(project.dsn), "recorded": ["001_a.sql"]}


def test_what_is_lacking_is_listed(project: Project) -> None:
    """A database that is not as the files say is refused with all that it lacks, and nothing is recorded."""
    project.write(**FILES)
    project.execute("create table b (); create table c ()")

    with pytest.raises(RefusedError) as caught:
        baseline(project.dsn, project.folder)
    assert caught.value.refusals[:-1] == (
        "table a, which 001_a.sql made, is missing",
        'policy "p" on b, which 002_p.sql made, is missing',
        "row level security (enabled) of b, which 002_p.sql made, is missing",
    )
    assert "name the last version that it really has with --to" in caught.value.refusals[-1]
    assert project.value("select to_regclass('supabase_migrations.schema_migrations') is null")


def test_history_is_refused(project: Project) -> None:
    """A database with a history is none to be adopted; the text says what is."""
    project.write(**FILES)
    project.up(to="001")

    with pytest.raises(RefusedError, match=r"has a history of 1 versions; .*repair --applied VERSION"):
        baseline(project.dsn, project.folder)
    assert project.history == ["001"]


def test_version_that_is_not_there(project: Project) -> None:
    """A version without a file, and a folder without files, are refused."""
    with pytest.raises(RefusedError, match=r"there is no migration in .* to record"):
        baseline(project.dsn, project.folder)
    project.write(**FILES)
    with pytest.raises(RefusedError, match="there is no file with the version 009"):
        baseline(project.dsn, project.folder, to="009")


def test_killed_in_the_middle(
    project: Project, gate: Callable[[], None], until: Callable[[Callable[[], Any]], Any]
) -> None:
    """A runner that is killed while it records has recorded nothing; the next one records all."""
    project.write(**FILES)
    project.execute(";".join(FILES.values()))
    with psycopg.connect(project.dsn, autocommit=True) as session:  # the second row waits at the gate
        session.execute(
            "create schema supabase_migrations;"
            "create table supabase_migrations.schema_migrations (version text primary key);"
            "create function wait() returns trigger language plpgsql as $$ begin"
            "  if new.version = '002' then perform pg_advisory_xact_lock(4711); end if; return new; end $$;"
            "create trigger wait before insert on supabase_migrations.schema_migrations"
            "  for each row execute function wait()"
        )
    runner = project.start("baseline")
    [[pid]] = until(lambda: project.rows("select pid from pg_locks where objid = 4711 and not granted"))
    runner.kill()
    runner.communicate()
    project.execute(f"select pg_terminate_backend({pid})")
    gate()
    until(lambda: not project.rows(f"select from pg_stat_activity where pid = {pid}"))

    assert project.history == []
    assert len(baseline(project.dsn, project.folder)) == 3


def without(dsn: str, *keys: str) -> str:
    """Give a DSN that leaves something out."""
    parts = conninfo_to_dict(dsn)
    return " ".join(f"{key}={value}" for key, value in parts.items() if key not in keys)


COMMANDS: dict[str, Callable[[str, Project], object]] = {
    "repair": lambda dsn, project: repair(dsn, project.folder, applied=["001"]),
    "reset": lambda dsn, project: reset(dsn, project.folder),
    "baseline": lambda dsn, project: baseline(dsn, project.folder),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("keys", "missing"),
    [(["dbname"], "a database"), (["host"], "a host"), (["host", "dbname"], "a host and a database")],
)
def test_database_that_is_not_named(
    project: Project, monkeypatch: pytest.MonkeyPatch, command: str, keys: list[str], missing: str
) -> None:
    """What a URL leaves out is not taken from the environment, though that knows it."""
    parts = conninfo_to_dict(project.dsn)
    monkeypatch.setenv("PGHOST", str(parts["host"]))
    monkeypatch.setenv("PGDATABASE", str(parts["dbname"]))
    project.write(_001_a="select 1")
    mark_disposable(project.dsn)

    with pytest.raises(RefusedError, match=f"{command} needs a database URL that names {missing};"):
        COMMANDS[command](without(project.dsn, *keys), project)
    assert project.value("select to_regclass('supabase_migrations.schema_migrations') is null")


@pytest.mark.parametrize("variable", ["PGHOSTADDR", "PGSERVICE"])
def test_environment_that_leads_elsewhere(
    project: Project, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """The address of the environment wins over the host of the URL: that is refused."""
    monkeypatch.setenv(variable, "127.0.0.1")
    project.write(_001_a="select 1")

    with pytest.raises(RefusedError, match=f"but the variable {variable} may send it elsewhere"):
        repair(project.dsn, project.folder, applied=["001"])


def test_port_of_the_environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL without a port means 5432, as the output says, whatever PGPORT is."""
    parts = conninfo_to_dict(project.dsn)
    monkeypatch.setenv("PGPORT", str(parts["port"]))
    project.write(_001_a="select 1")

    with pytest.raises(Exception, match=r"127\.0\.0\.1:5432"):
        repair(without(project.dsn, "port"), project.folder, applied=["001"])


@pytest.mark.parametrize("given", ["", " "])
def test_empty_database(project: Project, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """An empty --dsn is a wrong usage, and not the database of the variable; so is an empty variable."""
    project.write(_001_a="select 1")
    monkeypatch.setenv("GROUNDWORK_DSN", project.dsn)
    command = ["repair", "--applied", "001", "--dir", str(project.path)]
    for arguments in ([*command, "--dsn", given], [*command, "--dsn="]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    monkeypatch.setenv("GROUNDWORK_DSN", given)
    with pytest.raises(SystemExit) as caught:
        main(command)

    assert caught.value.code == 2
    assert project.value("select to_regclass('supabase_migrations.schema_migrations') is null")
