"""Running files: transactions, history, errors, leaks."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from engines.migrations import FailedError, MigrationError, RefusedError, inspect
from engines.postgres import DatabaseUnreachableError

if TYPE_CHECKING:
    from tests.engines.migrations.conftest import Project


# Files, and the statements that `supabase db push` 3.1.0 recorded for them.
INIT = "-- first migration\ncreate table public.a (id int primary key, t text not null default ';')"
FUNCTION = "create function public.f() returns int language plpgsql as $$\nbegin\n  return 1; -- a; b\nend $$"
POLICY = "create policy p on public.a for select using (true)"
CRLF = "-- crlf\r\ncreate table public.c (id int)"
NESTED = "/* x ; /* nested; */ */ create table public.d(id int) -- tail;"
INDEX = "create index concurrently c_i on public.c(id)"
EXAMPLES: dict[str, tuple[str, list[str]]] = {
    "20260101000001_init": (f"{INIT};\n\nselect $$a;b$$, ';';\n", [INIT, "select $$a;b$$, ';'"]),
    "20260101000002_fn": (f"{FUNCTION};\n\nselect 1;\n", [FUNCTION, "select 1"]),
    "20260102000000_rls": (
        f"select 2;;\n; {POLICY}\n;\n-- end; really\n",
        ["select 2", POLICY, "-- end; really"],
    ),
    "20260103000000_crlf": (f"\ufeff{CRLF};\r\n{NESTED} \r\n;\r\n", [CRLF, NESTED]),
    "20260104000000_empty": ("", []),
    "20260105000000_comment": ("-- nothing here\n", ["-- nothing here"]),
    "20260106000000_alone": (
        f"select 3;\n{INDEX};\nvacuum public.c;\n",
        ["select 3", INDEX, "vacuum public.c"],
    ),
    "20260107000000_begin": (
        "BEGIN;\nselect 4;\nCOMMIT;\nselect 5;\n",
        ["BEGIN", "select 4", "COMMIT", "select 5"],
    ),
}


def test_history_is_that_of_the_supabase_cli(project: Project) -> None:
    """Table and rows are byte for byte what `supabase db push` 3.1.0 leaves for the same files."""
    project.write(**{f"_{key}": sql for key, (sql, _) in EXAMPLES.items()})
    project.up()

    columns = project.rows(
        "select column_name, data_type, is_nullable, column_default from information_schema.columns "
        "where table_schema = 'supabase_migrations' order by ordinal_position"
    )
    assert columns == [
        ("version", "text", "NO", None),
        ("statements", "ARRAY", "YES", None),
        ("name", "text", "YES", None),
    ]
    assert (
        project.value(
            "select conname from pg_constraint where contype = 'p' and conrelid = "
            "'supabase_migrations.schema_migrations'::regclass"
        )
        == "schema_migrations_pkey"
    )
    rows = project.rows(
        "select version || '_' || name, statements from supabase_migrations.schema_migrations order by 1"
    )
    assert rows == [(key, statements) for key, (_, statements) in EXAMPLES.items()]


def test_one_transaction_per_file_with_its_row(project: Project) -> None:
    """All statements of a file and its history row commit together."""
    project.write(
        _001_a="create table t (id xid8); insert into t select pg_current_xact_id(); "
        "insert into t select pg_current_xact_id();"
    )
    project.up()

    assert project.value("select count(distinct id::text) from t") == 1
    assert project.value(
        "select (select min(id::text) from t) = xmin::text from supabase_migrations.schema_migrations"
    )


def test_record_beside_the_history(project: Project) -> None:
    """Who, when and how long is kept in the schema groundwork."""
    project.write(_001_a="select 1")
    project.up(actor="ann", stack="local", tool_version="1.2")

    row = project.rows(
        "select file, checksum = encode(sha256('select 1'), 'hex'), phase, applied_at <= now(), "
        "duration_ms >= 0, login, actor, stack, tool_version from groundwork.migrations"
    )
    assert row == [("001_a.sql", True, "expand", True, True, "postgres", "ann", "local", "1.2")]


def test_second_run_does_nothing(project: Project) -> None:
    """What is applied stays applied, and the outcome says what is there."""
    project.write(_001_a="create table a ()", _002_b="create table b ()")

    first, second = project.up(), project.up()

    assert (first.applied, first.total, first.latest) == (("001_a.sql", "002_b.sql"), 2, "002")
    assert (second.applied, second.total, second.latest) == ((), 2, "002")
    assert second.history_table == "supabase_migrations.schema_migrations"


def test_failed_file_is_rolled_back_and_the_next_run_goes_on(project: Project) -> None:
    """Files before a failed one stay, it leaves nothing, and after the fix the run goes on there."""
    project.write(
        _001_a="create table a ()",
        _002_b="create table b ();\n-- é then\n\n  insert into nowhere values (1);\n",
        _003_c="create table c ()",
    )

    with pytest.raises(FailedError) as caught:
        project.up()
    error = caught.value
    assert (error.file, error.statement, error.position, error.sqlstate) == ("002_b.sql", 2, 4, "42P01")
    assert str(error).splitlines() == [
        '002_b.sql, line 4 (statement 2 of 2): relation "nowhere" does not exist (SQLSTATE 42P01)',
        "      insert into nowhere values (1);",
        "                  ^",
        "The file was rolled back; what ran before it stays applied. Fix it and run again.",
    ]
    assert project.history == ["001"]
    assert project.value("select to_regclass('b') is null and to_regclass('c') is null")

    project.write(_002_b="create table b ()")
    assert project.up().applied == ("002_b.sql", "003_c.sql")


def test_syntax_error_in_the_middle(project: Project) -> None:
    """A syntax error is shown at its place, and nothing of the file has run."""
    project.write(_001_a="create table a ();\nselct 1;\ncreate table b ();")

    with pytest.raises(
        FailedError, match=r"001_a.sql, line 2 .statement 2 of 3.: syntax error at or near"
    ) as caught:
        project.up()
    assert "    selct 1;\n    ^" in str(caught.value)
    assert project.value("select to_regclass('a') is null")


@pytest.mark.parametrize("end", ["'", "/*", "$x$", '"', "-- '", "("])
def test_what_is_left_open_cannot_swallow_the_record(project: Project, end: str) -> None:
    """A quote or comment that the file leaves open ends with the file, not in our own statements."""
    project.write(_001_a=f"create table a ();\nselect 1 {end}")
    if end == "-- '":
        project.up()
        return

    with pytest.raises(FailedError, match=r"001_a.sql, line 2"):
        project.up()
    assert project.value("select to_regclass('a') is null")
    assert project.history == []


def test_deferred_constraint(project: Project) -> None:
    """A constraint that is checked at the end fails the file, with the file's name."""
    project.write(
        _001_a="create table p (id int primary key); create table c (id int references p "
        "deferrable initially deferred);",
        _002_b="insert into c values (1);",
    )

    with pytest.raises(
        FailedError, match=r"002_b.sql, after its last statement.*violates foreign key"
    ) as caught:
        project.up()
    assert caught.value.sqlstate == "23503"
    assert project.history == ["001"]


