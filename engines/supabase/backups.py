"""Backups that the platform makes of a project's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from engines.supabase.errors import NotFoundError
from engines.supabase.session import Call
from engines.supabase.wire import Answer, project_path

if TYPE_CHECKING:
    from datetime import datetime

    from engines.supabase.session import Session


class Backup(Answer):
    """One backup; `status` is COMPLETED when it can be restored."""

    id: int | None = None
    status: str
    inserted_at: str
    is_physical_backup: bool = False


class Span(Answer):
    """The moments between which a database can be put back, in seconds since 1970; None: there are none."""

    earliest: int | None = Field(None, alias="earliest_physical_backup_date_unix")
    latest: int | None = Field(None, alias="latest_physical_backup_date_unix")


class Backups(Answer):
    """What backups a project has.

    Attributes:
        pitr_enabled: whether the database can be put back to any moment of `span`.
        backups: the single ones.
        span: for a restore to a moment; None where an answer leaves it out.
    """

    region: str
    pitr_enabled: bool
    walg_enabled: bool
    backups: tuple[Backup, ...]
    span: Span | None = Field(None, alias="physical_backup_data")


class BackupSchedule(Answer):
    """When the platform makes its daily backup."""

    schedule_for: str


class RestorePoint(Answer):
    """A moment that a database can be put back to; `status` is PENDING until it is AVAILABLE or FAILED."""

    name: str
    status: str
    completed_on: str | None


class PlatformBackups:
    """The platform's backups of projects."""

    def __init__(self, session: Session) -> None:
        """Use a session."""
        self._session = session

    def all(self, ref: str) -> Backups:
        """List a project's backups."""
        call = Call("GET", project_path(ref, "database/backups"), f"listing the backups of project {ref}")
        return self._session.read(call, Backups.model_validate)

    def restore_to(self, ref: str, moment: datetime) -> None:
        """Begin to put the database back to a moment; the project is away in the meantime.

        Raises:
            SupabaseError: one of its kinds; RejectedError: the project's plan has no such restore.
        """
        body = {"recovery_time_target_unix": int(moment.timestamp())}
        path = project_path(ref, "database/backups/restore-pitr")
        action = f"restoring the database of project {ref}"
        self._session.send(Call("POST", path, action, body=body, repeatable=False))

    def schedule(self, ref: str) -> BackupSchedule:
        """Read when the daily backup is made."""
        call = Call("GET", _schedule(ref), f"reading the backup schedule of project {ref}")
        return self._session.read(call, BackupSchedule.model_validate)

    def set_schedule(self, ref: str, schedule_for: str) -> BackupSchedule:
        """Choose when the daily backup is made, in the platform's own format."""
        action = f"setting the backup schedule of project {ref}"
        call = Call("PATCH", _schedule(ref), action, body={"schedule_for": schedule_for})
        return self._session.read(call, BackupSchedule.model_validate)

    def restore_point(self, ref: str, name: str) -> RestorePoint | None:
        """Read how a restore point is; None: there is none of that name."""
        action = f"reading the restore point {name} of project {ref}"
        call = Call("GET", _point(ref), action, params={"name": name})
        try:
            found = self._session.read(call, RestorePoint.model_validate)
        except NotFoundError:
            return None
        return found if found.name == name else None

    def make_restore_point(self, ref: str, name: str) -> RestorePoint:
        """Begin to make a restore point, of up to 20 characters.

        Raises:
            SupabaseError: one of its kinds; RejectedError: the project's plan or machine has none.
        """
        action = f"making the restore point {name} of project {ref}"
        call = Call("POST", _point(ref), action, body={"name": name}, repeatable=False)
        return self._session.read(call, RestorePoint.model_validate)


def _point(ref: str) -> str:
    return project_path(ref, "database/backups/restore-point")


def _schedule(ref: str) -> str:
    return project_path(ref, "database/backups/schedule")
