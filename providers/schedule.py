"""Cron jobs of the database, each a resource."""

from __future__ import annotations

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

import engines
from providers._crud import EngineProvider, Props, plain


class CronJobProvider(EngineProvider):
    """Creates, changes and removes one job; jobs of other origin are never touched."""

    def create(self, props: Props) -> CreateResult:
        """Schedule the job."""
        engines.cron.put_job(props["dsn"], _job(props))
        return CreateResult(props["job"], plain(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Change the job in place."""
        engines.cron.put_job(news["dsn"], _job(news))
        return UpdateResult(plain(news))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Look at the live job; one that was removed by hand leaves the state and is made again."""
        live = {job.name: job for job in engines.cron.read_jobs(props["dsn"])}
        if props["job"] not in live:
            return ReadResult(None, {})
        job = live[props["job"]]
        return ReadResult(id_, {**plain(props), "schedule": job.schedule, "active": job.active})

    def delete(self, _id: str, props: Props) -> None:
        """Unschedule the job."""
        engines.cron.drop_job(props["dsn"], props["job"])


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


class CronRosterProvider(EngineProvider):
    """Removes jobs of ours that the stack does not declare: left by an older state, or by a restore."""

    def create(self, props: Props) -> CreateResult:
        """Remove what is not on the list."""
        engines.cron.prune(props["dsn"], props["jobs"])
        return CreateResult("cron", plain(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Remove what is not on the list."""
        engines.cron.prune(news["dsn"], news["jobs"])
        return UpdateResult(plain(news))


class CronRoster(Resource, module="groundwork", name="CronRoster"):
    """The list of all jobs of a stack."""

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the list: `dsn` and `jobs`, their names."""
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
