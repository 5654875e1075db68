"""SQL through the API, the owner's password, and temporary logins."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.fix_emulator import wait_until

if TYPE_CHECKING:
    import httpx

    from tests.fix_emulator import Emulator, Project


def query(project: Project, text: str, *, kind: str = "query", **more: Any) -> httpx.Response:
    """Run SQL and give the whole answer."""
    path = f"{project.path}/database/{kind}"
    return project.emulator.client.post(path, json={"query": text, **more})


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1", 1),
        ("9007199254740991::int8", 9007199254740991),
        ("1.50::numeric", "1.50"),
        ("0.5::float8", 0.5),
        ("'NaN'::float8", None),
        ("true", True),
        ("null", None),
        ("'ä'::text", "ä"),
        ("array[1, null, 3]", [1, None, 3]),
        ("""'{"a": [1]}'::jsonb""", {"a": [1]}),
        ("'2026-01-02'::date", "2026-01-02"),
        ("'2026-01-02 03:04:05+00'::timestamptz", "2026-01-02 03:04:05+00"),
        ("interval '90 minutes'", "01:30:00"),
        ("'\\x00ff'::bytea", "\\x00ff"),
        ("'00000000-0000-0000-0000-000000000001'::uuid", "00000000-0000-0000-0000-000000000001"),
        ("int4range(1, 3)", "[1,3)"),
        ("'[1,2]'::extensions.vector", "[1,2]"),
    ],
)
def test_values_become_json(expression: str, value: object, project: Project) -> None:
    """Each type has one form in JSON, PostgreSQL's text where JSON has none."""
    query(project, "create extension if not exists vector with schema extensions").raise_for_status()
    answer = query(project, f"select {expression} as value")

    assert (answer.status_code, answer.json()) == (201, [{"value": value}])


def test_queries_run_as_the_owner(project: Project) -> None:
    """SQL runs as `postgres`, who is no superuser and cannot become one."""
    rows = query(project, "select session_user, usesuper from pg_user where usename = session_user").json()
    climbed = query(project, "set role supabase_admin")

    assert rows == [{"session_user": "postgres", "usesuper": False}]
    assert climbed.status_code == 400


def test_several_statements_are_one_transaction(project: Project) -> None:
    """The last rows are answered; when one statement fails, those before it are undone."""
    good = query(
        project, "create table several (n int); insert into several values (1); select * from several"
    )
    bad = query(project, "insert into several values (2); select 1/0")
    left = query(project, "select n from several").json()
    query(project, "drop table several")

    assert good.json() == [{"n": 1}]
    assert bad.json()["message"] == "Failed to run sql query: ERROR:  22012: division by zero\n"
    assert left == [{"n": 1}]


def test_statement_outside_transactions_runs(project: Project) -> None:
    """A single statement gets no transaction around it."""
    assert query(project, "vacuum pg_catalog.pg_class").status_code == 201


def test_parameters_are_bound(project: Project) -> None:
    """Parameters reach PostgreSQL as values, never as SQL."""
    answer = query(project, "select $1::text as a, $2::int as b", parameters=["'; drop table x", 7])

    assert answer.json() == [{"a": "'; drop table x", "b": 7}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "select *\nfrom nowhere",
            'ERROR:  42P01: relation "nowhere" does not exist\nLINE 2: from nowhere\n             ^\n',
        ),
        ("selec 1", 'ERROR:  42601: syntax error at or near "selec"\nLINE 1: selec 1\n        ^\n'),
        (
            "select 'ä' = upperr('x')",
            "ERROR:  42883: function upperr(unknown) does not exist\nLINE 1: select 'ä' = upperr('x')\n",
        ),
    ],
)
def test_error_is_worded_as_psql_does(text: str, message: str, project: Project) -> None:
    """A refused statement is answered with SQLSTATE, line and a caret under the place."""
    answer = query(project, text)

    assert answer.status_code == 400
    assert answer.json()["message"].startswith(f"Failed to run sql query: {message}")


@pytest.mark.parametrize(("kind", "more"), [("query/read-only", {}), ("query", {"read_only": True})])
def test_read_only_query_cannot_write(kind: str, more: dict[str, Any], project: Project) -> None:
    """The read-only role reads everything and writes nothing, even when it asks for a writing transaction."""
    project.sql("create table guarded as select 1 as n")
    read = query(project, "select n from guarded", kind=kind, **more)
    writes = [
        query(project, text, kind=kind, **more).json()["message"]
        for text in (
            "insert into guarded values (2)",
            "begin read write; insert into guarded values (2); commit",
        )
    ]
    left = project.sql("select n from guarded")
    project.sql("drop table guarded")

    assert read.json() == left == [{"n": 1}]
    assert "cannot execute INSERT in a read-only transaction" in writes[0]
    assert "permission denied for table guarded" in writes[1]