@pytest.mark.parametrize(
    "leak",
    [
        "set role pg_read_all_data",
        "set session authorization pg_monitor",
        "set search_path = ''",
        "select set_config('search_path', '', false)",
        "set standard_conforming_strings = off",
        "set default_transaction_read_only = on",
        "set client_min_messages = error",
        "begin; set search_path = ''; set role pg_monitor; commit",
        "set search_path = ''; vacuum",
        "set role pg_read_all_data; vacuum",
    ],
)
def test_settings_do_not_leak(project: Project, leak: str) -> None:
    """Each file and each history row starts from the login's own role and settings."""
    project.write(_001_a=leak, _002_b="create table t (a text default 'a\\b'); insert into t default values;")
    project.up()

    assert project.history == ["001", "002"]
    assert project.rows(
        "select a, (select relowner::regrole::text from pg_class where relname = 't') from t"
    ) == [("a\\b", "postgres")]


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN;\ncreate table t (a int);\ninsert into t values (1);\nCOMMIT;\n",
        "start transaction isolation level serializable; create table t as select 1 a; end",
        "savepoint s; create table t as select 1 a; release s;",
        "create table t as select 1 a; savepoint s; drop table t; rollback to s;",
        "create table t as select 1 a; lock table t;",
        "set transaction isolation level repeatable read; create table t as select 1 a",
        "create type m as enum ('a'); alter type m add value 'b'; create table t as select 1 a, 'b'::m;",
        "\ufeffcreate table t as\r\nselect 1 a;\r\n-- end",
        "commit; create table t as select 1 a",
        "do $$ begin execute 'create table t as select 1 a'; end $$",
        "create table t as select 1 a; create rule r as on update to t do also (select 1; select 2);",
        "create function f() returns int begin atomic select 1; end; create table t as select f() a",
        "begin; create table t as select 1 a; commit; begin; select 1; rollback;",
    ],
)
def test_plain_sql_runs_unchanged(project: Project, sql: str) -> None:
    """What psql takes in one session runs here, and is recorded once."""
    project.write(_001_a=sql)
    project.up()

    assert project.history == ["001"]
    assert project.value("select count(*) from t where a = 1") == 1


