"""What a verification cannot look at is noted, and is no alarm."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from engines.migrations import Check, verify

if TYPE_CHECKING:
    from tests.engines.migrations.conftest import Project


def rule(project: Project, text: str) -> None:
    """Write the rules."""
    (project.path / "checks").mkdir(exist_ok=True)
    (project.path / "checks" / "rules.toml").write_text(text, encoding="utf-8")


class TestNulls:
    """Columns whose NULLs cannot be counted."""

    def test_table_that_somebody_locks(self, project: Project) -> None:
        """Nobody has seen a violation in a locked table: it is noted, and the update does not fail."""
        project.execute(
            "create table a (x int, y int);"
            "alter table a add constraint no_x check (x is not null) not valid;"
            "alter table a add constraint some_y check (y is null or x is not null) not valid"
        )
        rule(project, '[not_null]\n"public.a" = ["y"]')
        with psycopg.connect(project.dsn) as session:
            session.execute("lock table a")
            [*_others, nulls] = verify(project.dsn, project.folder)

        assert nulls == Check(
            "nulls",
            ok=True,
            message="not counted: public.a.y (canceling statement due to lock timeout), "
            "public.a.x (canceling statement due to lock timeout)",
        )

    def test_rows_that_a_policy_hides(self, project: Project) -> None:
        """Rows behind row level security are not taken for none: that they are not counted is noted."""
        password = conninfo_to_dict(project.dsn)["password"]
        project.execute(
            "create table a (x int); alter table a add constraint no_x check (x is not null) not valid;"
            "alter table a enable row level security, force row level security;"
            f"create role owner_of_a login password '{password}'; alter table a owner to owner_of_a"
        )
        try:
            [*_others, nulls] = verify(make_conninfo(project.dsn, user="owner_of_a"), project.folder)
        finally:
            project.execute("drop owned by owner_of_a; drop role owner_of_a")

        assert nulls.ok
        assert nulls.message.startswith("not counted: public.a.x (query would be affected by row-level sec")


class TestRows:
    """Large tables of which the server has no statistics, as after a crash."""

    @pytest.mark.parametrize("known", [True, False])
    def test_statistics_are_lost(self, project: Project, *, known: bool) -> None:
        """What the last ANALYZE found stands for them; without, the table is named as not counted."""
        with psycopg.connect(project.dsn, autocommit=True) as session:
            session.execute(
                "create table a with (autovacuum_enabled = off) as "
                "select n, repeat('x', 500) x from generate_series(1, 20000) n"
            )
            session.execute("analyze a" if known else "select 1")
            session.execute("select pg_stat_force_next_flush()")
            session.execute("select pg_stat_reset_single_table_counters('a'::regclass)")
        project.write(_001_a="delete from a where n > 15000")
        done = project.command("up", "--json")

        messages = {check["name"]: check["message"] for check in json.loads(done.stdout)["checks"]}
        if known:
            assert "public.a had about 20,000 rows before the run" in messages["row counts"]
        else:
            assert messages["row counts"] == "not counted: public.a"
