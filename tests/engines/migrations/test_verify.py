"""Verification after each run: is the database what the files and the rules say?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest

from engines.migrations import FolderError, repair, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.engines.migrations.conftest import Project

PARTITIONED = (
    "create table z (n int) partition by list (n); alter table a rename to y;"
    "alter table z attach partition y default; alter table z rename to a"
)
WAIT = "select pg_advisory_xact_lock(4711);"


def failed(project: Project) -> dict[str, str]:
    """Give the checks that do not hold."""
    return {found.name: found.message for found in verify(project.dsn, project.folder) if not found.ok}


def rule(project: Project, text: str) -> None:
    """Write the rules."""
    (project.path / "checks").mkdir(exist_ok=True)
    (project.path / "checks" / "rules.toml").write_text(text, encoding="utf-8")


@pytest.fixture
def roles(database: str) -> Iterator[None]:
    """Make the two roles by which clients come; roles are the server's."""
    with psycopg.connect(database, autocommit=True) as session:
        session.execute("create role anon; create role authenticated")
    yield
    with psycopg.connect(database, autocommit=True) as session:
        session.execute("drop owned by anon, authenticated; drop role anon, authenticated")


class TestFiles:
    """Tables, policies and row level security that the files made."""

    def test_lost_things_are_named(self, project: Project) -> None:
        """What is gone is told with the file that made it, and what to do; the rest is fine."""
        project.write(
            _001_a="create table a (); create table b (); create table c ()",
            _002_b='create policy "own rows" on b; alter table c enable row level security',
        )
        project.up()
        assert failed(project) == {}
        project.execute('drop table a; drop policy "own rows" on b; alter table c disable row level security')

        found = failed(project)
        assert found["tables"].splitlines()[0] == "table a, which 001_a.sql made, is missing"
        assert found["policies"].startswith(
            'policy "own rows" on b, which 002_b.sql made, is missing\n→ make'
        )
        assert "row level security (enabled) of c, which 002_b.sql made, is missing" in found["row security"]
        assert set(found) == {"tables", "policies", "row security"}

    def test_pending_files_are_not_expected(self, project: Project) -> None:
        """Only what is applied can be missed."""
        project.write(_001_a="create table a ()", _002_b="create table b ()")
        project.up(to="001")

        assert failed(project) == {}

    def test_edited_file_is_not_compared(self, project: Project) -> None:
        """What an edited file made is not known; that is said, and is no alarm."""
        project.write(_001_a="create table a ()")
        project.up()
        project.write(_001_a="create table z ()")

        [tables, *_] = verify(project.dsn, project.folder)
        assert (tables.ok, "001_a.sql is edited" in tables.message) == (True, True)

    def test_out_of_order(self, project: Project) -> None:
        """A file that was allowed to run late may drop what a later version made."""
        project.write(_002_b="create table b ()")
        project.up()
        project.write(_001_a="drop table if exists b")
        project.up(allow_out_of_order=True)

        assert project.value("select to_regclass('b') is null")
        assert failed(project) == {}


class TestExposed:
    """Tables that clients reach."""

    @pytest.mark.usefixtures("roles")
    def test_open_table_is_told(self, project: Project) -> None:
        """A right on a table or on one column without row level security is an open door."""
        project.execute(
            "create table a (); grant select on a to anon; create table b (id int, x int);"
            "grant update (x) on b to authenticated; create table closed (); create table guarded ();"
            "grant select on guarded to anon; alter table guarded enable row level security;"
            "create schema s; create table s.a ();"
            "grant usage on schema s to anon; grant select on s.a to anon"
        )

        assert failed(project)["row security"].splitlines()[:-1] == [
            "table public.a has no row level security, and anon may use it",
            "table public.b has no row level security, and authenticated may use it",
        ]
        rule(project, 'exposed = ["s"]')
        assert failed(project)["row security"].startswith("table s.a has")
        rule(project, 'without_rls = ["public.a", "public.b"]')
        assert failed(project) == {}

    @pytest.mark.usefixtures("roles")
    def test_table_of_an_extension(self, project: Project) -> None:
        """A table that an extension brought is not the product's to guard."""
        project.execute("create table a (); grant select on a to anon; alter extension plpgsql add table a")

        assert failed(project) == {}
        project.execute("alter extension plpgsql drop table a")
        assert set(failed(project)) == {"row security"}


