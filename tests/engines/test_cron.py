"""Jobs are scheduled in a real project, really call, and their outcomes are read back."""

from __future__ import annotations

import json
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from engines import cron, ports, vault
from engines.cron import CronError, Job
from tests.fix_emulator import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fix_emulator import Project


class Receiver:
    """An HTTP server that remembers what it got and answers as the path says: `/500` with 500."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.got: list[tuple[str, dict[str, str], Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(int(self.path.strip("/")))
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=[0.02])
        self.thread.start()

    def url(self, status: int) -> str:
        """Give a URL that is answered with a status."""
        return f"http://127.0.0.1:{self.server.server_port}/{status}"

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def dsn(project: Project) -> Iterator[str]:
    """Give the owner's DSN of a project whose jobs run, and remove our jobs afterwards."""
    yield project.dsn
    cron.prune(project.dsn, ())


def name() -> str:
    """Make a job's name of the test's own: the project is shared."""
    return f"job-{secrets.token_hex(4)}"


def outcome_of(dsn: str, job: str) -> cron.Outcome:
    """Wait for the first outcome of a job."""

    def first() -> list[cron.Outcome]:
        return [one for one in cron.outcomes(dsn) if one.job == job and not one.is_pending]

    found: list[cron.Outcome] = wait_until(first, f"an outcome of {job}")
    return found[0]


class TestCalls:
    """What arrives, and what is read back."""

    def test_secret_and_body_arrive(self, dsn: str, receiver: Receiver) -> None:
        """A call carries the Vault's secret and the body, and its success is read back."""
        vault.put_secret(dsn, "cron_secret", "canary-secret")
        job = Job(
            name=name(),
            schedule="1 seconds",
            url=receiver.url(200),
            secret_name="cron_secret",
            body={"text": 'it\'s \\ "quoted" ü 100%s $1', "n": 1},
        )

        cron.put_job(dsn, job)

        found = outcome_of(dsn, job.name)
        path, headers, body = receiver.got[0]
        assert (path, body) == ("/200", job.body)
        assert headers["authorization"] == "Bearer canary-secret"
        assert (found.status_code, found.error, found.is_ok) == (200, None, True)
        assert found.duration_s is not None

    def test_secret_is_read_at_the_call(self, dsn: str, receiver: Receiver) -> None:
        """A rotated secret is used without touching the job, and no table of pg_cron has it."""
        vault.put_secret(dsn, "cron_secret", "canary-old")
        job = Job(name=name(), schedule="1 seconds", url=receiver.url(200), secret_name="cron_secret")
        cron.put_job(dsn, job)
        outcome_of(dsn, job.name)

        vault.put_secret(dsn, "cron_secret", "canary-new")

        wait_until(lambda: receiver.got[-1][1]["authorization"] == "Bearer canary-new", "the new secret")
        with psycopg.connect(dsn) as session:
            jobs = session.execute("select * from cron.job").fetchall()
            runs = session.execute("select * from cron.job_run_details").fetchall()
            calls = session.execute("select * from groundwork.job_calls").fetchall()
        assert "canary" not in str((jobs, runs, calls))

    def test_failed_answer_is_a_failure(self, dsn: str, receiver: Receiver) -> None:
        """A 500 is told as such, though pg_cron counts the run as a success."""
        job = Job(name=name(), schedule="1 seconds", url=receiver.url(500))

        cron.put_job(dsn, job)

        found = outcome_of(dsn, job.name)
        assert (found.status_code, found.error, found.is_ok) == (500, "HTTP 500", False)
        assert "authorization" not in receiver.got[0][1]

    def test_refused_connection_is_a_failure(self, dsn: str) -> None:
        """Nobody listens: the reason is read back."""
        job = Job(name=name(), schedule="1 seconds", url=f"http://127.0.0.1:{ports.free_port()}/")

        cron.put_job(dsn, job)

        found = outcome_of(dsn, job.name)
        assert (found.status_code, found.is_ok) == (None, False)
        assert "connect" in str(found.error).lower()

    def test_missing_secret_is_a_failure(self, dsn: str, receiver: Receiver) -> None:
        """Without the Vault entry nothing is sent, and the outcome names it."""
        job = Job(name=name(), schedule="1 seconds", url=receiver.url(200), secret_name="no_such_secret")

        cron.put_job(dsn, job)

        assert outcome_of(dsn, job.name).error == "the vault has no secret named no_such_secret"
        assert not receiver.got

    def test_inactive_job_does_not_call(self, dsn: str, receiver: Receiver) -> None:
        """A job that was switched off stays silent while another one runs."""
        quiet = Job(name=name(), schedule="1 seconds", url=receiver.url(201), active=False)
        cron.put_job(dsn, replace(quiet, active=True))
        cron.put_job(dsn, quiet)
        before = len(receiver.got)

        other = Job(name=name(), schedule="1 seconds", url=receiver.url(200))
        cron.put_job(dsn, other)
        wait_until(lambda: len([one for one in receiver.got if one[0] == "/200"]) >= 2, "two calls")

        assert len([one for one in receiver.got[before:] if one[0] == "/201"]) <= 1
        assert [job.active for job in cron.read_jobs(dsn) if job.name == quiet.name] == [False]


