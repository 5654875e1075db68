"""What cannot be run as it stands: named before anything runs, or stopped without a trace."""

from __future__ import annotations

import os
import re
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engines.migrations import FailedError, FolderError, MigrationError, RefusedError, inspect, read_folder
from tests.engines.migrations.fix_twin import psql

if TYPE_CHECKING:
    from tests.engines.migrations.fix_twin import Twin

EMPTY = "select count(*) from pg_class where relnamespace = 'public'::regnamespace"


def make_link(path: Path) -> None:
    """Make a link to nothing: what a file is that vanishes after the folder was listed."""
    path.symlink_to(path.with_name("gone"))


def make_loop(path: Path) -> None:
    """Make a link to itself."""
    path.symlink_to(path)


def make_socket(path: Path) -> None:
    """Make a socket; its own name may be no longer than 100 characters."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as made:
        made.bind(f"{folder}/s")
        Path(f"{folder}/s").rename(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_link, "cannot be read: No such file or directory"),
        (make_loop, "cannot be read: Too many levels of symbolic links"),
        (os.mkfifo, "is a pipe, socket or device, which may never end"),
        (make_socket, "is a pipe, socket or device, which may never end"),
        (Path.mkdir, "cannot be read: Is a directory"),
    ],
)
def test_what_is_no_file(twin: Twin, make: object, message: str) -> None:
    """A link that leads nowhere, a pipe, a socket, a folder: named, and never waited for."""
    twin.write({"001_a.sql": "create table a ();"})
    assert callable(make)
    make(twin.path / "002_b.sql")

    with pytest.raises(FolderError, match=rf"  - 002_b\.sql: {message}"):
        twin.up()
    assert twin.rows(EMPTY) == [(0,)]


def test_link_to_a_file(twin: Twin, tmp_path: Path) -> None:
    """A link to a file is that file."""
    (tmp_path / "shared.sql").write_text("create table a ();")
    (twin.path / "001_a.sql").symlink_to(tmp_path / "shared.sql")

    assert twin.up().applied == ("001_a.sql",)


def test_file_that_may_not_be_read() -> None:
    """A file without the right to read it is named."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        (path / "001_a.sql").touch(mode=0o000)
        mine = os.geteuid()
        if mine == 0:  # to whom everything is readable
            os.seteuid(65534)
        try:
            with pytest.raises(FolderError, match=r"001_a\.sql: cannot be read: Permission denied"):
                read_folder(path)
        finally:
            os.seteuid(mine)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "select 1;\nselect pg_advisory_unlock_all();",
            r"line 2: pg_advisory_unlock_all\(\) also ends the lock",
        ),
        (
            "do $$ begin perform pg_catalog.PG_ADVISORY_UNLOCK_ALL(); end $$",
            r"line 1: pg_advisory_unlock_all\(\)",
        ),
        ("create table x ();\nbegin read only; select 1; commit;", "line 2: READ ONLY keeps the history row"),
        (
            "begin;\nset transaction read only; commit",
            "line 2: READ ONLY keeps the history row from being written",
        ),
        (
            "select 1; set standard_conforming_strings to 'off'; select 'a\\'",
            "line 1: backslashes in strings change",
        ),
        (
            "\nselect set_config('standard_conforming_strings', 'off', false); select N'a\\\\b'",
            "line 2: backslashes in strings change",
        ),
        (
            "vacuum;\nsavepoint s;\nselect 1;\nrollback to s;",
            "line 2: SAVEPOINT has an effect only between BEGIN",
        ),
        ("begin; select 1; commit;\n/* x */ lock table pg_class;", "line 2: LOCK has an effect only between"),
        ("create table x ();\n\\i other.sql\n", r"line 2: `\\i other.sql` is a psql command"),
        ("create table x ();\ncopy x from stdin;\n\\.\n", "line 2: COPY … FROM stdin needs psql"),
    ],
)
def test_refused_by_name(twin: Twin, sql: str, message: str) -> None:
    """What would end the lock, cannot be recorded, or would change its meaning keeps all from running."""
    twin.write({"001_a.sql": "create table a ();", "002_b.sql": sql})

    with pytest.raises(RefusedError, match=rf"  - 002_b\.sql, {message}"):
        twin.up()
    assert twin.rows(EMPTY) == [(0,)]
    assert twin.rows("select to_regnamespace('groundwork')") == [(None,)]


