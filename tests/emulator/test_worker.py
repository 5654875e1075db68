"""The worker runs pg_cron's jobs and sends pg_net's requests for real."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from emulator import cron, database, peer, postgres
from emulator.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    WaitFor = Callable[[Callable[[], object]], None]


@dataclass
class Received:
    """A request as the target saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Target:
    """A web server that remembers what it got; /slow answers when `release` is set."""

    url: str
    release: threading.Event = field(default_factory=threading.Event)
    received: list[Received] = field(default_factory=list)

    def paths(self) -> list[str]:
        """Give the paths asked for, sorted."""
        return sorted(found.path for found in self.received)


class _Server(ThreadingHTTPServer):
    # The default of 5 drops connections when a batch of requests arrives at once.
    request_queue_size = 256
    target: Target


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _answer(self) -> None:
        target = self.server.target
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target.received.append(Received(self.command, self.path, dict(self.headers), body))
        if self.path.startswith("/slow"):
            target.release.wait(30)
        self.send_response(302 if self.path == "/away" else 418)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        if self.path == "/away":
            self.send_header("Location", "/there")
        self.end_headers()
        self.wfile.write(b"answer\x00 \xff" if self.path == "/binary" else b"answer")

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the names that http.server looks up

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def target() -> Iterator[Target]:
    """Run a web server on the loopback interface."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.target = Target(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.target
        server.target.release.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def extended(owner: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Give a session of the owner on a server with pg_cron and pg_net; both are dropped afterwards."""
    owner.execute("create extension pg_cron; create extension pg_net")
    yield owner
    owner.execute("drop extension pg_cron; drop extension pg_net; drop schema if exists t cascade")


@pytest.fixture
def worker(project_server: Any, extended: psycopg.Connection) -> Iterator[Worker]:
    """Run a worker and wait until it is there."""
    found = Worker(project_server.admin_dsn)
    found.start()
    extended.execute("select net.wait_until_running()")
    yield found
    found.stop()


def _answer_of(session: psycopg.Connection, request: int, wait_for: WaitFor) -> tuple[Any, ...]:
    query = "select status_code, content, timed_out, error_msg from net._http_response where id = %s"
    wait_for(lambda: session.execute(query, [request]).fetchone())
    row = session.execute(query, [request]).fetchone()
    assert row is not None
    return row


def _send(session: psycopg.Connection, call: str, *values: object) -> int:
    row = session.execute(f"select net.{call}".encode(), values).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.usefixtures("worker")
