"""A temporary login of the platform: files run and are recorded as with the role's own login."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from engines import postgres
from engines.migrations import FailedError, RefusedError, inspect, repair, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.migrations.conftest import Project

# Each file makes a table at a place where its role is not told by the file itself.
FOLDER = {
    "_001_reset": "set role {other}; create table {s}.a (); reset role; create table {s}.b ();",
    "_002_none": "set role {other}; set role none; create table {s}.c ();",
    "_003_default": "set role to default; create table {s}.d ();",
    "_004_session": "set session authorization default; create table {s}.e ();",
    "_005_reset_session": "reset session authorization; create table {s}.f (); set role {other};",
    "_006_local": "begin; set role {other}; set local role none; create table {s}.g (); commit;"
    "create table {s}.h (); reset role; create table {s}.i ();",
    "_007_units": "set role {other}; create table {s}.j (n int); create index concurrently on {s}.j (n);"
    "begin; reset role; create table {s}.k (); rollback; create table {s}.l (); reset role; "
    "create table {s}.m ();",
    "_008_backfill": "-- groundwork: backfill table={s}.n key=id\nupdate {s}.n set v = 1 where {batch};",
    "_009_settings": "create table {s}.o as select current_setting('work_mem') v, current_user::text u;",
    "_010_reset_all": "set work_mem = '1MB'; reset all; create table {s}.p ();",
    "_011_config": "select set_config('role', 'none', false); create table {s}.q ();",
    "_012_late": "reset role; set transaction isolation level serializable; create table {s}.r ();",
}


@dataclass(frozen=True)
class Twins:
    """One folder's project for the owner's own login, and for a temporary one.

    Attributes:
        own: with the owner's password.
        temporary: with that of `cli_login_OWNER`.
        other: a role that the owner may become.
    """

    own: Project
    temporary: Project
    other: str


@pytest.fixture
def twins(project: Project) -> Iterator[Twins]:
    """Make an owner, its temporary login and one more role; the owner's sessions have a setting."""
    owner, other = f"owner_{secrets.token_hex(4)}", f"other_{secrets.token_hex(4)}"
    password, database = secrets.token_hex(8), project.value("select current_database()")
    project.execute(
        f"create role {owner} login createrole bypassrls password '{password}'; create role {other};"
        f"create role cli_login_{owner} login noinherit password '{password}';"
        f"grant {owner} to cli_login_{owner} with inherit false, set true; grant {other} to {owner};"
        f"alter database {database} owner to {owner}; alter schema public owner to {owner};"
        f"alter role {owner} set work_mem = '7MB'; alter role {owner} in database {database} set jit = off;"
        f"alter role {owner} set log_statement = 'none'"
    )
    own = replace(project, dsn=make_conninfo(project.dsn, user=owner, password=password))
    yield Twins(own, replace(own, dsn=make_conninfo(own.dsn, user=f"cli_login_{owner}")), other)
    names = f"{owner}, {other}, cli_login_{owner}"
    project.execute(
        f"alter database {database} owner to postgres; drop owned by {names} cascade; drop role {names}"
    )


def _written(project: Project, schema: str, other: str) -> None:
    """Write the folder for a schema of its own, in which both roles may create."""
    names = {"s": schema, "other": other, "batch": "{batch}"}
    project.write(**{key: text.format(**names) for key, text in FOLDER.items()})
    project.execute(
        f"drop schema if exists groundwork, supabase_migrations cascade; create schema {schema};"
        f"grant all on schema {schema} to {other}; create table {schema}.n (id int primary key, v int)"
    )


def _result(project: Project, schema: str) -> dict[str, Any]:
    """Collect what a run left: the owners of all tables, the history, the records."""
    tables = f"select tablename, tableowner from pg_tables where schemaname = '{schema}' order by 1"
    history = "select version, name, cardinality(statements) from supabase_migrations.schema_migrations"
    return {
        "tables": project.rows(tables),
        "history": project.rows(f"{history} order by 1"),
        "records": project.rows("select version, login, retries from groundwork.migrations order by 1"),
        "timed": project.rows("select version, statement from groundwork.migration_statements order by 1, 2"),
        "seen": project.rows(f"select v, u from {schema}.o"),
        "ours": project.rows("select tableowner from pg_tables where schemaname = 'groundwork'"),
    }


def test_files_that_change_the_role_run_as_with_the_owners_login(twins: Twins) -> None:
    """Same owners, same history, same records, whatever the files did to the role."""
    found = []
    for project in (twins.own, twins.temporary):
        _written(twins.own, "place", twins.other)
        assert len(project.up(count_rows=True).applied) == len(FOLDER)
        assert all(check.ok for check in verify(project.dsn, project.folder, settle=True))
        found.append(_result(twins.own, "place"))
        twins.own.execute("drop schema place cascade")

    assert found[0] == found[1]
    assert found[1]["seen"][0][0] == "7MB"


