"""What files of real projects hold: ours leaves what psql leaves, file by file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.engines.migrations.fix_folders import FOLDERS

if TYPE_CHECKING:
    from tests.engines.migrations.fix_twin import Twin


@pytest.mark.parametrize("name", FOLDERS)
def test_same_as_psql(twin: Twin, name: str) -> None:
    """Schema, owners, rights, comments, rows and sequences are psql's; nothing is left to do."""
    role = f"r_{twin.dsn.rpartition('/')[2]}"
    files = FOLDERS[name]
    twin.write({key: t.replace("{role}", role) if isinstance(t, str) else t for key, t in files.items()})

    twin.by_psql()
    twin.up()

    twin.agree()


def test_runners_that_change_sessions(twin: Twin) -> None:
    """Between the sessions of one run another may go on with the next files; each still runs once."""
    sql = "alter database %I set work_mem = ''{} MB''"
    change = f"do $$ begin execute format('{sql}', current_database()); end $$;"
    twin.write({"000_start.sql": "create table ran (file int, work_mem text);"})
    for number in range(1, 9):
        note = f"insert into ran values ({number}, current_setting('work_mem'));\n"
        twin.write({f"{number:03}_step.sql": note + change.format(number)})

    with ThreadPoolExecutor(4) as pool:
        outcomes = [run.result() for run in [pool.submit(twin.up) for _ in range(4)]]

    applied = sorted(name for outcome in outcomes for name in outcome.applied)
    assert applied == sorted(file.name for file in twin.path.iterdir())
    assert {outcome.total for outcome in outcomes} == {9}
    expected = [(number, f"{number - 1}MB" if number > 1 else "4MB") for number in range(1, 9)]
    assert twin.rows("select file, work_mem from ran order by 1") == expected


def test_history_of_a_database_with_its_own_defaults(twin: Twin) -> None:
    """Times are read, and files see the database's own settings, whatever its defaults are."""
    sql = "do $$ begin execute format('alter database %I set {}', current_database()); end $$;"
    defaults = [
        "datestyle = ''SQL, DMY''",
        "intervalstyle = ''sql_standard''",
        "search_path = ''pg_catalog''",
    ]
    with psycopg.connect(twin.dsn, autocommit=True) as session:
        for default in defaults:
            session.execute(sql.format(default).encode())
    twin.write({"001_a.sql": "create table public.t as select '2025-12-31'::date::text d;"})

    twin.up()
    twin.write({"002_b.sql": "insert into public.t select '2026-12-31'::date::text;"})
    assert twin.up().applied == ("002_b.sql",)

    assert twin.rows("select d from public.t order by 1") == [("31/12/2025",), ("31/12/2026",)]
