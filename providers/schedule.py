"""Cron jobs of the database, each a resource."""

from __future__ import annotations

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

import engines
from providers import _access
from providers._access import DatabaseProvider
from providers._crud import Props, plain


class CronJobProvider(DatabaseProvider):
    """Creates, changes and removes one job; jobs of other origin are never touched."""

    def create(self, props: Props) -> CreateResult:
        """Schedule the job."""
        _access.run(props, lambda dsn: engines.cron.put_job(dsn, _job(props)))
        return CreateResult(props["job"], plain(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Change the job in place."""
        _access.run(news, lambda dsn: engines.cron.put_job(dsn, _job(news)))
        return UpdateResult(plain(news))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Look at the live job; one that was removed by hand leaves the state and is made again.

        Of a project that sleeps, what is stored stays.
        """
        try:
            # pg_cron shows a role its own jobs only, so that a login which may only read sees none.
            jobs = _access.look(props, engines.cron.read_jobs)
        except engines.supabase.NotFoundError:
            return ReadResult(None, {})
        if jobs is None:
            return ReadResult(id_, plain(props))
        live = {job.name: job for job in jobs}
        if props["job"] not in live:
            return ReadResult(None, {})
        job = live[props["job"]]
        return ReadResult(id_, {**plain(props), "schedule": job.schedule, "active": job.active})

    def delete(self, _id: str, props: Props) -> None:
        """Unschedule the job."""
        _access.remove(props, lambda dsn: engines.cron.drop_job(dsn, props["job"]))


def _job(props: Props) -> engines.cron.Job:
    return engines.cron.Job(
        name=props["job"],
        schedule=props["schedule"],
        url=props["url"],
        secret_name=props["secret_name"],
        body=dict(props["body"]),
        timeout_s=float(props["timeout_s"]),
        active=bool(props["active"]),
    )


class CronRosterProvider(DatabaseProvider):
    """Removes jobs of ours that the stack does not declare: left by an older state, or by a restore."""

    def create(self, props: Props) -> CreateResult:
        """Remove what is not on the list."""
        _access.run(props, lambda dsn: engines.cron.prune(dsn, props["jobs"]))
        return CreateResult("cron", plain(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Remove what is not on the list."""
        _access.run(news, lambda dsn: engines.cron.prune(dsn, news["jobs"]))
        return UpdateResult(plain(news))


class CronRoster(Resource, module="groundwork", name="CronRoster"):
    """The list of all jobs of a stack."""

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the list: how to reach the database, and `jobs`, their names."""
        super().__init__(CronRosterProvider(), name, props, opts)


class CronJob(Resource, module="groundwork", name="CronJob"):
    """One scheduled call.

    Attributes:
        job: the job's name, without our prefix.
    """

    job: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare a job; see `components.schedule.CronArgs` for the properties."""
        super().__init__(CronJobProvider(), name, props, opts)