class TestLost:
    """Answers that never come, or come under a number used before."""

    def put_call(self, dsn: str, job: str, columns: str, values: str) -> None:
        """Record a call as if it had been made."""
        with psycopg.connect(dsn, autocommit=True) as session:
            query = f"insert into groundwork.job_calls (job, {columns}) values (%s, {values})"
            session.execute(query.encode(), [job])

    def test_old_call_without_answer_is_a_failure(self, dsn: str) -> None:
        """A call that waits much longer than its timeout counts as failed; a young one does not."""
        cron.put_job(dsn, Job(name="x", schedule="0 0 1 1 *", url="http://127.0.0.1/"))
        old, young = name(), name()
        self.put_call(dsn, old, "timeout_ms, request_id, called_at", "5000, -1, now() - interval '70 s'")
        self.put_call(dsn, young, "timeout_ms, request_id", "5000, -2")

        found = {one.job: one for one in cron.outcomes(dsn, limit=1000)}

        assert "no answer came" in str(found[old].error)
        assert found[young].is_pending

    def test_answer_of_an_earlier_request_does_not_count(self, dsn: str) -> None:
        """A number that was used before a crash does not bring an old answer to a new call."""
        cron.put_job(dsn, Job(name="x", schedule="0 0 1 1 *", url="http://127.0.0.1/"))
        job = name()
        with psycopg.connect(dsn, autocommit=True) as session:
            values = "-3, 200, now() - interval '1 hour'"
            session.execute(f"insert into net._http_response (id, status_code, created) values ({values})")
        self.put_call(dsn, job, "timeout_ms, request_id", "5000, -3")

        [found] = [one for one in cron.outcomes(dsn, limit=1000) if one.job == job]

        assert found.is_pending

    def test_purge_deletes_old_records_only(self, dsn: str) -> None:
        """Records of more than seven days go, ours and pg_cron's."""
        cron.put_job(dsn, Job(name="x", schedule="0 0 1 1 *", url="http://127.0.0.1/"))
        old, young = name(), name()
        self.put_call(dsn, old, "timeout_ms, called_at", "1, now() - interval '8 days'")
        self.put_call(dsn, young, "timeout_ms, called_at", "1, now() - interval '6 days'")
        insert = """
            insert into cron.job_run_details (runid, start_time, username)
            values (-%s, now() - %s::interval, 'postgres')
        """

        with psycopg.connect(dsn, autocommit=True) as session:
            session.execute("delete from cron.job_run_details where runid < 0")
            for number, age in ((1, "8 days"), (2, "6 days")):
                session.execute(insert, [number, age])
            session.execute("select groundwork.purge_calls()")
            runs = session.execute("select runid from cron.job_run_details where runid < 0").fetchall()
            session.execute("delete from cron.job_run_details where runid < 0")

        kept = {one.job for one in cron.outcomes(dsn, limit=1000)}
        assert (old in kept, young in kept) == (False, True)
        assert runs == [(-2,)]


