"""The runner dies before and after every message that it sends, in each way that files are run.

A message is what the server has got or has not: before one and after it are all moments that can differ. Each
time a plain second run must end where an uninterrupted one ends, with every effect exactly once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.engines.migrations.fix_dying import Dying, Killed

if TYPE_CHECKING:
    from tests.engines.migrations.conftest import Project

BREAK: Final = "\n--> statement-breakpoint\n"
LOG: Final = "create table if not exists log (what text);\n"
MIXED: Final = """
set work_mem = '1MB';
create table if not exists log (what text);
insert into log values (current_setting('work_mem'));
create index concurrently i on log (what);
begin;
insert into log values ('block');
set maintenance_work_mem = '3MB';
select set_config('statement_timeout', '7s', false);
insert into log values (current_setting('work_mem'));
commit;
vacuum log;
insert into log values (current_setting('work_mem'));
insert into log values (current_setting('maintenance_work_mem') || current_setting('statement_timeout'));
drop index concurrently i;
create index concurrently j on log (what);
begin;
insert into log values ('never');
set maintenance_work_mem = '9MB';
rollback;
insert into log values (current_setting('maintenance_work_mem'));
-- the end
"""
MODES: Final[dict[str, dict[str, str]]] = {
    "one transaction": {"001_a.sql": f"{LOG}insert into log values ('a');\ninsert into log values ('b');"},
    "files that share a message": {
        "001_a.sql": LOG,
        "002_b.sql": "insert into log values ('b')",
        "003_c.sql": "begin; insert into log values ('c'); commit;",
        "004_d.sql": "insert into log values ('d'); select 1",
    },
    "a transaction with options": {
        "001_a.sql": f"begin isolation level serializable;\n{LOG}insert into log values ('a');\ncommit;"
    },
    "no transaction": {
        "001_a.sql": f"-- groundwork: no-transaction\n{LOG}insert into log values ('a');\nselect 1;"
    },
    "two transactions": {
        "001_a.sql": f"begin;\n{LOG}commit;\nbegin;\ninsert into log values ('b');\nrollback;\n"
        "begin;\ninsert into log values ('c');\ncommit;",
        "002_b.sql": "insert into log values ('d')",
    },
    "concurrently": {
        "001_a.sql": f"{LOG}create index concurrently i on log (what);\nreindex index concurrently i;\n"
        "insert into log values ('a');\ndrop index concurrently i;\ncreate index concurrently j on log (what)"
    },
    "settings in units": {"001_a.sql": MIXED},
    "backfill": {
        "001_a.sql": f"{LOG}create table t (id int primary key, n int default 0);\n"
        "insert into t select generate_series(1, 30);",
        "002_b.sql": "-- groundwork: backfill table=t key=id batch=10..10\n"
        "with done as (update t set n = n + 1 where {batch} returning id)\n"
        "insert into log select id::text from done",
        "003_c.sql": "insert into log select 'n' || n || ': ' || count(*) from t group by n",
    },
    "drizzle": {
        "meta/_journal.json": json.dumps(
            {"entries": [{"idx": n, "tag": tag, "when": n + 1} for n, tag in enumerate(("0000_a", "0001_b"))]}
        ),
        "0000_a.sql": f"{LOG}{BREAK}insert into log values ('a');",
        "0001_b.sql": f"insert into log values ('b');{BREAK}COMMIT;{BREAK}"
        f"create index concurrently i on log (what);{BREAK}BEGIN;{BREAK}insert into log values ('c');",
    },
    "drizzle 1.0": {
        "20260101000000_a/migration.sql": f"{LOG}{BREAK}insert into log values ('a');",
        "20260102000000_b/migration.sql": "insert into log values ('b');",
    },
}
# Everything that a run leaves, but times and ids.
STATE: Final = (
    "select what from log order by 1",
    "select indexrelid::regclass::text, indisvalid from pg_index where indrelid = 'log'::regclass order by 1",
    "select version, file, checksum from groundwork.migrations order by 1",
    "select count(*) from groundwork.migration_progress",
    "select count(*) from groundwork.backfills where finished_at is null",
)
HISTORIES: Final = {
    "supabase_migrations.schema_migrations": "select version, name, statements from {} order by 1",
    "drizzle.__drizzle_migrations": "select hash, created_at from {} order by 2",
}


def forget(project: Project) -> None:
    """Bring the database back to its beginning."""
    project.execute(
        "drop schema if exists supabase_migrations, groundwork, drizzle cascade; drop table if exists log, t"
    )


def state(project: Project) -> list[Any]:
    """Read everything that a run leaves."""
    histories = [
        project.rows(query.format(name))
        for name, query in HISTORIES.items()
        if project.value(f"select to_regclass('{name}') is not null")
    ]
    return [*histories, *(project.rows(query) for query in STATE)]


@pytest.mark.parametrize("seen", [False, True], ids=["unseen", "seen"])
@pytest.mark.parametrize("mode", MODES)
def test_killed_at_any_message(
    project: Project, monkeypatch: pytest.MonkeyPatch, mode: str, *, seen: bool
) -> None:
    """Whenever the runner dies, a plain second run ends as if nothing had been."""
    for name, text in MODES[mode].items():
        (project.path / name).parent.mkdir(exist_ok=True)
        (project.path / name).write_text(text)
    project.up()
    expected = state(project)
    moment, survived = 0, False
    while not survived:
        forget(project)
        Dying(monkeypatch, moment, seen=seen)
        try:
            project.up()
            survived = True
        except Killed:
            moment += 1
        monkeypatch.undo()
        project.up()

        assert state(project) == expected, f"killed at message {moment - 1}"
    # Who dies after the last message has told the server everything.
    assert moment >= 8
