"""Scheduled HTTP calls, made by the database itself: pg_cron says when, pg_net sends, Vault has the secret.

Jobs of ours are named `groundwork:NAME` in `cron.job`; no other job is ever read or touched. What became of
each call is kept in `groundwork.job_calls` (cron.sql).
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from engines import postgres
from engines.errors import GroundworkError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    Session = psycopg.Connection[tuple[object, ...]]

PREFIX = "groundwork:"
_SETUP = Path(__file__).with_suffix(".sql")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_COMMAND = re.compile(r"select groundwork\.call\('(?P<call>.*)'::jsonb\)", re.DOTALL)
# A name that no job of a stack can have.
_PURGE = f"{PREFIX}.purge"
_PURGE_SCHEDULE = "17 3 * * *"
# Any number: it only has to differ from other advisory locks of ours.
_LOCK = 7_402_003
_OURS = "starts_with(jobname, %s) and username = current_user and database = current_database()"
_OUTCOMES = """
    select job, called_at, status_code, extract(epoch from completed_at - called_at)::float8 as duration_s,
        case
            when error is not null then error
            when status_code not between 200 and 299 then 'HTTP ' || status_code
            when completed_at is null and called_at + make_interval(secs => timeout_ms / 1000 + 60) < now()
                then 'no answer came: the request was lost, or pg_net does not run'
        end as error
    from groundwork.job_calls order by called_at desc, id desc limit %s
