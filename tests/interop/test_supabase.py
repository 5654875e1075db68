"""The real Supabase CLI, before and after ours, on the same folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from engines.migrations import FolderError, RefusedError, baseline, repair, verify
from engines.migrations.files.folder import read_folder
from tests.interop.fix_tools import same_schema

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.fix_tools import Project

FILES = {
    "20260101000001_init.sql": "-- first migration\n"
    "create table public.a (id int primary key, t text default ';');\n"
    "insert into public.a values (1, 'x;y'), (2, $$dollar;quoted$$);\n",
    "20260101000002_fn.sql": "create function public.f() returns int language plpgsql as $$\nbegin\n"
    "  return 1; -- comment; here\nend $$;\ncreate table public.b (id int references public.a(id));",
    "20260102000000_rls.sql": "alter table public.a enable row level security;;\n"
    "create policy p on public.a for select using (true);\n-- the end; really\n",
    "20260103000000_empty.sql": "",
    "20260103000001_comment.sql": "-- nothing\n/* at all; */\n",
    "20260104000000_crlf.sql": "create table public.c (\r\n  id int\r\n);\r\n\r\n"
    "insert into public.c values (1);\r\n",
    "20260105000000_été_日本.sql": "\ufeffcreate table public.d (n text default 'é日本');",
    "20260106000000_index.sql": "create table public.e (id int);\n"
    "create index concurrently e_i on public.e (id);\n"
    "insert into public.e values (1);",
    "20260107000000_own.sql": "begin;\ncreate table public.g (id int);\ncommit;\n",
    "20260108000000_body.sql": "create function public.h(x int) returns int begin atomic\n"
    "  select case when x > 0 then 1 else 2 end;\nend;\ndo $do$ begin perform $q$;$q$; end $do$;",
    "2026010900000_short.sql": "create table public.early (id int);",
}
ROWS = (
    'select version, name, statements from supabase_migrations.schema_migrations order by version collate "C"'
)


@pytest.fixture
def project(cli_project: Project) -> Project:
    """Give a project with files of every kind."""
    for name, text in list(FILES.items())[:-1]:
        cli_project.write(name, text)
    return cli_project


def upto_date(project: Project, tools: Path, dsn: str | None = None) -> bool:
    """Ask the real CLI whether there is something to push."""
    ran = project.supabase(tools, "db", "push", "--dry-run", dsn=dsn)
    assert ran.status == 0, ran.text
    return "Remote database is up to date." in ran.text


def push(project: Project, tools: Path, dsn: str | None = None) -> None:
    """Apply with the real CLI."""
    ran = project.supabase(tools, "db", "push", "--yes", dsn=dsn)
    assert ran.status == 0, ran.text


def listed(project: Project, tools: Path) -> list[dict[str, Any]]:
    """Give the real CLI's list."""
    ran = project.supabase(tools, "migration", "list", "--output-format", "json")
    line = next(line for line in ran.text.splitlines() if line.startswith("{"))
    return list(json.loads(line)["migrations"])


def test_cli_has_nothing_to_do_after_ours(project: Project, tools: Path) -> None:
    """After our run `db push` says that all is up to date, and `migration list` has all on both sides."""
    applied = project.up().applied

    assert len(applied) == len(FILES) - 1
    assert upto_date(project, tools)
    assert [entry["local"] for entry in listed(project, tools)] == [name.split("_")[0] for name in applied]
    assert all(entry["local"] == entry["remote"] for entry in listed(project, tools))


def test_ours_has_nothing_to_do_after_the_cli(project: Project, tools: Path) -> None:
    """After `db push` ours finds every file applied and unchanged, and leaves the rows as they are."""
    push(project, tools)
    rows = project.rows(ROWS)

    plan = project.plan()

    assert (plan.pending, plan.refusals, plan.edited) == ((), (), ())
    assert project.up().applied == ()
    assert project.rows(ROWS) == rows


def test_rows_and_schema_are_equal(project: Project, tools: Path) -> None:
    """Every row, and all that the files and the tools made, is what the CLI makes."""
    project.up()
    push(project, tools, project.other)

    assert project.rows(ROWS) == project.rows(ROWS, project.other)
    assert same_schema(project)


def test_they_take_turns(project: Project, tools: Path) -> None:
    """Each goes on where the other stopped."""
    project.up(to="20260102000000")
    push(project, tools)
    project.write("20260201000000_late.sql", "create table public.late (id int);")

    assert project.up().applied == ("20260201000000_late.sql",)
    assert upto_date(project, tools)