def test_new_password_closes_the_old_one(emulator: Emulator) -> None:
    """The owner logs in with the new password only, and queries through the API go on."""
    changed = emulator.create("password")
    old = changed.dsn
    new = "new pass/word:%40"
    answer = emulator.client.patch(f"{changed.path}/database/password", json={"password": new})

    assert answer.status_code == 200
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(old)
    with psycopg.connect(changed.login("postgres", new)) as session:
        assert session.execute("select 1").fetchone() == (1,)
    assert changed.sql("select 1 as one") == [{"one": 1}]


def test_password_changed_by_sql_is_left_alone(emulator: Emulator) -> None:
    """The API works after the owner changed the password by itself, and a restore does not undo that."""
    own = emulator.create("own password")
    own.sql("alter role postgres password 'by my own hand'")
    emulator.client.post(f"{own.path}/pause").raise_for_status()
    emulator.wait_for_status(own.ref, "INACTIVE")
    emulator.client.post(f"{own.path}/restore").raise_for_status()
    emulator.wait_for_status(own.ref, "ACTIVE_HEALTHY")

    with psycopg.connect(own.login("postgres", "by my own hand")) as session:
        assert session.execute("select 1").fetchone() == (1,)
    health = emulator.client.get(f"{own.path}/health", params={"services": "db_postgres_user"}).json()
    assert health[0]["healthy"] is True


def login_role(project: Project, *, read_only: bool) -> tuple[str, str]:
    """Ask for a temporary login; give its role and its URL."""
    path = f"{project.path}/cli/login-role"
    made = project.emulator.client.post(path, json={"read_only": read_only}).json()
    assert made["ttl_seconds"] > 0
    return made["role"], project.login(made["role"], made["password"])


def test_login_role_may_become_the_owner(project: Project) -> None:
    """A temporary login is nobody until it takes the role `postgres`, and the login ends by itself."""
    role, dsn = login_role(project, read_only=False)
    with psycopg.connect(dsn, autocommit=True) as session:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("create table public.made_by_login (n int)")
        session.execute("set session role postgres")
        session.execute("create table public.made_by_login (n int)")
        session.execute("reset role")
        after = session.execute("select current_user").fetchone()
    owner = project.sql("select tableowner from pg_tables where tablename = 'made_by_login'")
    limit = project.sql(f"select rolvaliduntil > now() as ends from pg_roles where rolname = '{role}'")
    project.sql("drop table made_by_login")

    assert (role, after) == ("cli_login_postgres", ("cli_login_postgres",))
    assert owner == [{"tableowner": "postgres"}]
    assert limit == [{"ends": True}]


def test_read_only_login_role_cannot_write(project: Project) -> None:
    """A read-only login reads tables without a grant, and no way leads it to writing."""
    project.sql("create table looked_at as select 1 as n")
    _, dsn = login_role(project, read_only=True)
    with psycopg.connect(dsn, autocommit=True) as session:
        session.execute("set session role supabase_read_only_user")
        read = session.execute("select n from looked_at").fetchone()
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            session.execute("insert into looked_at values (2)")
        session.execute("set default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("insert into looked_at values (2)")
        session.execute("set role none")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("set role postgres")
    project.sql("drop table looked_at")

    assert read == (1,)


def test_next_login_role_ends_the_one_before(project: Project) -> None:
    """There is one login of a kind: who asked before opens no new session, and keeps those that are open."""
    first_role, first = login_role(project, read_only=False)
    with psycopg.connect(first, autocommit=True) as session:
        role, second = login_role(project, read_only=False)
        assert session.execute("select 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(first)
    psycopg.connect(second).close()

    assert role == first_role


def test_login_roles_are_made_beside_the_scheduler(project: Project) -> None:
    """Who runs the scheduled jobs holds a lock as long as it lives, which is not that of the logins."""
    project.sql("create extension if not exists pg_cron")
    keys = "select objid from pg_locks where locktype = 'advisory' and granted"
    wait_until(lambda: project.sql(keys), "the scheduler to hold its lock")

    assert login_role(project, read_only=False)[0] == "cli_login_postgres"
    project.sql("drop extension pg_cron")


def test_login_roles_may_be_refused(project: Project) -> None:
    """A fault answers with the platform's words where it cannot make logins."""
    words = "Failed to create login role: ERROR:  42501: permission denied to alter role"
    fault = {"kind": "status", "status": 400, "path": ".*/cli/login-role", "message": words}
    project.emulator.client.post("/emulator/faults", json=fault).raise_for_status()
    answer = project.emulator.client.post(f"{project.path}/cli/login-role", json={"read_only": True})

    assert (answer.status_code, answer.json()) == (400, {"message": words})


def test_unreachable_database_is_said(own_emulator: Emulator) -> None:
    """A query to a project whose server died is answered with an error, until the server is back."""
    project = own_emulator.create("dies")
    project.sql("create table kept as select 7 as n")
    os.kill(own_emulator.postmaster(project.ref), signal.SIGKILL)
    answer = query(project, "select n from kept")

    assert answer.status_code in {400, 544}
    wait_until(lambda: query(project, "select 1").status_code == 201, "the server to be back")
    assert project.sql("select n from kept") == [{"n": 7}]
    own_emulator.wait_for_status(project.ref, "ACTIVE_HEALTHY")
