"""Assertions: every row is a violation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.migrations import Check, verify

if TYPE_CHECKING:
    from tests.engines.migrations.conftest import Project

OWN = ["tables", "policies", "row security", "nulls"]


def check(project: Project, sql: str) -> Check:
    """Run one check."""
    folder = project.path / "checks"
    folder.mkdir()
    (folder / "a.sql").write_text(sql, encoding="utf-8")
    *_own, found = verify(project.dsn, project.folder)
    return found


def test_no_checks(project: Project) -> None:
    """A folder without checks is fine: those that need no file hold in an empty database."""
    assert [found.name for found in verify(project.dsn, project.folder)] == OWN


def test_no_rows_is_ok(project: Project) -> None:
    """A check that finds nothing holds."""
    assert check(project, "select 1 where false; -- all\nselect 'x' limit 0;") == Check("a.sql", ok=True)


def test_rows_are_violations(project: Project) -> None:
    """Each row of each SELECT is told, columns side by side."""
    found = check(project, "select 'é', 2; select 'also';")

    assert found == Check("a.sql", ok=False, message="é | 2\nalso")


def test_many_rows_are_shortened(project: Project) -> None:
    """The first rows and their number are enough."""
    message = check(project, "select n from generate_series(1, 100) n").message

    assert message.splitlines()[-2:] == ["20", "… and 80 more"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select 1;\nselct 2;", 'line 2: syntax error at or near "selct"'),
        ("select 1 where false;\nselect * from nowhere;", 'line 2: relation "nowhere" does not exist'),
        ("select 1;\ndelete from t;", "line 2: a check may hold SELECT statements only"),
        ("commit; drop table t", "line 1: a check may hold SELECT statements only"),
        ("-- nothing", "holds no statement, so it checks nothing"),
        ("select setval('s', 9)", "cannot execute setval() in a read-only transaction"),
    ],
)
def test_check_that_cannot_run_fails(project: Project, sql: str, message: str) -> None:
    """A check that is wrong, or would change something, is a failed check that says so."""
    project.execute("create table t (); create sequence s")

    found = check(project, sql)

    assert not found.ok
    assert message in found.message