def test_repair_is_the_same(project: Project, tools: Path) -> None:
    """`repair --applied` and `--reverted` leave the rows that the CLI's own repair leaves."""
    versions = [file.version for file in read_folder(project.path).files]
    for dsn in (project.dsn, project.other):
        project.up(dsn, to=versions[2])
    repair(project.dsn, read_folder(project.path), applied=versions[3:], reverted=versions[:1])
    for arguments in (["applied", *versions[3:]], ["reverted", versions[0]]):
        ran = project.supabase(
            tools, "migration", "repair", "--yes", "--status", *arguments, dsn=project.other
        )
        assert ran.status == 0, ran.text

    assert project.rows(ROWS) == project.rows(ROWS, project.other)


def test_cli_has_nothing_to_do_after_a_baseline(project: Project, tools: Path) -> None:
    """A database that the CLI made, and that lost its history, has every row again, and the CLI agrees."""
    push(project, tools)
    rows = project.rows(ROWS)
    project.execute("drop schema supabase_migrations cascade")
    recorded = baseline(project.dsn, read_folder(project.path))

    assert len(recorded) == len(FILES) - 1
    assert project.rows(ROWS) == rows
    assert upto_date(project, tools)
    assert all(check.ok for check in verify(project.dsn, read_folder(project.path)))
    assert project.up().applied == ()


def test_edited_file_is_refused(project: Project, tools: Path) -> None:
    """The CLI never looks again at an applied file; ours compares it with the stored statements."""
    push(project, tools)
    project.write("20260101000002_fn.sql", "select 1;")

    assert upto_date(project, tools)
    with pytest.raises(RefusedError, match=r"20260101000002_fn\.sql was edited after it was applied"):
        project.up()


def test_file_left_half_applied_is_recovered(cli_project: Project, tools: Path) -> None:
    """The CLI cannot run a file again whose CONCURRENTLY failed; ours goes on behind what is done."""
    project = cli_project
    text = "create table public.n (id int);\ninsert into public.n values (1), (1);\n"
    index = "create unique index concurrently n_i on public.n (id);\n"
    project.write("20260101000000_n.sql", text + index)
    for _ in range(2):
        theirs = project.supabase(tools, "db", "push", "--yes", dsn=project.other)
        assert theirs.status != 0
    assert 'relation "n" already exists' in theirs.text

    with pytest.raises(Exception, match="could not create unique index"):
        project.up()
    project.execute("delete from public.n where ctid = (select min(ctid) from public.n)")
    assert project.up().applied == ("20260101000000_n.sql",)

    assert upto_date(project, tools)
    assert project.rows("select indisvalid from pg_index where indexrelid = 'n_i'::regclass") == [(True,)]


@pytest.mark.parametrize(
    ("name", "text", "message", "status"),
    [
        ("20260101000000_open.sql", b"begin;\ncreate table public.o (id int);", "never ended", 0),
        ("20260101000000_latin.sql", b"create table public.l (t text default '\xe9');", "is not UTF-8", 0),
        ("20260101000000_psql.sql", b"\\restrict abc\nselect 1;", "psql command", 1),
        ("20210101000000_init.sql", b"create table public.i (id int);", "always skips", 0),
        ("20260101.sql", b"create table public.i (id int);", "would never run", 0),
    ],
)
def test_what_the_cli_loses_is_refused(
    cli_project: Project, tools: Path, name: str, text: bytes, message: str, status: int
) -> None:
    """What the CLI loses, changes or skips with status 0, or cannot read, is refused by name."""
    cli_project.write(name, text)
    theirs = cli_project.supabase(tools, "db", "push", "--yes", dsn=cli_project.other)

    assert theirs.status == status
    with pytest.raises((FolderError, RefusedError), match=message):
        cli_project.up()
    assert cli_project.rows("select 1 from pg_class where relnamespace = 'public'::regnamespace") == []


def test_settings_do_not_leak(cli_project: Project, tools: Path) -> None:
    """A file that ends in another role or search path is recorded, where the CLI is refused its own row."""
    project = cli_project
    project.write("20260101000000_role.sql", "set role pg_monitor;\nset search_path = '';")
    project.write("20260102000000_next.sql", "create table t (id int);")

    assert project.supabase(tools, "db", "push", "--yes", dsn=project.other).status != 0
    assert len(project.up().applied) == 2
    assert upto_date(project, tools)


def test_versions_of_mixed_length(project: Project, tools: Path) -> None:
    """Versions whose order as text is not that of the numbers are refused, where the CLI runs them."""
    project.write("2026010900000_short.sql", FILES["2026010900000_short.sql"])

    with pytest.raises(FolderError, match="pad the versions"):
        project.up()
    push(project, tools, project.other)
