"""The command line as people and programs use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from engines.migrations import mark_disposable
from engines.migrations.cli import main
from engines.postgres import describe

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.migrations.conftest import Project


def test_new_counts_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`new` makes the folder and the next number, as wide as the others."""
    folder = tmp_path / "m"
    for name in ("Create accounts!", "add_été"):
        assert main(["new", name, "--dir", str(folder)]) == 0

    assert sorted(file.name for file in folder.iterdir()) == ["001_create_accounts.sql", "002_add_été.sql"]
    assert capsys.readouterr().out.splitlines()[0] == str(folder / "001_create_accounts.sql")


def test_new_timestamp_sorts_last(tmp_path: Path) -> None:
    """In a Supabase folder `new` makes a timestamp after the last, even if that lies in the future."""
    (tmp_path / "20991231235959_a.sql").touch()
    main(["new", "b", "--dir", str(tmp_path)])

    assert max(file.name for file in tmp_path.iterdir()) == "21000101000000_b.sql"


def test_new_needs_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name of punctuation only is refused."""
    assert main(["new", "!!", "--dir", str(tmp_path)]) == 1
    assert "`!!` is no name" in capsys.readouterr().err


def test_life_of_a_folder(project: Project) -> None:
    """plan, up, list and verify agree with each other."""
    project.write(_001_a="create table a ()", _002_b="-- groundwork: phase=contract\nselect 1")

    plan = json.loads(project.command("plan", "--json").stdout)
    assert [(step["version"], step["file"], step["phase"]) for step in plan] == [
        ("001", "001_a.sql", "expand"),
        ("002", "002_b.sql", "contract"),
    ]
    up = json.loads(project.command("up", "--to", "001", "--json").stdout)
    checks = {check["name"]: check["ok"] for check in up.pop("checks")}
    assert checks == dict.fromkeys(["tables", "policies", "row security", "row counts", "nulls"], True)
    assert up == {
        "applied": ["001_a.sql"],
        "total": 1,
        "latest": "001",
        "history_table": "supabase_migrations.schema_migrations",
    }
    project.write(_001_a="edited")
    listed = json.loads(project.command("list", "--json").stdout)
    assert [(row["version"], row["status"], bool(row["applied_at"])) for row in listed] == [
        ("001", "edited", True),
        ("002", "pending", False),
    ]
    known = {"version", "name", "file", "status", "phase", "applied_at", "duration_ms", "actor", "checksum"}
    record = {"login", "stack", "tool_version", "git_commit", "retries", "lock_wait_ms", "statements"}
    assert set(listed[0]) == known | record
    assert set(listed[1]) == known


def test_text_for_people(project: Project) -> None:
    """Without --json the answers are short lines."""
    project.write(_001_a="create table a ()")
    (project.path / "notes.md").touch()

    assert project.command("plan").stdout == "would apply 001_a.sql\nnot a migration, left alone: notes.md\n"
    up = project.command("up").stdout.splitlines()
    assert up[0].startswith("applied 001_a.sql in ")
    assert up[1:] == [
        "1 applied; 1 in all, latest 001",
        "verified: tables, policies, row security, row counts, nulls",
    ]
    assert project.command("up").stdout == "nothing to do; 1 in all, latest 001\n"
    listed = project.command("list").stdout.splitlines()
    assert listed[0].split() == ["STATUS", "APPLIED", "AT", "TOOK", "WAITED", "BY", "COMMIT", "FILE"]
    assert listed[1].startswith("applied  20")


def test_refused_and_failed_exit_with_1(project: Project) -> None:
    """Errors go to standard error, for machines also to the answer, and exit with 1."""
    project.write(_001_a="select 1 / 0")
    failed = project.command("up", "--json")
    assert failed.returncode == 1
    assert "division by zero" in failed.stderr
    assert "division by zero" in json.loads(failed.stdout)["error"]

    project.write(_001_a="begin")
    refused = project.command("plan", "--json")
    assert refused.returncode == 1
    assert "001_a.sql, line 1: the transaction is never ended" in json.loads(refused.stdout)["error"]
    assert "001_a.sql, line 1: the transaction is never ended" in refused.stderr


def test_verify_exits_with_1_when_a_check_fails(project: Project) -> None:
    """A failed check is a failed command."""
    (project.path / "checks").mkdir()
    (project.path / "checks" / "a.sql").write_text("select 'wrong'", encoding="utf-8")
    done = project.command("verify")

    assert done.returncode == 1
    assert done.stdout.endswith("ok      nulls\nFAILED  a.sql\n    wrong\n")


def test_repair_and_reset(project: Project) -> None:
    """Repair says what it changed; reset needs the mark, then runs everything anew."""
    project.write(_001_a="create table a ()")

    assert project.command("repair").returncode == 2
    place = describe(project.dsn)
    repaired = project.command("repair", "--applied", "001").stdout
    assert repaired == f"applied: 001\nchanged the history of {place}\n"
    assert "not marked as disposable" in project.command("reset").stderr
    mark_disposable(project.dsn)
    again = project.command("reset").stdout.splitlines()
    assert again[0] == f"emptied {place}"
    assert again[2] == "1 applied; 1 in all, latest 001"


@pytest.mark.parametrize("arguments", [[], ["fly"], ["up", "--phase", "x"], ["new"], ["list", "--dir", "."]])
def test_wrong_usage_exits_with_2(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be understood, a missing database included, exits with 2."""
    monkeypatch.delenv("GROUNDWORK_DSN", raising=False)

    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_password_is_never_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No error about the database has its password."""
    for dsn in ("postgresql://u:canary-77@127.0.0.1:1/d", "postgresql://u:canary-77@[bad/d", "canary-77=x"):
        assert main(["list", "--dir", str(tmp_path), "--dsn", dsn]) == 1

    assert "canary-77" not in capsys.readouterr().err


def test_plan_says_how_much_is_done(project: Project) -> None:
    """Of an interrupted file or backfill, plan and list say how much is done."""
    start = "-- groundwork: phase=contract\ncreate table t (id int primary key, a int); vacuum t; "
    project.write(_001_a=f"{start}insert into t select n, n from generate_series(1, 4) n; select 1 / 0;")
    assert project.command("up").returncode == 1
    assert project.command("plan").stdout == "would go on with 001_a.sql (contract, 75 % done)\n"
    assert [step["percent"] for step in json.loads(project.command("plan", "--json").stdout)] == [75.0]
    assert "partial 75 %" in project.command("list").stdout

    project.write(_001_a=f"{start}insert into t select n, n from generate_series(1, 4) n;")
    head = "-- groundwork: backfill table=t key=id batch=1..1"
    project.write(_002_b=f"{head}\nupdate t set a = 1 / (id - 3) where {{batch}};", _003_c="select 1")
    assert project.command("up").returncode == 1
    assert project.command("plan").stdout == "would go on with 002_b.sql (50 % done)\nwould apply 003_c.sql\n"
    steps = json.loads(project.command("plan", "--json").stdout)
    assert [step.get("percent") for step in steps] == [50.0, None]
