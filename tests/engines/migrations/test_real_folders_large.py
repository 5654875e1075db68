"""Folders and files of the size that real projects have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest

from engines.migrations import RefusedError
from tests.engines.migrations.conftest import ROOT
from tests.engines.migrations.fix_twin import OURS, dump

if TYPE_CHECKING:
    from tests.engines.migrations.fix_twin import Twin

MEGABYTE = 1024 * 1024
# Runs the command line and gives its peak memory (KiB) as the last line. On Linux ru_maxrss is inherited.
MEASURED = r"""
import pathlib, re, resource, runpy, sys
sys.argv = ["db", "up", "--json"]
try:
    runpy.run_module("engines.migrations.cli", run_name="__main__")
except SystemExit as end:
    status = pathlib.Path("/proc/self/status")
    own = status.exists() and int(re.search("VmHWM:\\s+([0-9]+)", status.read_text())[1])
    print(own or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    raise
"""
OWN = [
    "BEGIN;\n\n{0}\n\nCOMMIT;\n",
    "begin;\n{0}\ncommit;\nbegin;\nsavepoint s;\ndelete from {1};\nrollback to s;\ncommit;\n",
    "BEGIN;\n{0}\nSAVEPOINT a;\nINSERT INTO {1} VALUES (-1);\nROLLBACK TO a;\nRELEASE a;\nEND;",
    (
        "set search_path = public;\nbegin;\nset local search_path = pg_catalog;\n"
        "lock table pg_class in access share mode;\ncommit;\n{0}\n"
    ),
    "{0}\n",
]
LARGE = r"""
create type mood as enum ('sad', 'it''s; ok');
create domain amount as numeric(12, 2) check (value >= 0);
do $do$ begin
for i in 1..200 loop
  execute format('create table item_%s (id bigint generated always as identity primary key, mood mood,
    name text not null default %L, paid amount, tags text[] default %L, at timestamptz default now())',
    i, 'a;b\c', '{"x"}');
  execute format('create index on item_%s (lower(name)) where mood is not null', i);
  execute format('comment on table item_%s is %L', i, E'Comment; with "quotes" it''s\n\\. — é');
  execute format('alter table item_%s enable row level security', i);
  execute format('create policy "see; own" on item_%s for select using (name = current_user)', i);
  execute format('create function touch_%s() returns trigger language plpgsql as $f$%s$f$', i,
    E'\nbegin\n  new.at := now(); -- it''s; \n' || repeat(E'  perform $$;$$; /* ; */\n', 60)
    || 'return new; end');
  execute format('create trigger touch before update on item_%1$s for each row
    execute function touch_%1$s()', i);
  execute format('insert into item_%s (name) select ''row '' || n from generate_series(1, 3) n', i);
  execute format('create view view_%1$s as select id, name from item_%1$s where mood <> ''sad''', i);
end loop;
for i in 2..200 loop
  execute format('alter table item_%s add parent bigint references item_%s deferrable initially deferred',
    i, i - 1);
end loop;
end $do$;
create function sum_atomic(a int, b int) returns int begin atomic select a + b; end;
create rule note as on insert to view_1 do instead (insert into item_1 (name) values (new.name); select 1);
create materialized view totals as select count(*) from item_1;
"""


def measured_up(twin: Twin) -> tuple[list[str], int]:
    """Apply in a process of its own; give the applied files and the peak of its memory in MB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED],
        env={**os.environ, "GROUNDWORK_DSN": twin.dsn, "PYTHONPATH": str(ROOT)},
        cwd=twin.path.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer, peak = done.stdout.strip().rsplit("\n", 1)
    return json.loads(answer)["applied"], int(peak) // 1024


def own_transactions(number: int) -> str:
    """Write a file as most of some projects are: with transactions of its own."""
    table = f"t{number % 7}"
    first = f"create table if not exists {table} (id int);\ninsert into {table} values ({number});"
    return f"-- {number}\n" + OWN[number % len(OWN)].format(first, table)


def test_hundreds_of_files_with_their_own_transactions(twin: Twin) -> None:
    """A folder of 210 files, most of which begin and commit by themselves, is what psql makes of it."""
    twin.write({f"{number:04}_step.sql": own_transactions(number) for number in range(210)})

    twin.by_psql()
    assert len(twin.up().applied) == 210

    twin.agree()


def fill(dsn: str) -> None:
    """Make a database whose dump is more than 1.3 MB."""
    with psycopg.connect(dsn) as session:
        for schema in ("public", "billing"):
            session.execute(f"create schema if not exists {schema}; set search_path = {schema}".encode())
            session.execute(LARGE.encode())


def test_dump_as_the_first_file(twin: Twin, third: str) -> None:
    """A dump of 1.3 MB leaves an empty search_path; the file behind it has the usual one."""
    fill(third)
    text = dump(third, options=["--inserts"])
    baseline = "\n".join(line for line in text if not line.startswith(("\\restrict", "\\unrestrict")))
    assert len(baseline) > 1.3 * MEGABYTE
    assert "set_config('search_path', '', false)" in baseline
    twin.write({"001_baseline.sql": baseline})

    twin.by_psql()
    twin.up()

    twin.agree()
    assert dump(twin.dsn, *OURS) == dump(third)
    twin.write({"002_next.sql": "alter table item_1 add more text;\ncreate table extra ();"})
    assert twin.up().applied == ("002_next.sql",)
    assert twin.rows("select to_regclass('public.extra')::text") == [("extra",)]


def test_dump_with_the_commands_of_psql(twin: Twin) -> None:
    """A dump as pg_dump writes it today is refused for its two backslash commands, by their lines."""
    twin.write({"001_baseline.sql": "\n".join(dump(twin.dsn))})

    with pytest.raises(RefusedError, match=r"001_baseline\.sql, line 5: `\\restrict x` is a psql command"):
        twin.up()


def test_file_of_50_megabytes(twin: Twin) -> None:
    """Memory for a file of large statements, and many small ones, is in proportion to its size."""
    small = "".join(f"insert into t values ({n}, 'a small row; {n}');\n" for n in range(20_000))
    large = "".join(f"insert into t values ({n}, '{'x;' * (MEGABYTE // 2)}');\n" for n in range(50))
    twin.write({"001_start.sql": "create table t (a int, b text);", "002_large.sql": small + large})

    applied, peak = measured_up(twin)

    assert applied == ["001_start.sql", "002_large.sql"]
    assert (twin.path / "002_large.sql").stat().st_size > 50 * MEGABYTE
    assert peak < 20 * 50
    assert twin.rows("select count(*), sum(length(b)) > 50000000 from t") == [(20_050, True)]


def test_flood_of_notices(twin: Twin) -> None:
    """What a file says to the client, and rows that it returns, cost little memory and are no failure."""
    notices = "do $$ begin for i in 1..50000 loop raise notice '% %', i, repeat('x', 500); end loop; end $$;"
    notify = "listen a; do $$ begin for i in 1..10000 loop perform pg_notify('a', i::text); end loop; end $$;"
    twin.write(
        {
            "001_notices.sql": notices,
            "002_rows.sql": f"select n, repeat('y', 50) from generate_series(1, 50000) n;{notify}",
            "003_next.sql": "create table t ();",
        }
    )

    applied, peak = measured_up(twin)

    assert len(applied) == 3
    assert peak < 100