class TestNulls:
    """Columns that must hold no NULL."""

    def test_rules(self, project: Project) -> None:
        """Each column of the rules is counted; one that does not exist is told."""
        project.execute(
            'create table a ("Id" int, x int); insert into a values (1, null), (null, null), (3, 3)'
        )
        rule(project, '[not_null]\n"public.a" = ["\\"Id\\"", "x", "y"]\n"public.b" = ["z"]')

        assert failed(project)["nulls"].splitlines()[:-1] == [
            "column public.a.y of rules.toml does not exist",
            "column public.b.z of rules.toml does not exist",
            "public.a.Id is NULL in 1 row (rules.toml)",
            "public.a.x is NULL in 2 rows (rules.toml)",
        ]

    def test_column_of_a_pending_file(self, project: Project) -> None:
        """A column that a pending file will make is not missed yet."""
        project.write(_001_a="create table a ()", _002_b="alter table a add x int")
        rule(project, 'not_null = {"public.a" = ["x"]}')
        project.up(to="001")

        assert failed(project) == {}

    def test_constraint_that_is_not_valid(self, project: Project) -> None:
        """A promise of NOT NULL that old rows break is told, one that holds is not."""
        project.execute(
            "create table a (x int, y int, z int); insert into a values (null, 1, null);"
            "alter table a add constraint no_x check (x is not null) not valid;"
            "alter table a add constraint no_y check (y is not null) not valid;"
            "alter table a add constraint no_z not null z not valid"
        )

        assert failed(project)["nulls"].splitlines()[:-1] == [
            "public.a.x is NULL in 1 row (constraint no_x, which is not validated)",
            "public.a.z is NULL in 1 row (constraint no_z, which is not validated)",
        ]


