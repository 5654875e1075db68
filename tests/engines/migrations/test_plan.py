"""What to do: pure decisions about files and histories."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.migrations.files.file import Directives, MigrationFile, checksum
from engines.migrations.files.folder import Folder
from engines.migrations.plan import History, Options, Plan, Progress, Record, make_plan
from engines.migrations.sql.statements import prefix_hashes


def file(version: str, sql: str = "select 1", **directives: object) -> MigrationFile:
    """Make a file."""
    head = Directives(**directives)  # type: ignore[arg-type]  # the tests' own values
    return MigrationFile(version, "x", f"{version}_x.sql", sql, checksum(sql), head)


def plan(files: list[MigrationFile], history: History | None = None, **options: object) -> Plan:
    """Plan without a disk."""
    folder = Folder(Path("m"), "numbered", tuple(files))
    return make_plan(folder, history or History(), Options(**options))  # type: ignore[arg-type]  # as above


def applied(*records: Record) -> History:
    """Make a history."""
    return History({record.version: record for record in records})


def same(version: str) -> Record:
    """Make the row of a file that is unchanged."""
    return Record(version, "x", checksum("select 1"))


def test_pending_in_order() -> None:
    """What has no row runs, in order."""
    found = plan([file("001"), file("002"), file("003")], applied(same("001")))

    assert [f.version for f in found.pending] == ["002", "003"]
    assert (found.applied, found.latest, found.refusals) == (("001_x.sql",), "001", ())


def test_edited_is_refused() -> None:
    """A file that is not what was applied stops everything, with both ways out."""
    found = plan([file("001", "select 2")], applied(same("001")))

    assert found.edited == ("001_x.sql",)
    assert "001_x.sql was edited after it was applied; restore it" in found.refusals[0]
    assert "scripts/db repair --applied 001" in found.refusals[0]


def test_missing_is_refused() -> None:
    """An applied version without a file stops everything, with both ways out."""
    found = plan([file("002")], applied(same("001")))

    assert found.missing == ("001",)
    assert "version 001 (001_x.sql) is in the database's history, but" in found.refusals[0]
    assert "scripts/db repair --reverted 001" in found.refusals[0]


def test_out_of_order_is_refused_unless_allowed() -> None:
    """A file that sorts before the last applied one is refused by name, and runs when allowed."""
    files, history = [file("001"), file("002")], applied(same("002"))

    assert "001_x.sql sorts before 002, which is already applied" in plan(files, history).refusals[0]
    allowed = plan(files, history, allow_out_of_order=True)
    assert ([f.version for f in allowed.pending], allowed.refusals) == (["001"], ())


def test_row_of_another_tool_is_adopted() -> None:
    """A row without our checksum is compared by its statements; blanks and line ends do not count."""
    row = Record("001", "x", None, ("create table a (\n  id int)", "select 1"))
    found = plan([file("001", "create table a (\r\n  id int);\r\n\r\nselect 1;")], applied(row))

    assert [f.version for f in found.adopted] == ["001"]
    assert found.refusals == ()


def test_row_of_another_tool_may_be_edited_too() -> None:
    """Other statements than the row holds are an edit."""
    row = Record("001", "x", None, ("select 2",))

    assert plan([file("001")], applied(row)).edited == ("001_x.sql",)


def test_to_a_version() -> None:
    """`to` is the last version that runs; it must be one."""
    files = [file("001"), file("002"), file("003")]

    assert [f.version for f in plan(files, to="002").pending] == ["001", "002"]
    assert "there is no file with the version 2" in plan(files, to="2").refusals[0]


def test_expand_stops_before_contract() -> None:
    """The expand phase ends where the first contract file stands, whatever follows it."""
    files = [file("001"), file("002", phase="contract"), file("003")]

    assert [f.version for f in plan(files, phase="expand").pending] == ["001"]
    assert [f.version for f in plan(files, phase="contract").pending] == ["001", "002", "003"]


def test_unfinished_file_may_be_changed_only_where_it_did_not_run() -> None:
    """What is behind an unfinished file must stay; the rest may be fixed."""
    begun = "select 1; vacuum;"
    history = History({}, {"001": Progress("001", 1, prefix_hashes("select 1")[1])})

    assert plan([file("001", begun + "select 2")], history).refusals == ()
    refusals = plan([file("001", "select 9; vacuum;")], history).refusals
    assert "001_x.sql, the first 1 statements are applied, and one of them was edited since" in refusals[0]


@pytest.mark.parametrize(
    ("progress", "refused"),
    [
        (Progress("001", 0, ""), False),
        (Progress("001", 0, "", 0), True),
        (Progress("001", 0, "", 0, failed=True), True),
        (Progress("001", 1, ""), True),
    ],
)
def test_unfinished_file_may_go_if_it_left_nothing(
    progress: Progress,
    refused: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """A file that its first statement stopped may be renumbered; one that may have left something may not."""
    found = plan([file("002")], History({}, {"001": progress}))

    assert bool(found.refusals) == refused
    assert found.partial == (("001",) if refused else ())


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select 1;\n\\d t\n", "line 2: `\\d t` is a psql command, not SQL; remove it"),
        ("\\restrict abc\nselect 1;", "line 1: `\\restrict abc` is a psql command"),
        ("select 1;\ncopy t from stdin;\n1\tit's\n\\.\n", "line 2: COPY … FROM stdin needs psql"),
        ("select 1;\ncopy t (a) from stdin;\n", "line 2: COPY … FROM stdin needs psql"),
        ("copy t to stdout", "line 1: COPY … TO stdout has nowhere to write to"),
        ("select 1;\nbegin;\nselect 1", "line 2: the transaction is never ended, so its work would be lost"),
        ("begin;\nvacuum;\ncommit", "line 2: VACUUM cannot run inside of the transaction that line 1 begins"),
        ("begin; commit and chain;", "AND CHAIN leaves a transaction open"),
        ("begin; prepare transaction 'x'", "PREPARE TRANSACTION leaves the file's work outside"),
        ("discard all", "DISCARD ALL ends what the runner holds"),
        ("vacuum;\nselct 1", "line 2: syntax error at or near"),
        ("set standard_conforming_strings = off;\nselect 'a\\'b'", "line 1: backslashes in strings"),
        ("set client_encoding = latin1", "files are read as UTF-8"),
    ],
)
def test_what_cannot_run_is_refused_by_name(sql: str, message: str) -> None:
    """What would be lost or half done is refused with file and line before anything runs."""
    refusals = plan([file("001", sql)]).refusals

    assert refusals[0].startswith("001_x.sql, line")
    assert message in refusals[0]


@pytest.mark.parametrize(
    "sql",
    [
        "selct 1",
        "select '\\d'; -- \\d\n",
        "set standard_conforming_strings = on; select 'a\\b'",
        "savepoint a; rollback to a; lock table t",
        "commit;\nselect 1",
        "do $$ begin commit; end $$",
    ],
)
def test_what_the_server_decides_is_not_refused(sql: str) -> None:
    """What only looks like trouble, and errors that the server explains better, pass."""
    assert plan([file("001", sql)]).refusals == ()


versions = st.sets(st.integers(1, 12).map("{:03d}".format))


@given(versions, versions, st.booleans(), st.sampled_from(["select 1", "select 2", "begin", "\\x", "vacuum"]))
@settings(deadline=None)
def test_any_plan_is_safe(
    local: set[str],
    remote: set[str],
    late: bool,  # noqa: FBT001  # drawn
    sql: str,
) -> None:
    """No mix crashes; what would run is new, in order, and after what ran unless that is allowed."""
    history = applied(*(same(version) for version in remote))
    found = plan([file(version, sql) for version in sorted(local)], history, allow_out_of_order=late)

    pending = [f.version for f in found.pending]
    assert pending == sorted(local - remote)
    assert [e.version for e in found.entries] == sorted(local | remote)
    if not found.refusals:
        assert remote <= local
        assert late or all(version > max(remote, default="") for version in pending)
