"""Logins and databases with settings of their own: everything works, or is refused by name before it runs."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from psycopg.conninfo import make_conninfo

from engines.migrations import FailedError, RefusedError, inspect, repair, verify
from engines.migrations.sessions.greeting import Greeting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.migrations.conftest import Project

FOLDER = {
    "_001_a": "create table public.log (id int generated always as identity primary key, what text);",
    "_002_b": "insert into public.log (what) values (E'\\\\2');",
    "_003_c": "create index concurrently i on public.log (what); vacuum public.log; "
    "begin; insert into public.log (what) values ('3'); commit;",
    "_004_d": "-- groundwork: backfill table=public.log key=id\n"
    "update public.log set what = what || '!' where {batch};",
    "_005_e": "create table public.seen as select current_setting('DateStyle') as style;",
}


CHECKS = ["tables", "policies", "row security", "row counts", "nulls"]
SETTINGS = [
    ["DateStyle = 'German'", "IntervalStyle = 'sql_standard'", "TimeZone = 'Asia/Kathmandu'"],
    ["DateStyle = 'SQL, DMY'", "IntervalStyle = 'iso_8601'", "TimeZone = '<+0330>-3:30'"],
    ["DateStyle = 'Postgres, MDY'", "extra_float_digits = -15", "lc_messages = 'C'"],
    ["search_path = ''"],
    ["search_path = 'nowhere'", "quote_all_identifiers = on", "row_security = off"],
    ["search_path = pg_catalog, public", "client_encoding = 'LATIN1'", "bytea_output = 'escape'"],
    ["default_transaction_isolation = 'serializable'", "default_transaction_deferrable = on"],
    ["statement_timeout = '5s'", "lock_timeout = '1ms'", "idle_in_transaction_session_timeout = '1s'"],
    ["standard_conforming_strings = off", "array_nulls = off", "transform_null_equals = on"],
    ["role = {owner}"],
]


@pytest.fixture
def login(project: Project) -> Iterator[Project]:
    """Give the project with a login of its own, which is a member of a role."""
    name, password = f"login_{secrets.token_hex(4)}", secrets.token_hex(8)
    project.execute(
        f"create role {name}_owner; create role {name} login password '{password}' in role {name}_owner;"
        f"grant all on database {_database(project)} to {name}, {name}_owner;"
        f"grant all on schema public to {name}, {name}_owner"
    )
    yield replace(project, dsn=make_conninfo(project.dsn, user=name, password=password))
    project.execute(f"drop owned by {name}, {name}_owner; drop role {name}, {name}_owner")


def _database(project: Project) -> str:
    return str(project.value("select current_database()"))


def _history(login: Project) -> list[tuple[object, ...]]:
    """Give what a login reads of the history."""
    records = [entry.record for entry in inspect(login.dsn, login.folder).entries]
    return [(record.version, record.checksum, record.applied_at) for record in records if record]


def _set(project: Project, login: Project, setting: str, *, database: bool = False) -> None:
    """Set something for the login, or for everybody in the database."""
    user = login.value("select session_user")
    where = f"database {_database(project)}" if database else f"role {user}"
    project.execute(f"alter {where} set {setting.format(owner=f'{user}_owner')}")


@pytest.mark.parametrize("for_all", [False, True], ids=["role", "database"])
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings[0])
def test_settings_of_a_login(
    login: Project,
    project: Project,
    settings: list[str],
    for_all: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """Each kind of file runs, the files see the settings, and the history reads the same for everybody."""
    for setting in settings:
        _set(project, login, setting, database=for_all and "role =" not in setting)
    login.write(**FOLDER)

    assert len(login.up(count_rows=True).applied) == len(FOLDER)
    assert login.up().applied == ()
    assert inspect(login.dsn, login.folder).pending == ()
    assert _history(login) == _history(project)
    repair(login.dsn, login.folder, reverted=["005"])
    repair(login.dsn, login.folder, applied=["005"])
    checks = verify(login.dsn, login.folder, settle=True)
    assert {check.name: (check.ok, check.message) for check in checks} == dict.fromkeys(CHECKS, (True, ""))
    assert login.value("select not exists (select from groundwork.row_counts)")
    assert project.rows("select what from public.log order by 1") == [("3!",), ("\\2!",)]
    assert project.value("select style from public.seen") == login.value("show DateStyle")


def test_objects_that_hide_those_of_postgresql(login: Project, project: Project) -> None:
    """A search_path with a schema before pg_catalog is refused: what is in there would be called."""
    login.write(_001_a="select 1")
    project.execute(
        "create schema evil; create function evil.now() returns timestamptz return 'epoch'::timestamptz"
    )
    project.execute("grant usage on schema evil to public")
    _set(project, login, "search_path = evil, pg_catalog, public")

    for command in (login.up, lambda: inspect(login.dsn, login.folder)):
        with pytest.raises(
            RefusedError, match="has evil before pg_catalog, so what is in there could stand in"
        ):
            command()
    with pytest.raises(RefusedError, match="put pg_catalog first, or leave it out"):
        repair(login.dsn, login.folder, applied=["001"])
    assert project.value("select to_regnamespace('groundwork') is null")


def test_login_that_may_only_read(login: Project, project: Project) -> None:
    """It may look; what would write is refused, by up and by plan, as long as there is something to do."""
    login.write(_001_a="select 1")
    login.up()
    _set(project, login, "default_transaction_read_only = on")
    assert login.up().applied == ()
    assert inspect(login.dsn, login.folder).refusals == ()

    login.write(_002_b="create table public.t ()")
    with pytest.raises(
        RefusedError, match="may only read: default_transaction_read_only is on for the login login_"
    ):
        login.up()
    assert len(inspect(login.dsn, login.folder).refusals) == 1
    with pytest.raises(RefusedError, match="may only read"):
        repair(login.dsn, login.folder, applied=["002"])


def test_standby() -> None:
    """A server that only follows another is named as such."""
    greeting = Greeting(1, ["pg_temp_3", "pg_catalog", "public"], "off", standby=True, login="x")

    assert greeting.shadowed is None
    assert "use the address of the primary" in str(greeting.unwritable)


def test_statement_timeout_of_a_login(login: Project, project: Project) -> None:
    """It holds for the files, whose error says how to ask for more time, and which then get it."""
    _set(project, login, "statement_timeout = '100ms'")
    login.write(_001_a="select pg_sleep(0.5)")
    with pytest.raises(FailedError, match=r"(?s)statement timeout.*statement-timeout=10min"):
        login.up()

    login.write(_001_a="-- groundwork: statement-timeout=10min\nselect pg_sleep(0.5)")
    assert login.up().applied == ("001_a.sql",)