class TestRows:
    """Rows must not get lost."""

    def fill(self, project: Project, number: int = 100) -> None:
        """Make a table with rows."""
        project.execute(f"create table a as select n from generate_series(1, {number}) n")

    def test_lost_rows_fail_the_update(self, project: Project) -> None:
        """The files are applied, the command fails and says what to do, and so does every further one."""
        self.fill(project)
        project.write(_001_a="delete from a where n > 50")
        for _ in range(2):
            done = project.command("up")
            assert done.returncode == 1
            assert "the migrations are applied, but the database does not pass its checks" in done.stderr
            assert "public.a had 100 rows before the run" in done.stderr
            assert "and has 50 now; it may lose 10 %" in done.stderr
            assert "restore the rows from the backup" in done.stderr

        rule(project, '[shrink]\n"public.a" = 50')
        done = project.command("up")
        assert (done.returncode, done.stdout.splitlines()[-1]) == (
            0,
            "verified: tables, policies, row security, row counts, nulls",
        )
        assert project.value("select not exists (select from groundwork.row_counts)")
        assert project.command("up").stdout == "nothing to do; 1 in all, latest 001\n"

    def test_answer_for_machines(self, project: Project) -> None:
        """The answer has what was applied and every check, whether they hold or not."""
        self.fill(project)
        project.write(_001_a="truncate a")
        done = project.command("up", "--json")
        answer = json.loads(done.stdout)

        assert done.returncode == 1
        assert answer["applied"] == ["001_a.sql"]
        assert {check["name"] for check in answer["checks"] if not check["ok"]} == {"row counts"}

    @pytest.mark.parametrize(
        "sql",
        [
            "delete from a where n <= 10",
            "drop table a",
            "-- groundwork: shrinks=b, public.a\ntruncate a",
            "-- groundwork: shrinks=a\ntruncate a; alter table a rename to z",
            "alter table a rename to z; delete from z where n < 5",
            "create table z as select * from a; drop table a; alter table z rename to a",
            PARTITIONED,
        ],
    )
    def test_what_is_no_loss(self, project: Project, sql: str) -> None:
        """A little, a table that is dropped, renamed or made anew, and what a file says it means."""
        self.fill(project)
        project.write(_001_a=sql)
        done = project.command("up")

        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize(
        "sql",
        [
            "alter table a rename to z; truncate z",
            "create table z as select * from a limit 5; drop table a; alter table z rename to a",
            "-- groundwork: shrinks=b\ntruncate a",
            "-- groundwork: shrinks=s.a\ntruncate a",
        ],
    )
    def test_what_is_a_loss(self, project: Project, sql: str) -> None:
        """A table is followed by its name, and by its identity when it is renamed."""
        self.fill(project)
        project.write(_001_a=sql)

        assert "public.a had 100 rows" in project.command("up").stderr

    def test_large_table(self, project: Project) -> None:
        """Of a table above 8 MB the server's estimate is taken, and counted only when it has shrunk."""
        project.execute("create table a as select n, repeat('x', 500) x from generate_series(1, 20000) n")
        project.execute("analyze a")
        project.write(_001_a="update a set x = '' where n < 100", _002_b="delete from a where n > 15000")
        assert project.command("up", "--to", "001").returncode == 0
        done = project.command("up")

        assert done.returncode == 1
        assert "public.a had about 20,000 rows before the run" in done.stderr
        assert "and has 15,000 now" in done.stderr

    def test_killed_between_files(
        self, project: Project, gate: Callable[[], None], until: Callable[[Callable[[], object]], object]
    ) -> None:
        """A run that is killed after the rows were lost, and run again, still compares with the first try."""
        self.fill(project)
        project.write(_001_a="delete from a where n > 50", _002_b=f"vacuum; {WAIT}")
        runner = project.start("up")
        until(lambda: project.rows("select 1 from pg_locks where objid = 4711 and not granted"))
        runner.kill()
        runner.communicate()
        gate()
        done = project.command("up")

        assert done.returncode == 1
        assert "public.a had 100 rows before the run" in done.stderr
        assert project.history == ["001", "002"]

    def test_directive_of_a_killed_run(
        self, project: Project, gate: Callable[[], None], until: Callable[[Callable[[], object]], object]
    ) -> None:
        """What a file of the first try said it means holds for the second, too."""
        self.fill(project)
        project.write(_001_a="-- groundwork: shrinks=a\ndelete from a where n > 50", _002_b=f"vacuum; {WAIT}")
        runner = project.start("up")
        until(lambda: project.rows("select 1 from pg_locks where objid = 4711 and not granted"))
        runner.kill()
        runner.communicate()
        gate()

        assert project.command("up").returncode == 0

    def test_table_that_somebody_locks(self, project: Project) -> None:
        """A table that cannot be counted is left out by name."""
        self.fill(project)
        project.write(_001_a="create table b ()")
        with psycopg.connect(project.dsn) as session:
            session.execute("lock table a")
            done = project.command("up", "--json")

        assert done.returncode == 0, done.stderr
        messages = {check["name"]: check["message"] for check in json.loads(done.stdout)["checks"]}
        assert messages["row counts"] == "not counted: public.a"

    def test_counting_keeps_no_locks(
        self, project: Project, gate: Callable[[], None], until: Callable[[Callable[[], object]], object]
    ) -> None:
        """A table is locked only while it is counted, not until all are: the product may need it."""
        self.fill(project)
        project.execute("create table slow (n int); insert into slow select generate_series(1, 20)")
        project.execute(
            "create function wait() returns boolean language plpgsql as $$ begin"
            "  perform pg_advisory_xact_lock_shared(4711); return true; end $$;"
            "create schema groundwork; create table groundwork.row_counts (schema_name text, table_name text,"
            "  relation oid, rows bigint, exact boolean, counted_at timestamptz default clock_timestamp(),"
            "  check (table_name <> 'slow' or wait()))"
        )
        project.write(_001_a="select 1")
        runner = project.start("up")
        until(lambda: project.rows("select from pg_locks where objid = 4711 and not granted"))
        locks = project.rows("select from pg_locks where relation = 'a'::regclass")
        gate()
        runner.communicate()

        assert locks == []
        assert runner.returncode == 0

    @pytest.mark.parametrize("value", ["", "1a", "a b", "a,,b", "a.b.c", '"'])
    def test_misspelt_directive(self, project: Project, value: str) -> None:
        """A list of tables that is none is refused with the file."""
        project.write(_001_a=f"-- groundwork: shrinks={value}\nselect 1")

        with pytest.raises(FolderError, match=r"001_a\.sql: line 1: directive `shrinks=.*` is not known"):
            _ = project.folder


def test_verify_alone_changes_nothing(project: Project) -> None:
    """Asked alone, it leaves the counts of a run that is not verified yet."""
    project.write(_001_a="create table a ()")
    project.up(count_rows=True)

    assert project.command("verify").stdout.splitlines() == [
        "ok      tables",
        "ok      policies",
        "ok      row security",
        "ok      row counts",
        "ok      nulls",
    ]
    assert project.value("select exists (select from groundwork.row_counts)")


def test_recorded_without_being_run(project: Project) -> None:
    """A file that was recorded by mistake is found by what it did not make."""
    project.write(_001_a="create table a ()")
    repair(project.dsn, project.folder, applied=["001"])

    assert failed(project)["tables"].startswith("table a, which 001_a.sql made, is missing")
