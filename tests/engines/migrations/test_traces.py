"""What a file leaves in its session, told by its text."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.migrations.execution.traces import Traces
from engines.migrations.files.file import MigrationFile
from engines.migrations.files.folder import Folder


def traces(layout: str, *texts: str) -> tuple[Traces, list[MigrationFile]]:
    """Look through files with these texts."""
    files = [MigrationFile(f"{n:03}", "x", f"{n:03}_x.sql", sql, "") for n, sql in enumerate(texts, 1)]
    return Traces(Folder(Path("m"), layout, tuple(files)), files), files


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TEMP TABLE t ()",
        "create\n  temporary view v as select 1",
        "create function pg_temp.f() returns int language sql as 'select 1'",
        "declare c cursor WITH\nHOLD for select 1",
        "prepare p as select 1",
        "prepare p(int) as select $1",
        "prepare p (int) as select $1",
        "listen channel",
        "listen channel ;",
        "do $$ begin execute 'listen x'; end $$",
        "create sequence s cache 20",
        "alter role current_user set search_path = a",
        "ALTER  DATABASE d\nRESET ALL",
        "alter user u in database d set work_mem = '1MB'",
    ],
)
def test_file_that_leaves_something_ends_its_message(sql: str) -> None:
    """What is behind such a file is sent later; in other tools' folders it is not looked for."""
    found, files = traces("numbered", "select 1", sql, "select 2")
    assert len(found.upto_first(files)) in {1, 2}  # a sequence's numbers may be kept by the files before, too

    found, files = traces("supabase", "select 1", sql, "select 2")
    assert found.upto_first(files) == files


@pytest.mark.parametrize(
    "sql",
    [
        "-- we hold on, prepare for it, and listen to it\nselect 1",
        "create table temperatures (template text)",
        "alter role r password 'x'; set search_path = a",
        "alter database d owner to o",
        "prepare_it()",
    ],
)
def test_file_that_leaves_nothing(sql: str) -> None:
    """Words that only look like it cost nothing."""
    found, files = traces("numbered", "select 1", sql, "select 2")

    assert found.upto_first(files) == files
    assert not any(found.ends_session(file) for file in files)