"""


class CronError(GroundworkError):
    """A job cannot be scheduled, removed or read; the text says which, and why."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A scheduled call.

    Attributes:
        name: lower-case letters, digits, `-`, `_`.
        schedule: five cron fields in GMT, or `N seconds` (1-59).
        url: what is called, by POST.
        secret_name: Vault entry that is sent as `Authorization: Bearer`; None: no such header.
        body: sent as JSON.
        timeout_s: seconds for the whole exchange.
        active: whether the schedule is followed.
    """

    name: str
    schedule: str
    url: str
    secret_name: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = 5.0
    active: bool = True


@dataclass(frozen=True)
class Outcome:
    """What became of one call.

    Attributes:
        job: name of the job.
        called_at: when the request was queued.
        status_code: HTTP status of the answer; None: there was none, or none yet.
        error: why the call failed; None: it did not, or its answer is still awaited.
        duration_s: seconds from queue to answer.
    """

    job: str
    called_at: datetime
    status_code: int | None
    error: str | None
    duration_s: float | None

    @property
    def is_pending(self) -> bool:
        """Whether the answer is still awaited."""
        return self.status_code is None and self.error is None

    @property
    def is_ok(self) -> bool:
        """Whether the answer was a success (2xx)."""
        return self.status_code is not None and self.error is None


def put_job(dsn: str, job: Job) -> None:
    """Have a job as described, made or changed in place; extensions and bookkeeping are made as needed.

    Raises:
        CronError: a field is not valid, or the database lacks pg_cron or pg_net, or refuses.
    """
    _check(job)
    with _session(dsn, f"cron job {job.name}") as session:
        _prepare(session)
        _schedule(session, f"{PREFIX}{job.name}", job.schedule, _command(job))
        query = f"select cron.alter_job(jobid, active := %s) from cron.job where jobname = %s and {_OURS}"  # noqa: S608 - a constant
        session.execute(query, [job.active, f"{PREFIX}{job.name}", PREFIX])
        _schedule(session, _PURGE, _PURGE_SCHEDULE, "select groundwork.purge_calls()")


def drop_job(dsn: str, name: str) -> None:
    """Remove a job; one that is not there is no error. With the last one the purge of old records goes, too.

    Raises:
        CronError: the database refuses.
    """
    with _session(dsn, f"cron job {name}") as session:
        if _has_cron(session):
            _unschedule(session, {name})


def read_jobs(dsn: str) -> tuple[Job, ...]:
    """Read our jobs of this database, by name; none where pg_cron is not installed.

    A job whose command was changed by hand has an empty `url`.

    Raises:
        CronError: the database refuses.
    """
    with _session(dsn, "cron jobs") as session:
        return _jobs(session) if _has_cron(session) else ()


def prune(dsn: str, keep: Collection[str]) -> tuple[str, ...]:
    """Remove those of our jobs that are not in `keep`, and give their names.

    Raises:
        CronError: the database refuses.
    """
    with _session(dsn, "cron jobs") as session:
        if not _has_cron(session):
            return ()
        doomed = {job.name for job in _jobs(session)} - set(keep)
        _unschedule(session, doomed)
    return tuple(sorted(doomed))


def outcomes(dsn: str, limit: int = 50) -> list[Outcome]:
    """Read what became of the last calls, the newest first.

    Raises:
        CronError: the database refuses.
    """
    with _session(dsn, "cron outcomes") as session:
        row = session.execute("select to_regclass('groundwork.job_calls')").fetchone()
        if row is None or row[0] is None:
            return []
        session.execute("select groundwork.collect_outcomes()")
        with session.cursor(row_factory=class_row(Outcome)) as cursor:
            return cursor.execute(_OUTCOMES, [limit]).fetchall()


def _check(job: Job) -> None:
    if not _NAME.fullmatch(job.name):
        raise CronError(f"{job.name!r} is no name for a cron job; use lower-case letters, digits, - and _")
    if not re.fullmatch(r"https?://[^\s/]+\S*", job.url):
        raise CronError(f"cron job {job.name}: {job.url!r} is no URL; expected http://… or https://…")
    if not 0 < job.timeout_s <= 3600:
        raise CronError(f"cron job {job.name}: a timeout of {job.timeout_s:g} s is not within 0 and 3600")


@contextmanager
def _session(dsn: str, what: str) -> Iterator[Session]:
    """Open a transaction that changes jobs alone, and say what the database refuses."""
    with postgres.connect(dsn) as session:
        try:
            with session.transaction():
                session.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
                yield session
        except psycopg.Error as error:
            reason = error.diag.message_primary or type(error).__name__
            hint = f"; {error.diag.message_hint}" if error.diag.message_hint else ""
            raise CronError(f"{what} in {postgres.describe(dsn)}: {reason}{hint}") from None


def _prepare(session: Session) -> None:
    """Make extensions, tables and functions, unless this version of them is there."""
    text = _SETUP.read_text(encoding="utf-8")
    mark = f"groundwork: {hashlib.sha256(text.encode()).hexdigest()[:16]}"
    query = "select obj_description(to_regprocedure('groundwork.call(jsonb)'), 'pg_proc')"
    row = session.execute(query).fetchone()
    if row is not None and row[0] == mark and _has_cron(session):
        return
    session.execute("create extension if not exists pg_cron with schema pg_catalog")
    session.execute("create extension if not exists pg_net with schema extensions")
    session.execute("create schema if not exists groundwork")
    session.execute(text.encode())
    comment = sql.SQL("comment on function groundwork.call(jsonb) is {}")
    session.execute(comment.format(sql.Literal(mark)))


def _has_cron(session: Session) -> bool:
    row = session.execute("select to_regclass('cron.job')").fetchone()
    return row is not None and row[0] is not None


def _command(job: Job) -> str:
    call = {
        "job": job.name,
        "url": job.url,
        "secret_name": job.secret_name,
        "body": dict(job.body),
        "timeout_ms": round(job.timeout_s * 1000),
    }
    # Standard strings: only the quote is special, and it is doubled.
    text = json.dumps(call, sort_keys=True).replace("'", "''")
    return f"select groundwork.call('{text}'::jsonb)"


def _schedule(session: Session, name: str, schedule: str, command: str) -> None:
    session.execute("select cron.schedule(%s, %s, %s)", [name, schedule, command])


def _jobs(session: Session) -> tuple[Job, ...]:
    query = f"select jobname, schedule, command, active from cron.job where {_OURS} order by jobname"  # noqa: S608 - a constant
    rows = session.execute(query, [PREFIX]).fetchall()
    return tuple(_job(*map(str, row[:3]), active=bool(row[3])) for row in rows if row[0] != _PURGE)


def _job(jobname: str, schedule: str, command: str, *, active: bool) -> Job:
    found = _COMMAND.fullmatch(command)
    call = json.loads(found["call"].replace("''", "'")) if found else {}
    return Job(
        name=jobname.removeprefix(PREFIX),
        schedule=schedule,
        url=call.get("url", ""),
        secret_name=call.get("secret_name"),
        body=call.get("body", {}),
        timeout_s=call.get("timeout_ms", 0) / 1000,
        active=active,
    )


def _unschedule(session: Session, names: set[str]) -> None:
    query = f"select cron.unschedule(jobid) from cron.job where jobname = any(%s) and {_OURS}"  # noqa: S608 - a constant
    session.execute(query, [[f"{PREFIX}{name}" for name in names], PREFIX])
    if not _jobs(session):
        session.execute(query, [[_PURGE], PREFIX])