def test_whole_file_in_its_own_transaction_is_atomic(project: Project) -> None:
    """A file wrapped in BEGIN and COMMIT commits with its history row, so that a failure leaves nothing."""
    project.write(_001_a="begin;\ncreate table t ();\nselect 1 / 0;\ncommit;")

    with pytest.raises(FailedError, match=r"001_a.sql, line 3 \(statement 3 of 4\): division by zero"):
        project.up()
    assert project.value("select to_regclass('t') is null")


def test_refusal_runs_nothing(project: Project) -> None:
    """One file that cannot run keeps all from running, and the text names it."""
    project.write(_001_a="create table a ()", _002_b="begin; create table b ()")

    with pytest.raises(
        RefusedError, match=r"refused, nothing was run:\n  - 002_b.sql, line 1: the transaction is"
    ):
        project.up()
    assert project.value("select to_regclass('a') is null and to_regnamespace('supabase_migrations') is null")


def test_rows_of_another_tool_are_adopted(project: Project) -> None:
    """After the Supabase CLI, nothing is to do; the checksum is recorded: an edit is noticed from then on."""
    project.execute(
        "create schema supabase_migrations; create table supabase_migrations.schema_migrations "
        "(version text primary key, statements text[], name text, created_by text); "
        "insert into supabase_migrations.schema_migrations "
        "values ('001', array['create table a ()'], 'a', 'me')"
    )
    project.write(_001_a="create table a ();\n")

    assert project.up().applied == ()
    assert project.rows("select version, applied_at from groundwork.migrations") == [("001", None)]
    project.write(_001_a="create table a ();\n-- more\n")
    with pytest.raises(RefusedError, match=r"001_a.sql was edited after it was applied"):
        project.up()


def test_history_of_an_old_cli(project: Project) -> None:
    """A history with versions only is understood and completed."""
    project.execute(
        "create schema supabase_migrations; create table supabase_migrations.schema_migrations "
        "(version text primary key); insert into supabase_migrations.schema_migrations values ('001')"
    )
    project.write(_001_a="create table a ()", _002_b="create table b ()")

    assert inspect(project.dsn, project.folder).applied == ("001_a.sql",)
    assert project.up().applied == ("002_b.sql",)


def test_reverted_by_another_tool_runs_again(project: Project) -> None:
    """A row that `supabase migration repair --status reverted` removed makes the file pending again."""
    project.write(_001_a="create table if not exists a ()")
    project.up()
    project.execute("delete from supabase_migrations.schema_migrations")

    assert project.up().applied == ("001_a.sql",)


def test_inspect_changes_nothing(project: Project) -> None:
    """A plan leaves no trace in the database."""
    project.write(_001_a="create table a ()")

    plan = inspect(project.dsn, project.folder)

    assert [file.file for file in plan.pending] == ["001_a.sql"]
    assert (
        project.value(
            "select count(*) from pg_namespace where nspname in ('groundwork', 'supabase_migrations')"
        )
        == 0
    )


def test_statement_timeout_of_a_file(project: Project) -> None:
    """A file's own timeout holds, and when it is over the error says how to raise it."""
    project.write(_001_a="-- groundwork: statement-timeout=50ms\nselect pg_sleep(60)")

    with pytest.raises(FailedError, match="-- groundwork: statement-timeout=10min") as caught:
        project.up()
    assert caught.value.sqlstate == "57014"