@pytest.mark.parametrize(
    "sql",
    [
        "-- pg_advisory_unlock_all()\nselect /* pg_advisory_unlock_all() */ 1;",
        "create function f() returns void language sql as 'select pg_advisory_unlock_all()';",
        "begin read write; select 1; commit;",
        "begin; set transaction isolation level serializable; select 1; commit",
        "set standard_conforming_strings = off; select E'a\\\\b', $$\\$$; -- \\",
        "select 'standard_conforming_strings', '\\';",
        "select 'a\\b'; set standard_conforming_strings = off; select 'a'",
    ],
)
def test_looks_like_it(twin: Twin, sql: str) -> None:
    """What only looks like something refused runs, as it does in psql."""
    twin.write({"001_a.sql": sql})

    twin.by_psql()
    twin.up()

    twin.agree()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "alter type mood add value 'new';\ninsert into t values ('new');",
            "move what uses it into the next file",
        ),
        ("insert into c values (9);", "after its last statement.*violates foreign key"),
        ("drop schema supabase_migrations cascade;", 'after its last.*schema_migrations" does not exist'),
        ("alter table supabase_migrations.schema_migrations rename to x;", "does not exist"),
        ("drop table groundwork.migrations;", 'after its last.*"groundwork.migrations" does not exist'),
        ("alter schema groundwork rename to old;", "does not exist"),
        (
            "alter table supabase_migrations.schema_migrations drop column name;",
            'column "name" .*does not exist',
        ),
        (
            "drop table groundwork.migration_progress; vacuum;",
            'relation "groundwork.migration_progress" does not',
        ),
        ("insert into supabase_migrations.schema_migrations values ('002');", "duplicate key"),
        ("delete from t; select pg_terminate_backend(pg_backend_pid());", "terminating connection"),
        ("set statement_timeout = '20ms';\nselect pg_sleep(60);", "line 2 .*statement timeout"),
        ("do $$ begin raise exception 'ünïcödé: %', 'x'; end $$", "ünïcödé: x"),
        ("savepoint s; rollback to nowhere;", 'savepoint "nowhere" does not exist'),
    ],
)
def test_stopped_without_a_trace(twin: Twin, sql: str, message: str) -> None:
    """A file that cannot be committed with its row is rolled back and named; the one before it stays."""
    start = (
        "create type mood as enum ('old'); create table t (m mood); insert into t values ('old');"
        "create table p (id int primary key);"
        "create table c (id int references p deferrable initially deferred);"
    )
    twin.write({"001_a.sql": start, "002_b.sql": sql, "003_c.sql": "create table never ();"})
    assert psql(twin.other, twin.path / "001_a.sql").returncode == 0

    for _ in range(2):
        with pytest.raises(FailedError, match=r"^002_b\.sql, ") as caught:
            twin.up()
        assert re.search(message, str(caught.value)), caught.value
    assert twin.rows("select version, name from supabase_migrations.schema_migrations") == [("001", "a")]
    twin.rows("delete from groundwork.migration_progress where done = 0 returning 1")
    (twin.path / "002_b.sql").unlink()
    (twin.path / "003_c.sql").unlink()
    twin.agree()


def test_guard_against_our_own_tables(twin: Twin) -> None:
    """A database that forbids our schemas is told so in its own words, and nothing is run."""
    twin.write({"001_a.sql": "create table a ();"})
    guard = (
        "create function guard() returns event_trigger language plpgsql as $$ begin if exists (select "
        "from pg_event_trigger_ddl_commands() where object_identity in ('groundwork', 'drizzle')) then "
        "raise 'no such schema here'; end if; end $$;"
        "create event trigger guard on ddl_command_end execute function guard();"
    )
    (twin.path.parent / "guard.sql").write_text(guard)
    assert psql(twin.dsn, twin.path.parent / "guard.sql").returncode == 0

    with pytest.raises(FailedError, match="the history tables cannot be made: no such schema here"):
        twin.up()
    assert twin.rows(EMPTY) == [(0,)]


def test_renumbered_after_it_was_applied(twin: Twin) -> None:
    """An applied file under another number is two reasons to stop: one is gone, and one would run again."""
    twin.write({"001_a.sql": "create table a ();", "002_b.sql": "create table b ();"})
    twin.up()
    (twin.path / "002_b.sql").rename(twin.path / "003_b.sql")

    with pytest.raises(RefusedError, match=r"version 002 \(002_b\.sql\) is in the database's history, but"):
        twin.up()
    assert [file.file for file in inspect(twin.dsn, read_folder(twin.path)).pending] == ["003_b.sql"]
    (twin.path / "003_b.sql").rename(twin.path / "002_b.sql")
    (twin.path / "001_z.sql").touch()
    with pytest.raises(FolderError, match=r"001_z\.sql: has the same version as 001_a\.sql"):
        twin.up()
    (twin.path / "001_z.sql").rename(twin.path / "0015_z.sql")
    with pytest.raises(FolderError, match=r"002_b\.sql: sorts after 0015_z\.sql as text but before it as a"):
        twin.up()


def test_own_transactions_that_fail_half_way(twin: Twin) -> None:
    """A file with transactions of its own that psql leaves half applied for ever is finished by ours."""
    begun = "begin;\ncreate table a (id int);\ncommit;\nbegin;\ninsert into a values (1);\n"
    twin.write({"001_a.sql": f"{begun}insert into a values ('x');\ncommit;\n"})
    for text in ("invalid input syntax", 'relation "a" already exists'):
        assert text in psql(twin.other, twin.path / "001_a.sql").stderr

    with pytest.raises(FailedError, match=r"001_a\.sql, line 6 .*invalid input syntax") as caught:
        twin.up()
    assert "it goes on with statement 4" in str(caught.value)
    twin.write({"001_a.sql": f"{begun}insert into a values (2);\ncommit;\n"})
    twin.up()

    assert twin.rows("select id from a order by 1") == [(1,), (2,)]


def test_every_error_is_ours(twin: Twin) -> None:
    """A folder that is a file, or a path that cannot be one, is an error of ours too."""
    (twin.path / "file").touch()

    for path in (twin.path / "file", twin.path / "file" / "below", twin.path / ("x" * 300)):
        with pytest.raises(MigrationError, match="the folder cannot be read: "):
            read_folder(path)
