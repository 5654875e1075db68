"""pg_cron's scheduler, as a client of the project's database: finds due jobs and runs them as their owners.

The rules are pg_cron's (README of citusdata/pg_cron): times are GMT; a job runs once at a time, and what
falls due meanwhile waits; a job "every N seconds" counts from its last start; `$` is the last day of a month.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, Unpack

import psycopg
from cronsim import CronSim, CronSimError
from psycopg.rows import class_row

if TYPE_CHECKING:
    from emulator import peer

# cron.max_running_jobs of the platform.
MAX_RUNNING = 32
# After a pause (a sleeping laptop) the minutes before that are not made up for.
MAX_MISSED_MINUTES = 5
CONNECT_TIMEOUT_S = 10
_SCHEDULER_LOCK = 7_301_002
_INTERVAL = re.compile(r"\s*(\d+)\s+seconds?\s*", re.IGNORECASE)
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_REBOOT = "@reboot"
_ACTIVE = b"select jobid, schedule, command, database, username from cron.job where active order by jobid"


@dataclass(frozen=True)
class Job:
    """A row of cron.job that is active."""

    jobid: int
    schedule: str
    command: str
    database: str
    username: str


@dataclass
class Progress:
    """What the scheduler remembers of a job.

    Attributes:
        last_start: whole seconds since 1970; of a new job: when it was first seen.
        waiting: due runs that have not started.
    """

    last_start: int
    waiting: int = 0
    running: bool = False


class Detail(TypedDict, total=False):
    """Columns of cron.job_run_details that change while a job runs."""

    job_pid: int
    status: str
    return_message: str


def interval_of(schedule: str) -> int | None:
    """Give the seconds of a schedule like "5 seconds", else None."""
    found = _INTERVAL.fullmatch(schedule)
    return int(found[1]) if found else None


@functools.lru_cache(maxsize=4096)
def is_due(schedule: str, minute: dt.datetime) -> bool:
    """Tell whether a five-field schedule or macro is due in a minute.

    Args:
        schedule: as in cron.job.
        minute: a whole minute, in UTC.
    """
    fields = _MACROS.get(schedule.strip().lower(), schedule).split()
    if len(fields) != 5:
        return False
    # "L" is cronsim's word for the last day of the month.
    fields[2] = fields[2].replace("$", "L")
    try:
        found = next(CronSim(" ".join(fields), minute - dt.timedelta(minutes=1)), None)
    except CronSimError:
        # A day that no month has, such as 30 February: pg_cron takes the schedule, and it never comes.
        return False
    return found == minute


class Scheduler:
    """Runs the jobs of one database server while the session lives."""

    def __init__(self, session: psycopg.AsyncConnection, socket: peer.Socket) -> None:
        """Begin with no memory of any job.

        Args:
            session: an autocommit session of the superuser on the database that holds cron.job.
            socket: where jobs log in as their owners.
        """
        self.session = session
        self.socket = socket
        self._progress: dict[int, Progress] = {}
        self._last_minute: dt.datetime | None = None
        self._leads = False

    async def run(self) -> None:
        """Look for due jobs once a second, for ever.

        Raises:
            ExceptionGroup: the session broke (psycopg.Error); the runs under way are cancelled.
        """
        async with asyncio.TaskGroup() as runs:
            while True:
                if await self._is_installed() and await self._is_leader():
                    await self._tick(runs, dt.datetime.now(dt.UTC))
                await asyncio.sleep(1 - time.time() % 1)

    async def _is_installed(self) -> bool:
        return await self._ask("select to_regclass('cron.job') is not null")

    async def _is_leader(self) -> bool:
        """Become the only scheduler of the server; the lock lives as long as the session."""
        if not self._leads:
            self._leads = await self._ask(f"select pg_try_advisory_lock({_SCHEDULER_LOCK})")
            if self._leads:
                await self._fail_interrupted()
        return self._leads

    async def _ask(self, query: str) -> bool:
        row = await (await self.session.execute(query.encode())).fetchone()
        return row is not None and row[0] is True

    async def _fail_interrupted(self) -> None:
        await self.session.execute(
            "update cron.job_run_details set status = 'failed', return_message = 'server restarted'"
            " where status in ('starting', 'running')"
        )

    async def _tick(self, runs: asyncio.TaskGroup, now: dt.datetime) -> None:
        first_look = self._last_minute is None
        minutes = self._new_minutes(now)
        second = int(now.timestamp())
        jobs = await self._jobs()
        self._progress = {job.jobid: self._progress.get(job.jobid, Progress(second)) for job in jobs}
        for job in jobs:
            progress = self._progress[job.jobid]
            progress.waiting += _new_runs(job.schedule, minutes, first_look=first_look)
            if self._may_start(job, progress, second):
                self._start(runs, job, second)

    def _new_minutes(self, now: dt.datetime) -> list[dt.datetime]:
        """Give the minutes that began since the last look; at the first look, none."""
        current = now.replace(second=0, microsecond=0)
        previous, self._last_minute = self._last_minute or current, current
        count = int((current - previous).total_seconds()) // 60
        kept = range(min(max(count, 0), MAX_MISSED_MINUTES))
        return [current - dt.timedelta(minutes=back) for back in kept]

    async def _jobs(self) -> list[Job]:
        async with self.session.cursor(row_factory=class_row(Job)) as cursor:
            await cursor.execute(_ACTIVE)
            return await cursor.fetchall()

    def _may_start(self, job: Job, progress: Progress, second: int) -> bool:
        if progress.running or sum(other.running for other in self._progress.values()) >= MAX_RUNNING:
            return False
        interval = interval_of(job.schedule)
        if interval is not None:
            return second - progress.last_start >= interval
        return progress.waiting > 0

    def _start(self, runs: asyncio.TaskGroup, job: Job, second: int) -> None:
        progress = self._progress[job.jobid]
        progress.running = True
        progress.last_start = second
        progress.waiting = max(progress.waiting - 1, 0)
        task = runs.create_task(self._run(job))
        task.add_done_callback(lambda _: setattr(progress, "running", False))

    async def _run(self, job: Job) -> None:
        run = await self._begin(job)
        dsn = self.socket.dsn(job.username, job.database)
        try:
            login = await psycopg.AsyncConnection.connect(
                dsn, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, application_name="pg_cron"
            )
        except psycopg.Error:
            await self._end(run, status="failed", return_message="connection failed")
            return
        async with login:
            await self._note(
                run, "start_time = clock_timestamp()", status="running", job_pid=login.info.backend_pid
            )
            status, message = await _execute(login, job.command)
            await self._end(run, status=status, return_message=message)

    async def _begin(self, job: Job) -> int:
        row = await (
            await self.session.execute(
                "insert into cron.job_run_details (jobid, database, username, command, status)"
                " values (%s, %s, %s, %s, 'starting') returning runid",
                [job.jobid, job.database, job.username, job.command],
            )
        ).fetchone()
        return int(row[0]) if row else 0

    async def _end(self, run: int, **columns: Unpack[Detail]) -> None:
        await self._note(run, "end_time = clock_timestamp()", **columns)

    async def _note(self, run: int, extra: str, **columns: Unpack[Detail]) -> None:
        changes = ", ".join([*(f"{name} = %({name})s" for name in columns), extra])
        query = f"update cron.job_run_details set {changes} where runid = %(run)s"
        await self.session.execute(query.encode(), {**columns, "run": run})


def _new_runs(schedule: str, minutes: list[dt.datetime], *, first_look: bool) -> int:
    if schedule.strip().lower() == _REBOOT:
        return int(first_look)
    if interval_of(schedule) is not None:
        return 0
    return sum(is_due(schedule, minute) for minute in minutes)


async def _execute(login: psycopg.AsyncConnection, command: str) -> tuple[str, str]:
    """Run a job's text, which may hold several statements; give its status and pg_cron's message about it."""
    try:
        cursor = await login.execute(command.encode())
        while cursor.nextset():
            pass
    except psycopg.Error as error:
        return "failed", _message(error)
    if cursor.description is not None:
        return "succeeded", f"{cursor.rowcount} row{'' if cursor.rowcount == 1 else 's'}"
    return "succeeded", cursor.statusmessage or ""


def _message(error: psycopg.Error) -> str:
    """Give the server's own text, as libpq shows it."""
    answer = error.pgresult
    return answer.error_message.decode(errors="replace") if answer else f"ERROR:  {error}\n"