class TestNet:
    """Requests."""

    def test_post_arrives(self, extended: psycopg.Connection, target: Target, wait_for: WaitFor) -> None:
        """Method, path, parameters, headers and body reach the target, its answer is stored with headers."""
        request = _send(
            extended,
            'http_post(%s, \'{"a": [1]}\', \'{"q": "x y"}\', \'{"Authorization": "Bearer ü"}\')',
            f"{target.url}/jobs",
        )
        assert _answer_of(extended, request, wait_for) == (418, "answer", False, None)
        got = target.received[0]
        assert (got.method, got.path, json.loads(got.body)) == ("POST", "/jobs?q=x%20y", {"a": [1]})
        assert got.headers["Authorization"].encode("latin-1").decode() == "Bearer ü"
        assert got.headers["Content-Type"] == "application/json"
        assert got.headers["user-agent"].startswith("pg_net/")
        row = extended.execute(
            "select content_type, headers ->> 'Content-Type' from net._http_response"
        ).fetchone()
        assert row == ("text/plain; charset=utf-8",) * 2

    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    def test_methods(
        self, extended: psycopg.Connection, target: Target, wait_for: WaitFor, method: str
    ) -> None:
        """GET and DELETE are sent without a body."""
        _answer_of(extended, _send(extended, f"http_{method.lower()}(%s)", target.url), wait_for)
        assert [(got.method, got.body) for got in target.received] == [(method, b"")]

    def test_after_commit_only(self, extended: psycopg.Connection, target: Target, wait_for: WaitFor) -> None:
        """A request of a transaction that was rolled back is never sent; one that is open is not sent yet."""
        with extended.transaction(force_rollback=True):
            _send(extended, "http_get(%s)", f"{target.url}/rolled-back")
        with extended.transaction():
            first = _send(extended, "http_get(%s)", f"{target.url}/first")
            assert target.received == []
        _answer_of(extended, first, wait_for)
        assert target.paths() == ["/first"]

    def test_timeout(self, extended: psycopg.Connection, target: Target, wait_for: WaitFor) -> None:
        """A request that takes too long is cut off and recorded as timed out."""
        request = _send(extended, "http_get(%s, timeout_milliseconds => 50)", f"{target.url}/slow")
        status, content, timed_out, message = _answer_of(extended, request, wait_for)
        assert (status, content, timed_out) == (None, None, True)
        assert message.startswith("Timeout of 50 ms reached. Total time: ")

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("http://127.0.0.1:{free}/", "Could not connect to server"),
            ("http://name.invalid/", "Could not resolve hostname"),
            ("ftp://127.0.0.1/", "Unsupported protocol"),
            ("file://localhost/etc/passwd", "Unsupported protocol"),
            ("http://127.0.0.1:999999/", "URL using bad/illegal format or missing URL"),
        ],
    )
    def test_failures(self, extended: psycopg.Connection, wait_for: WaitFor, url: str, message: str) -> None:
        """What cannot be sent is recorded with the reason, in curl's words."""
        request = _send(extended, "http_get(%s)", url.format(free=postgres.free_port()))
        assert _answer_of(extended, request, wait_for) == (None, None, False, message)

    def test_header_injection(self, extended: psycopg.Connection, target: Target, wait_for: WaitFor) -> None:
        """A line break in a header is refused, and the worker goes on."""
        bad = _send(extended, "http_get(%s, headers => %s)", target.url, json.dumps({"X": "a\r\nHost: b"}))
        assert "header" in _answer_of(extended, bad, wait_for)[3]
        good = _send(extended, "http_get(%s)", target.url)
        assert _answer_of(extended, good, wait_for)[0] == 418
        assert len(target.received) == 1

    def test_text_is_made_storable(
        self, extended: psycopg.Connection, target: Target, wait_for: WaitFor
    ) -> None:
        """Zero bytes and broken UTF-8 of an answer do not stop it from being stored."""
        request = _send(extended, "http_get(%s)", f"{target.url}/binary")
        assert _answer_of(extended, request, wait_for)[1] == "answer \ufffd"

    def test_redirect(self, extended: psycopg.Connection, target: Target, wait_for: WaitFor) -> None:
        """A redirect is followed."""
        request = _send(extended, "http_get(%s)", f"{target.url}/away")
        assert _answer_of(extended, request, wait_for)[0] == 418
        assert target.paths() == ["/away", "/there"]

    def test_old_answers_go(self, extended: psycopg.Connection, wait_for: WaitFor) -> None:
        """An answer older than six hours is deleted, a younger one is kept."""
        extended.execute(
            "insert into net._http_response (id, created) values"
            " (-1, now() - interval '6 hours 1 minute'), (-2, now() - interval '5 hours 59 minutes')"
        )
        query = "select array_agg(id) from net._http_response"
        wait_for(lambda: extended.execute(query).fetchone() == ([-2],))

    def test_runs_as_owner(self, extended: psycopg.Connection, target: Target, wait_for: WaitFor) -> None:
        """A trigger on the answers runs as `postgres`, not as a superuser."""
        extended.execute("create schema t; create table t.seen (role text)")
        extended.execute(
            "create function t.look() returns trigger language plpgsql as"
            " $$ begin insert into t.seen values (current_user || session_user); return null; end $$;"
            "create trigger look after insert on net._http_response for each row execute function t.look()"
        )
        _answer_of(extended, _send(extended, "http_get(%s)", target.url), wait_for)
        assert extended.execute("table t.seen").fetchone() == ("postgrespostgres",)

    def test_broken_trigger(self, extended: psycopg.Connection, target: Target, wait_for: WaitFor) -> None:
        """A trigger that fails costs the answer it is about, not the others."""
        extended.execute("create schema t")
        extended.execute(
            "create function t.fail() returns trigger language plpgsql as"
            " $$ begin if new.status_code is null then raise 'no'; end if; return new; end $$;"
            "create trigger fail before insert on net._http_response for each row execute function t.fail()"
        )
        with extended.transaction():
            _send(extended, "http_get('ftp://x.test/')")
            good = _send(extended, "http_get(%s)", target.url)
        assert _answer_of(extended, good, wait_for)[0] == 418

    def test_secrets_are_not_logged(
        self,
        extended: psycopg.Connection,
        target: Target,
        wait_for: WaitFor,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Neither the query string nor a header of a request shows in the log."""
        with caplog.at_level(logging.INFO):
            call = 'http_get(%s, headers => \'{"Authorization": "canary-head"}\')'
            _answer_of(extended, _send(extended, call, f"{target.url}/?k=canary-query"), wait_for)
        assert "canary" not in caplog.text

    def test_up(self, extended: psycopg.Connection) -> None:
        """While the worker runs, check_worker_is_up() has nothing to say."""
        extended.execute("select net.check_worker_is_up()")

    def test_restart(
        self, extended: psycopg.Connection, admin: psycopg.Connection, wait_for: WaitFor
    ) -> None:
        """worker_restart() makes a new session."""
        query = "select pid from pg_stat_activity where application_name = 'pg_net worker'"
        before = admin.execute(query).fetchone()
        extended.execute("select net.worker_restart()")
        wait_for(lambda: admin.execute(query).fetchone() not in {None, before})


class TestMinutes:
    """Schedules of minutes, with the clock in the test's hand."""

    @pytest.mark.parametrize(
        ("schedule", "runs"),
        [
            # The minute of 10:02 was slept through: it is made up for, one run at a time.
            ("* * * * *", [0, 1, 1, 2, 3, 3]),
            ("3 10 * * *", [0, 0, 0, 1, 1, 1]),
            ("0 12 * * *", [0, 0, 0, 0, 0, 0]),
            ("@reboot", [1, 1, 1, 1, 1, 1]),
        ],
    )
    def test_runs(
        self, project_server: Any, extended: psycopg.Connection, schedule: str, runs: list[int]
    ) -> None:
        """A job runs once for each minute that its schedule names."""
        extended.execute("select cron.schedule(%s, 'select 1')", [schedule])
        clock = ["10:00:30", "10:01:00", "10:01:01", "10:03:00", "10:03:01", "10:03:59"]
        assert asyncio.run(_play(project_server.admin_dsn, clock)) == runs

    def test_long_sleep(self, project_server: Any, extended: psycopg.Connection) -> None:
        """After a long pause no more than the last minutes are made up for."""
        extended.execute("select cron.schedule('* * * * *', 'select 1')")
        clock = ["10:00:00", "13:00:00", *(f"13:00:{second:02}" for second in range(1, 20))]
        assert asyncio.run(_play(project_server.admin_dsn, clock))[-1] == cron.MAX_MISSED_MINUTES


async def _play(admin_dsn: str, clock: list[str]) -> list[int]:
    """Let a scheduler look at the given times of a day; give the number of runs so far after each look."""
    async with await psycopg.AsyncConnection.connect(admin_dsn, autocommit=True) as session:
        settings = "select current_setting('unix_socket_directories'), current_setting('port')"
        folder, port = await (await session.execute(settings)).fetchone() or ("", "")
        scheduler = cron.Scheduler(session, peer.Socket(folder, port))
        counts = []
        for time in clock:
            async with asyncio.TaskGroup() as runs:
                await scheduler._tick(runs, dt.datetime.fromisoformat(f"2026-11-21T{time}+00:00"))
            found = await (await session.execute("select count(*) from cron.job_run_details")).fetchone()
            counts.append(found[0] if found else 0)
        return counts


@pytest.mark.usefixtures("worker")
class TestCron:
    """Jobs."""

    def test_job_fires(self, extended: psycopg.Connection, wait_for: WaitFor) -> None:
        """A job of every second runs as its owner, and its run is recorded from start to end."""
        extended.execute("create schema t; create table t.runs (role text)")
        extended.execute("select cron.schedule('n', '1 seconds', 'insert into t.runs values (session_user)')")
        query = (
            "select status, return_message, job_pid > 0, database, username, start_time <= end_time"
            " from cron.job_run_details where status not in ('starting', 'running')"
        )
        wait_for(lambda: len(extended.execute(query).fetchall()) >= 2)
        assert extended.execute(query).fetchone() == (
            "succeeded",
            "INSERT 0 1",
            True,
            "postgres",
            "postgres",
            True,
        )
        assert extended.execute("select distinct role from t.runs").fetchall() == [("postgres",)]

    @pytest.mark.parametrize(
        ("command", "status", "message"),
        [
            ("select 1", "succeeded", "1 row"),
            ("select 1; select generate_series(1, 3)", "succeeded", "3 rows"),
            ("vacuum", "succeeded", "VACUUM"),
            ("select 1/0", "failed", "ERROR:  division by zero\n"),
            ("select '100%s'; nonsense", "failed", 'ERROR:  syntax error at or near "nonsense"'),
            ("reset session authorization; alter system set work_mem = '8MB'", "failed", "ERROR:  "),
        ],
    )
    def test_outcomes(
        self, extended: psycopg.Connection, wait_for: WaitFor, command: str, status: str, message: str
    ) -> None:
        """The outcome is recorded in pg_cron's words; a job never becomes a superuser."""
        extended.execute("select cron.schedule('1 seconds', %s)", [command])
        query = "select status, return_message from cron.job_run_details where end_time is not null"
        wait_for(lambda: extended.execute(query).fetchone())
        found = extended.execute(query).fetchone()
        assert found is not None
        assert found[0] == status
        assert str(found[1]).startswith(message)

    def test_role_that_cannot_log_in(
        self, extended: psycopg.Connection, admin: psycopg.Connection, wait_for: WaitFor
    ) -> None:
        """A job whose owner may not log in fails, and says so."""
        admin.execute(
            "insert into cron.job (schedule, command, username) values ('1 seconds', 'select 1', 'anon')"
        )
        query = "select status, return_message from cron.job_run_details where end_time is not null"
        wait_for(lambda: extended.execute(query).fetchone())
        assert extended.execute(query).fetchone() == ("failed", "connection failed")

    def test_job_schedules_job(self, extended: psycopg.Connection, wait_for: WaitFor) -> None:
        """A job can schedule another one: functions work in the worker's own kind of session too."""
        extended.execute(
            "select cron.schedule('a', '1 seconds', $$select cron.schedule('b', '9 seconds', 'x')$$)"
        )
        wait_for(lambda: extended.execute("select 1 from cron.job where jobname = 'b'").fetchone())

    def test_one_run_at_a_time(self, extended: psycopg.Connection, wait_for: WaitFor) -> None:
        """A job that still runs is not started again, while another job goes on."""
        extended.execute("select cron.schedule('slow', '1 seconds', 'select pg_sleep(60)')")
        extended.execute("select cron.schedule('quick', '1 seconds', 'select 1')")
        quick = (
            "select count(*) >= 3 from cron.job_run_details"
            " where command = 'select 1' and status = 'succeeded'"
        )
        wait_for(lambda: extended.execute(quick).fetchone() == (True,))
        query = "select array_agg(status) from cron.job_run_details where command <> 'select 1'"
        assert extended.execute(query).fetchone() == (["running"],)

    def test_inactive_job_rests(self, extended: psycopg.Connection, wait_for: WaitFor) -> None:
        """A job that was switched off, or removed, does not run."""
        extended.execute(
            "select cron.alter_job(cron.schedule('off', '1 seconds', 'select 1'), active => false)"
        )
        extended.execute("select cron.schedule('gone', '1 seconds', 'select 1'), cron.unschedule('gone')")
        extended.execute("select cron.schedule('on', '1 seconds', 'select 2')")
        query = (
            "select array_agg(distinct command) from cron.job_run_details"
            " where status = 'succeeded' having count(*) >= 2"
        )
        wait_for(lambda: extended.execute(query).fetchone())
        assert extended.execute(query).fetchone() == (["select 2"],)

    def test_job_calls_http(self, extended: psycopg.Connection, target: Target, wait_for: WaitFor) -> None:
        """A job that posts with a secret of Vault reaches its target; the outcome can be read back."""
        extended.execute("select vault.create_secret('s3cret', 'agent')")
        command = (
            "select net.http_post('{url}/jobs', headers => jsonb_build_object('Authorization',"
            " (select 'Bearer ' || decrypted_secret from vault.decrypted_secrets where name = 'agent')))"
        )
        try:
            extended.execute(
                "select cron.schedule('call', '1 seconds', %s)", [command.format(url=target.url)]
            )
            wait_for(
                lambda: extended.execute(
                    "select 1 from net._http_response where status_code = 418"
                ).fetchone()
            )
            assert target.received[0].headers["Authorization"] == "Bearer s3cret"
        finally:
            extended.execute("delete from vault.secrets")


class TestWorker:
    """Two at once, restarts, and ends."""

    def test_two_workers(
        self, project_server: Any, extended: psycopg.Connection, target: Target, wait_for: WaitFor
    ) -> None:
        """Two workers of one server send each request once and run each job in one place."""
        workers = [Worker(project_server.admin_dsn) for _ in range(2)]
        for worker in workers:
            worker.start()
        try:
            extended.execute("select cron.schedule('n', '1 seconds', 'select pg_sleep(0.5)')")
            extended.execute(
                "select net.http_get(%s || '/' || i) from generate_series(1, 300) as i", [target.url]
            )
            wait_for(lambda: extended.execute("select count(*) from net._http_response").fetchone() == (300,))
            ended = "select count(*) >= 3 from cron.job_run_details where status = 'succeeded'"
            wait_for(lambda: extended.execute(ended).fetchone() == (True,))
        finally:
            for worker in workers:
                worker.stop()
        overlaps = (
            "select count(*) from cron.job_run_details as a"
            " join cron.job_run_details as b on a.runid < b.runid"
            " where tstzrange(a.start_time, a.end_time) && tstzrange(b.start_time, b.end_time)"
        )
        assert target.paths() == sorted(f"/{number}" for number in range(1, 301))
        assert extended.execute(overlaps).fetchone() == (0,)

    def test_other_takes_over(
        self, project_server: Any, extended: psycopg.Connection, wait_for: WaitFor
    ) -> None:
        """When the worker that schedules ends, the other goes on; a run that was cut off is marked failed."""
        first, second = Worker(project_server.admin_dsn), Worker(project_server.admin_dsn)
        first.start()
        try:
            extended.execute("select cron.schedule('n', '1 seconds', 'select pg_sleep(60)')")
            query = (
                "select array_agg(status || coalesce(': ' || return_message, '') order by runid)"
                " from cron.job_run_details"
            )
            wait_for(lambda: extended.execute(query).fetchone() == (["running"],))
            second.start()
            first.stop()
            wait_for(lambda: extended.execute(query).fetchone() == (["failed: server restarted", "running"],))
        finally:
            first.stop()
            second.stop()

    def test_server_restart(self, fresh_server: Any, target: Target, wait_for: WaitFor) -> None:
        """After a restart of the server the same worker runs jobs and sends requests again."""
        database.prepare(fresh_server.admin_dsn, owner_password="p")
        worker = Worker(fresh_server.admin_dsn)
        worker.start()
        try:
            with psycopg.connect(fresh_server.dsn("postgres", "p"), autocommit=True) as session:
                session.execute("create extension pg_cron; create extension pg_net")
                session.execute("select cron.schedule('n', '1 seconds', 'select 1')")
            fresh_server.server.stop()
            fresh_server.server.start()
            with psycopg.connect(fresh_server.dsn("postgres", "p"), autocommit=True) as session:
                session.execute("truncate cron.job_run_details; select net.wait_until_running()")
                assert _answer_of(session, _send(session, "http_get(%s)", target.url), wait_for)[0] == 418
                runs = "select 1 from cron.job_run_details where status = 'succeeded'"
                wait_for(lambda: session.execute(runs).fetchone())
        finally:
            worker.stop()

    def test_server_comes_later(self, fresh_server: Any, wait_for: WaitFor) -> None:
        """A worker that is started before its server finds it later; the extensions may come later still."""
        database.prepare(fresh_server.admin_dsn, owner_password="p")
        fresh_server.server.stop()
        worker = Worker(fresh_server.admin_dsn)
        worker.start()
        try:
            fresh_server.server.start()
            with psycopg.connect(fresh_server.dsn("postgres", "p"), autocommit=True) as session:
                session.execute(
                    "create extension pg_cron; select cron.schedule('n', '1 seconds', 'select 1')"
                )
                wait_for(lambda: session.execute("select 1 from cron.job_run_details").fetchone())
        finally:
            worker.stop()

    @pytest.mark.usefixtures("extended")
    def test_stop_is_quick(
        self, project_server: Any, admin: psycopg.Connection, target: Target, wait_for: WaitFor
    ) -> None:
        """The end waits for neither jobs nor requests under way and leaves no session; it can be repeated."""
        worker = Worker(project_server.admin_dsn)
        worker.start()
        admin.execute(
            "select net.wait_until_running(), cron.schedule('n', '1 seconds', 'select pg_sleep(60)')"
        )
        admin.execute("select net.http_get(%s || '/slow', timeout_milliseconds => 60000)", [target.url])
        wait_for(lambda: target.received)
        wait_for(
            lambda: admin.execute("select 1 from cron.job_run_details where status = 'running'").fetchone()
        )
        worker.stop()
        worker.stop()
        sessions = "select count(*) from pg_stat_activity where application_name like 'pg\\_%%'"
        wait_for(lambda: admin.execute(sessions).fetchone() == (0,))

    def test_nobody_home(self, extended: psycopg.Connection) -> None:
        """Without a worker, check_worker_is_up() says that requests are not sent."""
        with pytest.raises(psycopg.Error, match="the pg_net background worker is not up"):
            extended.execute("select net.check_worker_is_up()")
