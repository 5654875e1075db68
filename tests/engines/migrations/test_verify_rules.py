"""The rules in checks/rules.toml: every key is read, and everything wrong is told by its name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from engines.migrations import Check, FolderError, read_rules, verify
from engines.migrations.verification.rules import Rules

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.migrations.conftest import Project


def test_all(tmp_path: Path) -> None:
    """Every key is read; names are SQL names."""
    (tmp_path / "rules.toml").write_text(
        'exposed = ["public", "api"]\nwithout_rls = ["public.\\"A b\\""]\nshrink_percent = 5.5\n'
        '[shrink]\n"s.LOGS" = 100\n[not_null]\n"public.a" = ["X"]\n',
        encoding="utf-8",
    )

    assert read_rules(tmp_path) == Rules(
        exposed=("public", "api"),
        without_rls=frozenset({("public", "A b")}),
        shrink_percent=5.5,
        shrink={("s", "logs"): 100.0},
        not_null={("public", "a"): ("x",)},
    )
    assert read_rules(tmp_path / "none") == Rules()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("exposd = []", "`exposd` is not known; there are exposed, without_rls, shrink_percent"),
        ("exposed = 'public'", "`exposed` must be a list of names"),
        (
            "without_rls = ['countries']",
            '`without_rls` must name tables with their schema, such as "public.',
        ),
        ("shrink_percent = '10'", "`shrink_percent` must be a number from 0 to 100, not '10'"),
        ("shrink_percent = true", "`shrink_percent` must be a number from 0 to 100, not True"),
        ("shrink_percent = nan", "`shrink_percent` must be a number from 0 to 100, not nan"),
        ("shrink = 10", "`shrink` must be a table of TOML"),
        ("shrink = {'a.b' = 101}", "`shrink` must be a number from 0 to 100, not 101"),
        ("not_null = {'a.b' = []}", "`not_null` must list columns of a table"),
        ("not_null = {'a.b' = ['x y']}", "`not_null` must list columns of a table, not ['x y']"),
        ("exposed = [", "rules.toml: "),
    ],
)
def test_wrong(tmp_path: Path, text: str, problem: str) -> None:
    """What is wrong is named with the file and its key."""
    (tmp_path / "rules.toml").write_text(text, encoding="utf-8")

    with pytest.raises(FolderError) as caught:
        read_rules(tmp_path)
    assert problem in str(caught.value)
    assert "rules.toml: " in str(caught.value)


def test_wrong_rules_run_nothing(project: Project) -> None:
    """Rules that cannot be used are told before the first file."""
    project.write(_001_a="create table a ()")
    (project.path / "checks").mkdir()
    (project.path / "checks" / "rules.toml").write_text("exposd = []", encoding="utf-8")

    assert "`exposd` is not known" in project.command("up").stderr
    assert project.value("select to_regclass('a') is null")


def test_strangers_in_the_folder(project: Project) -> None:
    """What would never be looked at, or might never end, is refused by name before anything runs."""
    checks = project.path / "checks"
    (checks / "more").mkdir(parents=True)
    (checks / "folder.sql").mkdir()
    os.mkfifo(checks / "pipe.sql")
    (checks / "loop.sql").symlink_to("loop.sql")
    for name in ("Totals.SQL", "rule.toml", "README.txt", "why.md", ".hidden", "._a.sql", "a.sql"):
        (checks / name).write_text("select 'wrong' limit 0", encoding="utf-8")
    project.write(_001_a="create table a ()")
    with pytest.raises(FolderError) as caught:
        read_rules(checks)

    never = "would never be looked at: beside rules.toml there are checks, named *.sql in lower case"
    file = "is no file; a check is a file, or a link to one"
    names = {"Totals.SQL": never, "folder.sql": file, "loop.sql": file, "more": never}
    expected = {**names, "pipe.sql": file, "rule.toml": never}
    assert caught.value.problems == tuple(f"{name}: {why}" for name, why in expected.items())
    assert "Totals.SQL: would never be looked at" in project.command("up").stderr
    assert project.value("select to_regclass('a') is null")


def test_hidden_file_is_no_check(project: Project) -> None:
    """A hidden file, such as those that macOS writes beside others, is left alone."""
    (project.path / "checks").mkdir()
    (project.path / "checks" / "._a.sql").write_bytes(b"\0")

    assert all(check.ok for check in verify(project.dsn, project.folder))


def test_names_that_lead_nowhere(project: Project) -> None:
    """An exposed schema that is not there is a violation, a table is noted; while files are pending, both."""
    (project.path / "checks").mkdir()
    (project.path / "checks" / "rules.toml").write_text(
        'exposed = ["public", "apj"]\nwithout_rls = ["public.b"]\nshrink = {"public.a" = 5, "public.c" = 1}',
        encoding="utf-8",
    )
    project.write(_001_a="create table a ()", _002_b="create table b ()")
    project.up(to="001")
    lost = [
        "schema apj, which `exposed` names, does not exist",
        "table public.b, which `without_rls` names, does not exist",
        "table public.c, which `shrink` names, does not exist",
    ]
    assert verify(project.dsn, project.folder)[-1] == Check("rules.toml", ok=True, message="\n".join(lost))

    project.up()
    found = verify(project.dsn, project.folder)[-1]
    assert (found.name, found.ok, found.message.splitlines()[0]) == ("rules.toml", False, lost[0])
    project.execute("create schema apj")
    assert verify(project.dsn, project.folder)[-1] == Check("rules.toml", ok=True, message=lost[2])
