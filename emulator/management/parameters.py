"""Parameters of a project's PostgreSQL: only those that were set are kept and answered.

Those that take effect without a restart are really set on the server; the rest is kept and answered only, for
what fits the platform's machines may not fit this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import psycopg
from fastapi import APIRouter
from psycopg import sql
from pydantic import Field

from emulator import instance
from emulator.errors import ApiError
from emulator.management.bodies import ActiveProject, AllProjects, Body, Project

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.projects import Projects

router = APIRouter(prefix="/v1/projects/{ref}/config/database/postgres")

Duration = Annotated[str, Field(pattern=r"^(-?[0-9]+(?:\.[0-9]+)?)(us|ms|s|min|h|d)?$")]
Workers = Annotated[int, Field(ge=0, le=1024)]


class ChangeParameters(Body):
    """Body of PUT, where what is left out is taken back, and of PATCH, where it stays."""

    effective_cache_size: str = ""
    logical_decoding_work_mem: str = ""
    maintenance_work_mem: str = ""
    track_activity_query_size: str = ""
    max_connections: int = Field(1, ge=1, le=262_143)
    max_locks_per_transaction: int = Field(10, ge=10, le=2_147_483_640)
    max_logical_replication_workers: int = 0
    max_parallel_maintenance_workers: Workers = 0
    max_parallel_workers: Workers = 0
    max_parallel_workers_per_gather: Workers = 0
    max_replication_slots: int = 0
    max_slot_wal_keep_size: str = ""
    max_standby_archive_delay: str = ""
    max_standby_streaming_delay: str = ""
    max_sync_workers_per_subscription: int = 0
    max_wal_size: str = ""
    max_wal_senders: int = 0
    max_worker_processes: int = Field(0, ge=0, le=262_143)
    session_replication_role: Literal["origin", "replica", "local"] = "origin"
    shared_buffers: str = ""
    statement_timeout: Duration = ""
    track_commit_timestamp: bool = False
    wal_keep_size: str = ""
    wal_sender_timeout: Duration = ""
    work_mem: str = ""
    checkpoint_timeout: Duration = ""
    hot_standby_feedback: bool = False
    autovacuum_max_workers: int = 0
    autovacuum_work_mem: str = ""
    log_autovacuum_min_duration: str = ""
    log_checkpoints: bool = False
    log_connections: bool = False
    log_disconnections: bool = False
    log_duration: bool = False
    log_lock_waits: bool = False
    log_recovery_conflict_waits: bool = False
    log_replication_commands: bool = False
    log_startup_progress_interval: str = ""
    log_temp_files: str = ""
    cron_log_statement: bool = Field(False, alias="cron.log_statement")
    pg_net_batch_size: int = Field(0, alias="pg_net.batch_size")
    pg_stat_statements_max: int = Field(0, alias="pg_stat_statements.max")
    restart_database: bool = False

    def given(self) -> dict[str, Any]:
        """Give the parameters that are in the body, under PostgreSQL's names."""
        return self.model_dump(exclude_unset=True, exclude={"restart_database"}, by_alias=True)


@router.get("")
def get_parameters(project: Project) -> dict[str, Any]:
    """Give the parameters that were set."""
    return project.config.get("postgres", {})


# What takes effect without a restart, and whether it is set.
_CHANGEABLE = """
    select s.name, bool_or(f.name is not null)
    from pg_settings s
    left join pg_file_settings f on f.name = s.name and f.sourcefile like '%/postgresql.auto.conf'
    where s.context in ('sighup', 'superuser', 'user')
    group by s.name
"""
_NAMES = frozenset(
    field.alias or name for name, field in ChangeParameters.model_fields.items() if name != "restart_database"
)


@router.put("")
def replace_parameters(
    body: ChangeParameters, project: ActiveProject, projects: AllProjects
) -> dict[str, Any]:
    """Set the parameters of the body and take back all others."""
    return _change(projects, project.ref, lambda _: body.given())


@router.patch("")
def change_parameters(
    body: ChangeParameters, project: ActiveProject, projects: AllProjects
) -> dict[str, Any]:
    """Set the parameters of the body."""
    return _change(projects, project.ref, lambda old: {**old, **body.given()})


def _change(
    projects: Projects, ref: str, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Make the parameters those that `change` makes of the old ones, all or none of them."""
    with projects.store.lock:
        record = projects.store.get(ref)
        old = record.config.get("postgres", {})
        wanted = change(old)
        try:
            with instance.connect(instance.admin_dsn(record)) as session:
                _apply_or_restore(session, wanted, old)
        except psycopg.Error as error:
            said = str(error).splitlines()[0]
            raise ApiError(400, f"Failed to update project's Postgres config: {said}") from error
        return projects.store.replace_section(ref, "postgres", wanted).config["postgres"]


def _apply_or_restore(session: psycopg.Connection, wanted: dict[str, Any], old: dict[str, Any]) -> None:
    try:
        _apply(session, wanted)
    except psycopg.Error:
        # A setting that PostgreSQL took before it refused another one would show at the next reload.
        _apply(session, old)
        raise


def _apply(session: psycopg.Connection, wanted: dict[str, Any]) -> None:
    """Set what takes effect without a restart, and take back all that is not wanted."""
    changeable: dict[str, bool] = dict(session.execute(_CHANGEABLE).fetchall())
    for name in sorted(_NAMES & changeable.keys()):
        if name in wanted:
            value = sql.Literal(str(wanted[name]).lower() if isinstance(wanted[name], bool) else wanted[name])
            session.execute(sql.SQL("alter system set {} = {}").format(sql.Identifier(name), value))
        elif changeable[name]:
            session.execute(sql.SQL("alter system reset {}").format(sql.Identifier(name)))
    session.execute("select pg_reload_conf()")