def test_committing_procedure_needs_the_directive(project: Project) -> None:
    """A procedure that commits fails inside of our transaction with the advice that makes it run."""
    body = "create procedure p() language plpgsql as $$ begin create table t (); commit; end $$;"
    project.write(_001_a=body, _002_b="call p()")

    with pytest.raises(FailedError, match=r"needs at the head of the file: -- groundwork: no-transaction"):
        project.up()
    project.write(_002_b="-- groundwork: no-transaction\ncall p()")
    assert project.up().applied == ("002_b.sql",)


def test_owner_that_is_no_superuser(project: Project) -> None:
    """The login needs no more than to own its database, as on Supabase."""
    name = f"owner_{secrets.token_hex(4)}"
    project.execute(f"create role {name} login createrole createdb bypassrls password 'x'")
    database = psycopg.conninfo.conninfo_to_dict(project.dsn)["dbname"]
    project.execute(f"alter database {database} owner to {name}")
    parts: dict[str, Any] = {**psycopg.conninfo.conninfo_to_dict(project.dsn), "user": name, "password": "x"}
    owned = type(project)(project.path, psycopg.conninfo.make_conninfo("", **parts))
    try:
        owned.write(_001_a="create table a (b int)", _002_b="create index concurrently i on a (b)")
        assert owned.up().total == 2
    finally:
        project.execute(f"drop owned by {name} cascade; alter database {database} owner to postgres")
        project.execute(f"drop role {name}")


def test_unreachable_database(project: Project) -> None:
    """An error about the connection names the server and never the password."""
    parts: dict[str, Any] = {
        **psycopg.conninfo.conninfo_to_dict(project.dsn),
        "password": "canary-5f1",
        "port": 1,
    }

    with pytest.raises(
        DatabaseUnreachableError, match=r"cannot reach the database postgres@127.0.0.1:1/"
    ) as caught:
        inspect(psycopg.conninfo.make_conninfo("", **parts), project.folder)
    assert "canary" not in str(caught.value)


def test_login_without_rights(project: Project) -> None:
    """A login that may not make the history is told so, by the server's own words, and nothing is run."""
    project.write(_001_a="select 1")
    name = f"guest_{secrets.token_hex(4)}"
    project.execute(f"create role {name} login password 'x'")
    parts: dict[str, Any] = {**psycopg.conninfo.conninfo_to_dict(project.dsn), "user": name, "password": "x"}
    guest = type(project)(project.path, psycopg.conninfo.make_conninfo("", **parts))
    try:
        with pytest.raises(MigrationError, match="the history tables cannot be made: permission denied"):
            guest.up()
        project.up()
        with pytest.raises(MigrationError, match=rf"{name}@127.0.0.1.*permission denied for schema"):
            inspect(guest.dsn, guest.folder)
    finally:
        project.execute(f"drop role {name}")


def test_history_of_the_cli_ends_our_own_progress(project: Project) -> None:
    """When another tool finishes a file that stopped half way here, nothing of our progress is left."""
    project.write(_001_a="create table if not exists t (a int); vacuum t; select 1 / 0")
    with pytest.raises(FailedError):
        project.up()
    sql = "create table if not exists t (a int); vacuum t; insert into t values (1)"
    project.write(_001_a=sql)
    project.execute("insert into supabase_migrations.schema_migrations (version, name) values ('001', 'a')")
    assert project.up().applied == ()
    project.execute("drop table t; delete from supabase_migrations.schema_migrations")

    assert project.up().applied == ("001_a.sql",)
    assert project.value("select count(*) from t") == 1


def test_transaction_pooler_is_refused(project: Project) -> None:
    """The port of Supabase's transaction pooler is refused before anything is tried."""
    with pytest.raises(RefusedError, match="port 6543 is a transaction pooler"):
        inspect("postgresql://postgres:x@127.0.0.1:6543/postgres", project.folder)


def test_lost_connection(project: Project) -> None:
    """When the server ends the session, the file is rolled back, and the next run does it."""
    project.write(_001_a="create table t ();\nselect pg_terminate_backend(pg_backend_pid());")

    with pytest.raises(FailedError, match="terminating connection") as caught:
        project.up()
    assert caught.value.sqlstate == "57P01"
    assert project.history == []
    project.write(_001_a="create table t ();")
    assert project.up().applied == ("001_a.sql",)
