"""Jobs are rows of cron.job: made, changed, read, removed, and refused when they are not valid."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from engines import cron
from engines.cron import CronError, Job


class TestJobs:
    """Jobs as rows of cron.job."""

    def test_job_is_read_back(self, cron_dsn: str) -> None:
        """What was put is what is read, awkward characters included."""
        job = Job(
            name="b",
            schedule="*/5 1-3 * * mon",
            url="http://127.0.0.1:1/a?b=c'd",
            secret_name="it's",
            body={"a": ["'", "''", "\\", {"b": None}]},
            timeout_s=2.5,
            active=False,
        )
        other = replace(job, name="a", schedule="10 seconds", active=True)

        cron.put_job(cron_dsn, job)
        cron.put_job(cron_dsn, other)

        assert cron.read_jobs(cron_dsn) == (other, job)

    def test_job_is_changed_in_place(self, cron_dsn: str) -> None:
        """A second put changes the row and makes no other."""
        job = Job(name="a", schedule="0 0 1 1 *", url="http://127.0.0.1/1")
        cron.put_job(cron_dsn, job)
        changed = replace(job, schedule="0 0 2 1 *", url="http://127.0.0.1/2", body={"x": 1})

        cron.put_job(cron_dsn, changed)

        assert cron.read_jobs(cron_dsn) == (changed,)

    def test_others_are_never_touched(self, cron_dsn: str) -> None:
        """A job that is not named as ours is neither read nor removed, and neither is its history."""
        with psycopg.connect(cron_dsn, autocommit=True) as session:
            for theirs in ("a", "xgroundwork:a", "groundworka"):
                session.execute("select cron.schedule(%s, '0 0 1 1 *', 'select 1')", [theirs])
            cron.put_job(cron_dsn, Job(name="a", schedule="0 0 1 1 *", url="http://127.0.0.1/"))

            cron.drop_job(cron_dsn, "a")
            cron.prune(cron_dsn, ())

            query = "select jobname from cron.job order by jobname"
            left = [row[0] for row in session.execute(query).fetchall()]
            session.execute("select cron.unschedule(jobid) from cron.job")
        assert left == ["a", "groundworka", "xgroundwork:a"]

    def test_prune_keeps_what_is_named(self, cron_dsn: str) -> None:
        """Jobs that are no longer wanted go; the purge stays as long as there is a job."""
        for each in ("a", "b", "c"):
            cron.put_job(cron_dsn, Job(name=each, schedule="0 0 1 1 *", url="http://127.0.0.1/"))

        removed = cron.prune(cron_dsn, ["b", "z"])

        assert removed == ("a", "c")
        assert [job.name for job in cron.read_jobs(cron_dsn)] == ["b"]
        assert self.names(cron_dsn) == ["groundwork:.purge", "groundwork:b"]

    def test_last_drop_removes_the_purge(self, cron_dsn: str) -> None:
        """Without jobs nothing of ours is scheduled; dropping again is no error."""
        cron.put_job(cron_dsn, Job(name="a", schedule="0 0 1 1 *", url="http://127.0.0.1/"))

        cron.drop_job(cron_dsn, "a")
        cron.drop_job(cron_dsn, "a")

        assert self.names(cron_dsn) == []

    def test_four_at_once_make_four(self, empty_project: str) -> None:
        """Jobs put at the same time into a new database all arrive, each once."""
        jobs = [Job(name=f"j{n}", schedule="0 0 1 1 *", url="http://127.0.0.1/") for n in range(4)]

        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda job: cron.put_job(empty_project, job), jobs))

        assert cron.read_jobs(empty_project) == tuple(jobs)

    def test_hand_changed_command_is_seen(self, cron_dsn: str) -> None:
        """A command that is not ours any more is read as a job without URL."""
        cron.put_job(cron_dsn, Job(name="a", schedule="0 0 1 1 *", url="http://127.0.0.1/"))
        with psycopg.connect(cron_dsn, autocommit=True) as session:
            alter = "cron.alter_job(jobid, command := 'select 1')"
            session.execute(f"select {alter} from cron.job where jobname = 'groundwork:a'")

        assert [(job.name, job.url) for job in cron.read_jobs(cron_dsn)] == [("a", "")]

    def names(self, dsn: str) -> list[str]:
        """List all jobs' names as pg_cron has them."""
        with psycopg.connect(dsn) as session:
            rows = session.execute("select jobname from cron.job order by jobname").fetchall()
        return [str(row[0]) for row in rows]


class TestRefusals:
    """What is not valid is told by its field."""

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            ({"name": "A b"}, "'A b' is no name for a cron job"),
            ({"name": ".purge"}, "is no name for a cron job"),
            ({"url": "file:///etc/passwd"}, "is no URL"),
            ({"url": "http://"}, "is no URL"),
            ({"timeout_s": 0}, "timeout of 0 s"),
            ({"schedule": "every day"}, "cron job a in postgres@127.*: invalid schedule: every day"),
            ({"schedule": "99 seconds"}, "invalid schedule: 99 seconds"),
        ],
    )
    def test_bad_field_is_named(self, cron_dsn: str, change: dict[str, Any], text: str) -> None:
        """The text says which field is wrong; no job is made."""
        job = Job(name="a", schedule="0 0 1 1 *", url="http://127.0.0.1/")

        with pytest.raises(CronError, match=text):
            cron.put_job(cron_dsn, replace(job, **change))

        assert cron.read_jobs(cron_dsn) == ()

    def test_database_without_pg_cron_is_told(self, database: str) -> None:
        """A plain PostgreSQL has no jobs, takes none, and drops none."""
        with pytest.raises(CronError, match=r'cron job a in .*: extension "pg_cron" is not available'):
            cron.put_job(database, Job(name="a", schedule="0 0 1 1 *", url="http://127.0.0.1/"))

        assert cron.read_jobs(database) == ()
        assert cron.outcomes(database) == []
        assert cron.prune(database, ()) == ()
        cron.drop_job(database, "a")

    def test_functions_are_for_the_owner_only(self, empty_project: str) -> None:
        """No role of the Data API may call, collect or purge."""
        cron.put_job(empty_project, Job(name="a", schedule="0 0 1 1 *", url="http://127.0.0.1/"))

        with psycopg.connect(empty_project) as session:
            query = """
                select count(*) from pg_proc as p, unnest(array['anon', 'authenticated', 'service_role']) as r
                where pronamespace = 'groundwork'::regnamespace
                    and has_function_privilege(r, p.oid, 'execute')
            """
            assert session.execute(query).fetchone() == (0,)