class TestJobs:
    """Jobs as rows of cron.job."""

    def test_job_is_read_back(self, dsn: str) -> None:
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

        cron.put_job(dsn, job)
        cron.put_job(dsn, other)

        assert cron.read_jobs(dsn) == (other, job)

    def test_job_is_changed_in_place(self, dsn: str) -> None:
        """A second put changes the row and makes no other."""
        job = Job(name="a", schedule="0 0 1 1 *", url="http://127.0.0.1/1")
        cron.put_job(dsn, job)
        changed = replace(job, schedule="0 0 2 1 *", url="http://127.0.0.1/2", body={"x": 1})

        cron.put_job(dsn, changed)

        assert cron.read_jobs(dsn) == (changed,)

    def test_others_are_never_touched(self, dsn: str) -> None:
        """A job that is not named as ours is neither read nor removed, and neither is its history."""
        with psycopg.connect(dsn, autocommit=True) as session:
            for theirs in ("a", "xgroundwork:a", "groundworka"):
                session.execute("select cron.schedule(%s, '0 0 1 1 *', 'select 1')", [theirs])
            cron.put_job(dsn, Job(name="a", schedule="0 0 1 1 *", url="http://127.0.0.1/"))

            cron.drop_job(dsn, "a")
            cron.prune(dsn, ())

            query = "select jobname from cron.job order by jobname"
            left = [row[0] for row in session.execute(query).fetchall()]
            session.execute("select cron.unschedule(jobid) from cron.job")
        assert left == ["a", "groundworka", "xgroundwork:a"]

    def test_prune_keeps_what_is_named(self, dsn: str) -> None:
        """Jobs that are no longer wanted go; the purge stays as long as there is a job."""
        for each in ("a", "b", "c"):
            cron.put_job(dsn, Job(name=each, schedule="0 0 1 1 *", url="http://127.0.0.1/"))

        removed = cron.prune(dsn, ["b", "z"])

        assert removed == ("a", "c")
        assert [job.name for job in cron.read_jobs(dsn)] == ["b"]
        assert self.names(dsn) == ["groundwork:.purge", "groundwork:b"]

    def test_last_drop_removes_the_purge(self, dsn: str) -> None:
        """Without jobs nothing of ours is scheduled; dropping again is no error."""
        cron.put_job(dsn, Job(name="a", schedule="0 0 1 1 *", url="http://127.0.0.1/"))

        cron.drop_job(dsn, "a")
        cron.drop_job(dsn, "a")

        assert self.names(dsn) == []

    def test_four_at_once_make_four(self, empty_project: str) -> None:
        """Jobs put at the same time into a new database all arrive, each once."""
        jobs = [Job(name=f"j{n}", schedule="0 0 1 1 *", url="http://127.0.0.1/") for n in range(4)]

        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda job: cron.put_job(empty_project, job), jobs))

        assert cron.read_jobs(empty_project) == tuple(jobs)

    def test_hand_changed_command_is_seen(self, dsn: str) -> None:
        """A command that is not ours any more is read as a job without URL."""
        cron.put_job(dsn, Job(name="a", schedule="0 0 1 1 *", url="http://127.0.0.1/"))
        with psycopg.connect(dsn, autocommit=True) as session:
            alter = "cron.alter_job(jobid, command := 'select 1')"
            session.execute(f"select {alter} from cron.job where jobname = 'groundwork:a'")

        assert [(job.name, job.url) for job in cron.read_jobs(dsn)] == [("a", "")]

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
    def test_bad_field_is_named(self, dsn: str, change: dict[str, Any], text: str) -> None:
        """The text says which field is wrong; no job is made."""
        job = Job(name="a", schedule="0 0 1 1 *", url="http://127.0.0.1/")

        with pytest.raises(CronError, match=text):
            cron.put_job(dsn, replace(job, **change))

        assert cron.read_jobs(dsn) == ()

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
