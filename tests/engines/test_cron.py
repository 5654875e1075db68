"""Jobs really call, and what became of each call is read back."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg

from engines import cron, ports, vault
from engines.cron import Job
from tests.fix_emulator import wait_until

if TYPE_CHECKING:
    from tests.fix_cron import Receiver


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

    def test_secret_and_body_arrive(self, cron_dsn: str, receiver: Receiver) -> None:
        """A call carries the Vault's secret and the body, and its success is read back."""
        vault.put_secret(cron_dsn, "cron_secret", "canary-secret")
        job = Job(
            name=name(),
            schedule="1 seconds",
            url=receiver.url(200),
            secret_name="cron_secret",
            body={"text": 'it\'s \\ "quoted" ü 100%s $1', "n": 1},
        )

        cron.put_job(cron_dsn, job)

        found = outcome_of(cron_dsn, job.name)
        path, headers, body = receiver.got[0]
        assert (path, body) == ("/200", job.body)
        assert headers["authorization"] == "Bearer canary-secret"
        assert (found.status_code, found.error, found.is_ok) == (200, None, True)
        assert found.duration_s is not None

    def test_secret_is_read_at_the_call(self, cron_dsn: str, receiver: Receiver) -> None:
        """A rotated secret is used without touching the job, and no table of pg_cron has it."""
        vault.put_secret(cron_dsn, "cron_secret", "canary-old")
        job = Job(name=name(), schedule="1 seconds", url=receiver.url(200), secret_name="cron_secret")
        cron.put_job(cron_dsn, job)
        outcome_of(cron_dsn, job.name)

        vault.put_secret(cron_dsn, "cron_secret", "canary-new")

        wait_until(lambda: receiver.got[-1][1]["authorization"] == "Bearer canary-new", "the new secret")
        with psycopg.connect(cron_dsn) as session:
            jobs = session.execute("select * from cron.job").fetchall()
            runs = session.execute("select * from cron.job_run_details").fetchall()
            calls = session.execute("select * from groundwork.job_calls").fetchall()
        assert "canary" not in str((jobs, runs, calls))

    def test_failed_answer_is_a_failure(self, cron_dsn: str, receiver: Receiver) -> None:
        """A 500 is told as such, though pg_cron counts the run as a success."""
        job = Job(name=name(), schedule="1 seconds", url=receiver.url(500))

        cron.put_job(cron_dsn, job)

        found = outcome_of(cron_dsn, job.name)
        assert (found.status_code, found.error, found.is_ok) == (500, "HTTP 500", False)
        assert "authorization" not in receiver.got[0][1]

    def test_refused_connection_is_a_failure(self, cron_dsn: str) -> None:
        """Nobody listens: the reason is read back."""
        job = Job(name=name(), schedule="1 seconds", url=f"http://127.0.0.1:{ports.free_port()}/")

        cron.put_job(cron_dsn, job)

        found = outcome_of(cron_dsn, job.name)
        assert (found.status_code, found.is_ok) == (None, False)
        assert "connect" in str(found.error).lower()

    def test_missing_secret_is_a_failure(self, cron_dsn: str, receiver: Receiver) -> None:
        """Without the Vault entry nothing is sent, and the outcome names it."""
        job = Job(name=name(), schedule="1 seconds", url=receiver.url(200), secret_name="no_such_secret")

        cron.put_job(cron_dsn, job)

        assert outcome_of(cron_dsn, job.name).error == "the vault has no secret named no_such_secret"
        assert not receiver.got

    def test_inactive_job_does_not_call(self, cron_dsn: str, receiver: Receiver) -> None:
        """A job that was switched off stays silent while another one runs."""
        quiet = Job(name=name(), schedule="1 seconds", url=receiver.url(201), active=False)
        cron.put_job(cron_dsn, replace(quiet, active=True))
        cron.put_job(cron_dsn, quiet)
        before = len(receiver.got)

        other = Job(name=name(), schedule="1 seconds", url=receiver.url(200))
        cron.put_job(cron_dsn, other)
        wait_until(lambda: len([one for one in receiver.got if one[0] == "/200"]) >= 2, "two calls")

        assert len([one for one in receiver.got[before:] if one[0] == "/201"]) <= 1
        assert [job.active for job in cron.read_jobs(cron_dsn) if job.name == quiet.name] == [False]


class TestLost:
    """Answers that never come, or come under a number used before."""

    def put_call(self, dsn: str, job: str, columns: str, values: str) -> None:
        """Record a call as if it had been made."""
        with psycopg.connect(dsn, autocommit=True) as session:
            query = f"insert into groundwork.job_calls (job, {columns}) values (%s, {values})"
            session.execute(query.encode(), [job])

    def test_old_call_without_answer_is_a_failure(self, cron_dsn: str) -> None:
        """A call that waits much longer than its timeout counts as failed; a young one does not."""
        cron.put_job(cron_dsn, Job(name="x", schedule="0 0 1 1 *", url="http://127.0.0.1/"))
        old, young = name(), name()
        self.put_call(cron_dsn, old, "timeout_ms, request_id, called_at", "5000, -1, now() - interval '70 s'")
        self.put_call(cron_dsn, young, "timeout_ms, request_id", "5000, -2")

        found = {one.job: one for one in cron.outcomes(cron_dsn, limit=1000)}

        assert "no answer came" in str(found[old].error)
        assert found[young].is_pending

    def test_answer_of_an_earlier_request_does_not_count(self, cron_dsn: str) -> None:
        """A number that was used before a crash does not bring an old answer to a new call."""
        cron.put_job(cron_dsn, Job(name="x", schedule="0 0 1 1 *", url="http://127.0.0.1/"))
        job = name()
        with psycopg.connect(cron_dsn, autocommit=True) as session:
            values = "-3, 200, now() - interval '1 hour'"
            session.execute(f"insert into net._http_response (id, status_code, created) values ({values})")
        self.put_call(cron_dsn, job, "timeout_ms, request_id", "5000, -3")

        [found] = [one for one in cron.outcomes(cron_dsn, limit=1000) if one.job == job]

        assert found.is_pending

    def test_purge_deletes_old_records_only(self, cron_dsn: str) -> None:
        """Records of more than seven days go, ours and pg_cron's."""
        cron.put_job(cron_dsn, Job(name="x", schedule="0 0 1 1 *", url="http://127.0.0.1/"))
        old, young = name(), name()
        self.put_call(cron_dsn, old, "timeout_ms, called_at", "1, now() - interval '8 days'")
        self.put_call(cron_dsn, young, "timeout_ms, called_at", "1, now() - interval '6 days'")
        insert = """
            insert into cron.job_run_details (runid, start_time, username)
            values (-%s, now() - %s::interval, 'postgres')
        """

        with psycopg.connect(cron_dsn, autocommit=True) as session:
            session.execute("delete from cron.job_run_details where runid < 0")
            for number, age in ((1, "8 days"), (2, "6 days")):
                session.execute(insert, [number, age])
            session.execute("select groundwork.purge_calls()")
            runs = session.execute("select runid from cron.job_run_details where runid < 0").fetchall()
            session.execute("delete from cron.job_run_details where runid < 0")

        kept = {one.job for one in cron.outcomes(cron_dsn, limit=1000)}
        assert (old in kept, young in kept) == (False, True)
        assert runs == [(-2,)]