@pytest.mark.parametrize("text", ["create table public.a (); reset role; select 1/0", "reset role; selec"])
def test_error_behind_a_way_back_names_its_own_line(twins: Twins, text: str) -> None:
    """What is put into the text for the login moves no line and no statement of an error."""
    said = []
    for project in (twins.own, twins.temporary):
        project.write(_001_a="select 1;\n" + text.replace("; ", ";\n"))
        with pytest.raises(FailedError) as caught:
            project.up()
        said.append(str(caught.value))

    assert said[0] == said[1]


def test_file_is_resumed_in_the_role_that_it_had(twins: Twins) -> None:
    """A file that stopped in the middle goes on as the owner where it had given up another role."""
    text = f"set role {twins.other}; reset role; create table public.a (n int);"
    twins.temporary.write(_001_a=f"{text} create index concurrently i on public.a (m);")
    with pytest.raises(FailedError):
        twins.temporary.up()
    twins.temporary.write(_001_a=f"{text} create index concurrently i on public.a (n);")

    assert twins.temporary.up().applied == ("001_a.sql",)
    assert {login for (login,) in twins.own.rows("select login from groundwork.migrations")} == {
        twins.own.value("select current_user::text")
    }


def test_repair_records_the_role(twins: Twins) -> None:
    """What `repair` writes is the role's as well."""
    twins.temporary.write(_001_a="select 1")
    repair(twins.temporary.dsn, twins.temporary.folder, applied=["001"])

    assert twins.own.value("select login = current_user from groundwork.migrations")


def test_session_works_as_the_role(twins: Twins) -> None:
    """Also one that opens a transaction at once, and rolls it back."""
    with postgres.connect(twins.temporary.dsn, autocommit=False) as session:
        session.rollback()
        row = session.execute("select current_user = %s, current_setting('jit')", [_owner(twins)]).fetchone()

    assert row == (True, "off")


def test_setting_that_means_nothing_any_more_is_passed_over(twins: Twins) -> None:
    """The server only warns a session of the role's own; the other settings hold, in files too."""
    owner = _owner(twins)
    twins.own.execute(f"alter role {owner} set default_text_search_config = 'gone'")
    with postgres.connect(twins.temporary.dsn) as session:
        row = session.execute("select current_user = %s, current_setting('work_mem')", [owner]).fetchone()
    assert row == (True, "7MB")

    twins.temporary.write(_001_a="create table public.a as select current_setting('work_mem') v")
    twins.temporary.up()
    assert twins.own.value("select v from public.a") == "7MB"


def test_wrong_password_is_a_refused_login(twins: Twins) -> None:
    """A login that ended is told from a server that does not answer, without the password."""
    for dsn in (
        make_conninfo(twins.temporary.dsn, password="hunter2"),
        make_conninfo(twins.temporary.dsn, user="nobody", password="hunter2"),
    ):
        with pytest.raises(postgres.LoginRefusedError) as caught:
            postgres.connect(dsn)
        assert "hunter2" not in str(caught.value)

    with pytest.raises(postgres.DatabaseUnreachableError) as unreachable:
        postgres.connect(make_conninfo(twins.temporary.dsn, port=1))
    assert not isinstance(unreachable.value, postgres.LoginRefusedError)


def test_reader_sees_what_is_pending_and_writes_nothing(project: Project) -> None:
    """A login that is meant to look only finds nothing to complain about, and cannot apply."""
    password = secrets.token_hex(8)
    project.execute(
        "create role supabase_read_only_user; grant pg_read_all_data to supabase_read_only_user;"
        f"create role cli_login_supabase_read_only_user login noinherit password '{password}';"
        "grant supabase_read_only_user to cli_login_supabase_read_only_user with inherit false, set true;"
        "alter role cli_login_supabase_read_only_user set default_transaction_read_only = on"
    )
    try:
        project.write(_001_a="select 1")
        project.up()
        project.write(_002_b="create table public.b ()")
        dsn = make_conninfo(project.dsn, user="cli_login_supabase_read_only_user", password=password)
        plan = inspect(dsn, project.folder)
        assert ([file.file for file in plan.pending], plan.refusals) == (["002_b.sql"], ())
        with pytest.raises((FailedError, RefusedError)):
            replace(project, dsn=dsn).up()
        assert project.history == ["001"]
    finally:
        project.execute("drop role cli_login_supabase_read_only_user, supabase_read_only_user")


def _owner(twins: Twins) -> str:
    with psycopg.connect(twins.own.dsn) as session:
        return str(session.info.user)
