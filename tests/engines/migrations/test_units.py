"""Files that cannot be one transaction: progress, resumption, and a crash at every moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.migrations import FailedError, RefusedError, inspect
from tests.engines.migrations.fix_dying import Dying, Killed

if TYPE_CHECKING:
    from tests.engines.migrations.conftest import Project


def test_failure_keeps_what_is_done_and_goes_on_there(project: Project) -> None:
    """A failed statement says what stays; after the fix only the rest runs, with the settings made before."""
    start = "create table t (a text);\nvacuum t;\nset work_mem = '1MB';\n"
    project.write(_001_a=start + "insert into t values (1 / 0);")

    with pytest.raises(FailedError) as caught:
        project.up()
    assert str(caught.value).splitlines() == [
        "001_a.sql, line 4 (statement 4 of 4): division by zero (SQLSTATE 22012)",
        "    insert into t values (1 / 0);",
        "    ^",
        (
            "3 of 4 statements of the file are done and stay, as it cannot run in one transaction. "
            "Fix the rest and run again: it goes on with statement 4."
        ),
    ]
    assert inspect(project.dsn, project.folder).partial == ("001_a.sql",)
    assert project.value("select error from groundwork.migration_progress") == "division by zero"

    project.write(_001_a=start + "insert into t values (current_setting('work_mem'));")
    project.up()
    assert project.rows("select a from t") == [("1MB",)]


def test_done_statement_may_not_be_edited(project: Project) -> None:
    """An edit in the part that has run is refused, as it would never run."""
    project.write(_001_a="create table t (a text); vacuum t; select 1 / 0")
    with pytest.raises(FailedError):
        project.up()
    project.write(_001_a="create table t (b text); vacuum t; select 1")

    with pytest.raises(
        RefusedError, match="the first 2 statements are applied, and one of them was edited since"
    ):
        project.up()


def test_invalid_index_is_cleaned_up(project: Project) -> None:
    """A unique index that failed over its rows is built anew once they are fixed."""
    project.write(_001_a="create table t as select 1 a from generate_series(1, 2)")
    project.up()
    project.write(_002_b="create unique index concurrently u on t (a);")

    with pytest.raises(FailedError, match="could not create unique index"):
        project.up()
    assert project.rows("select indisvalid from pg_index where indexrelid = 'u'::regclass") == [(False,)]
    project.execute("delete from t where ctid = (select max(ctid) from t)")
    project.up()
    assert project.rows("select indisvalid from pg_index where indexrelid = 'u'::regclass") == [(True,)]


def test_index_of_the_same_name_that_is_not_ours_stays(project: Project) -> None:
    """An index that was there before is an error, not something to drop."""
    project.execute("create table t (a int); create table other (a int); create index i on other (a)")
    project.write(_001_a="create index concurrently i on t (a);")

    for _ in range(2):
        with pytest.raises(FailedError, match='relation "i" already exists'):
            project.up()
    assert project.value("select count(*) from pg_class where relname = 'i'") == 1


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("create index concurrently i on t (b);", 'relation "i" already exists'),
        ("drop index concurrently nowhere;", 'index "nowhere" does not exist'),
        ("alter table p detach partition t concurrently;", 'relation "t" is not a partition'),
    ],
)
def test_failure_is_never_taken_for_success(project: Project, sql: str, message: str) -> None:
    """What failed because of what was there before fails again, however often it is run."""
    project.execute("create table t (a int, b int); create index i on t (a)")
    project.execute("create table p (a int) partition by range (a)")
    project.write(_001_a=sql)

    for _ in range(3):
        with pytest.raises(FailedError, match=message):
            project.up()
    assert project.history == []


def test_partition_is_detached_once(project: Project) -> None:
    """A detachment that another session finished after our crash is found done."""
    project.write(
        _001_a="create table p (a int) partition by range (a); create table c partition of p "
        "for values from (1) to (9);"
    )
    project.up()
    project.write(_002_b="alter table p detach partition c concurrently; drop table c;")
    project.up()

    assert project.value("select count(*) from pg_inherits") == 0


def test_what_cannot_be_told_is_asked(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A procedure that was running when the runner died is not guessed about: the error says what to do."""
    project.write(
        _001_a="create table t (a int); create procedure p() language plpgsql as $$ "
        "begin insert into t values (1); commit; end $$;"
    )
    project.up()
    project.write(_002_b="-- groundwork: no-transaction\ncall p();")
    Dying(monkeypatch, "call p()", seen=True)
    with pytest.raises(Killed):
        project.up()
    monkeypatch.undo()

    with pytest.raises(
        RefusedError, match=r"002_b.sql, line 2: an earlier run began CALL .* repair --applied 002"
    ):
        project.up()
    assert project.value("select count(*) from t") == 1


def test_file_made_transactional_after_it_began(project: Project) -> None:
    """A file whose rest needs no special statement any more is still resumed, not started again."""
    project.write(_001_a="create table t (a int); create unique index concurrently i on nowhere (a)")
    with pytest.raises(FailedError):
        project.up()
    project.write(_001_a="create table t (a int); create unique index i on t (a)")
    project.up()

    assert project.history == ["001"]
