"""Projects: made once, found by name, waited for, paused, restored and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.supabase import models
from engines.supabase.creation import create_once
from engines.supabase.errors import ConflictError, NotFoundError, ProjectFailedError, RejectedError
from engines.supabase.session import Call
from engines.supabase.wire import project_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.supabase.session import Session

SERVICES = ("auth", "db", "rest", "storage")
HEALTHY = "ACTIVE_HEALTHY"
PAUSED = "INACTIVE"
_GOING = frozenset({"GOING_DOWN", "REMOVED"})
_PAUSING = "PAUSING"
_ACTIVE = frozenset({HEALTHY, "ACTIVE_UNHEALTHY"})
# Awake, or on the way there; from any other state a project is restored, or the service says why not.
_AWAKE = frozenset(
    {HEALTHY, "ACTIVE_UNHEALTHY", "COMING_UP", "UNKNOWN", "RESTORING", "RESTARTING", "UPGRADING", "RESIZING"}
)
_ADVICE = {
    "INIT_FAILED": "the platform could not create it; delete it, then run the update again",
    "RESTORE_FAILED": "its restore failed; see the project's page on the platform",
    "PAUSE_FAILED": "see the project's page on the platform",
    PAUSED: "it is paused; restore it on the platform, then run the update again",
    "PAUSING": "it is being paused; restore it on the platform, then run the update again",
    "GOING_DOWN": "it is being deleted",
    "REMOVED": "it was deleted",
}
_POLL_S = 2.0
# How long a change of the machine may take to show, and how often that is asked.
_BEGIN_S = 5.0
_BEGIN_POLL_S = 0.5
_DELETE_TIMEOUT_S = 300.0
_NOT_READY = "not ready for deletion"


class Projects:
    """The projects that the token sees."""

    def __init__(self, session: Session) -> None:
        """Use a session."""
        self._session = session

    def all(self) -> tuple[models.Project, ...]:
        """List the projects of all organizations that the token sees."""
        call = Call("GET", "/v1/projects", "listing the projects")
        return self._session.read(call, lambda raw: tuple(map(models.Project.read, raw)))

    def find(self, name: str, organization_slug: str) -> models.Project | None:
        """Find a project by its name in an organization; one that is being deleted does not count.

        Raises:
            ConflictError: several have this name.
        """
        found = [one for one in self.all() if (one.name, one.organization_slug) == (name, organization_slug)]
        living = [one for one in found if one.status not in _GOING]
        if len(living) > 1:
            refs = ", ".join(sorted(one.ref for one in living))
            advice = "say which one with `groundwork:supabase.ref`"
            raise ConflictError(
                f"{len(living)} projects of {organization_slug} are named {name}: {refs}; {advice}"
            )
        return living[0] if living else None

    def create(self, wanted: models.CreateProject) -> models.Project:
        """Create a project, and never a second one.

        Raises:
            SupabaseError: it could not be created, or nobody knows whether it was.
        """
        call = Call(
            "POST",
            "/v1/projects",
            f"creating the project {wanted.name}",
            body=wanted.body(),
            secrets=(wanted.db_pass,),
            repeatable=False,
            timeout_s=self._session.create_timeout_s,
        )
        find = lambda: self.find(wanted.name, wanted.organization_slug)  # noqa: E731 - a name for what is found
        return create_once(self._session, call, models.Project.read, find)

    def get(self, ref: str) -> models.Project:
        """Read a project."""
        call = Call("GET", project_path(ref), f"reading the project {ref}")
        return self._session.read(call, models.Project.read)

    def rename(self, ref: str, name: str) -> None:
        """Give a project another name."""
        call = Call("PATCH", project_path(ref), f"renaming the project {ref}", body={"name": name})
        self._session.send(call)

    def wait_until_healthy(self, ref: str, report: Callable[[str], None], timeout_s: float) -> models.Project:
        """Wait until a project and its services are up, and report each step.

        Raises:
            ProjectFailedError: its state does not lead there, or the time is over.
        """
        return self._wait(ref, self._lack, report, timeout_s)

    def wait_until_resized(self, ref: str, report: Callable[[str], None], timeout_s: float) -> models.Project:
        """Wait until a project whose machine was changed is healthy again, and report each step.

        Raises:
            ProjectFailedError: its state does not lead there, or the time is over.
        """
        # The change begins some moments after it was asked for; healthy before that means nothing.
        began_by = self._session.clock() + _BEGIN_S
        while self.get(ref).status == HEALTHY and self._session.clock() < began_by:
            self._session.pause(_BEGIN_POLL_S)
        return self.wait_until_healthy(ref, report, timeout_s)

    def wait_until_paused(self, ref: str, report: Callable[[str], None], timeout_s: float) -> models.Project:
        """Wait until a project that is being paused is, and report each step.

        Raises:
            ProjectFailedError: pausing failed, or the time is over.
        """
        return self._wait(ref, _lack_of_pause, report, timeout_s)

    def wake(self, ref: str, report: Callable[[str], None], timeout_s: float) -> models.Project:
        """Bring a project up: one that is paused is restored, one on its way is waited for.

        Raises:
            ProjectFailedError: its state does not lead there, or the time is over.
        """
        if self.get(ref).status in {_PAUSING, PAUSED}:
            self.wait_until_paused(ref, report, timeout_s)
            report(f"project {ref} is paused: restoring it")
            self.restore(ref)
            # The platform may show it as paused for a moment after it took the request.
            self._wait(ref, _lack_of_awakening, report, timeout_s)
        return self.wait_until_healthy(ref, report, timeout_s)

    def put_to_sleep(self, ref: str, report: Callable[[str], None], timeout_s: float) -> models.Project:
        """Pause a project that is up or on its way, and wait until it is paused.

        Raises:
            ProjectFailedError: its state does not lead there, or the time is over.
        """
        if self.get(ref).status not in {_PAUSING, PAUSED, *_ACTIVE}:
            self.wait_until_healthy(ref, report, timeout_s)
        report(f"pausing project {ref}")
        self.pause(ref)
        # The platform may show it as active for a moment after it took the request.
        return self.wait_until_paused(ref, report, timeout_s)

    def _wait(
        self,
        ref: str,
        lack: Callable[[models.Project], str | None],
        report: Callable[[str], None],
        timeout_s: float,
    ) -> models.Project:
        """Ask until a project lacks nothing; `lack` says what it still does."""
        deadline, last = self._session.clock() + timeout_s, ""
        while True:
            project = self.get(ref)
            state = lack(project)
            if state is None:
                return project
            if state != last:
                report(f"project {ref}: {state}")
                last = state
            if self._session.clock() >= deadline:
                advice = "see its page on the platform, then run the update again"
                text = f"project {ref} is not there yet after {timeout_s:g} s: {state}; {advice}"
                raise ProjectFailedError(text)
            self._session.pause(_POLL_S)

    def _lack(self, project: models.Project) -> str | None:
        """Say what a project still lacks to be healthy; None: nothing."""
        if project.status in _ADVICE:
            raise _failed(project)
        if project.status != HEALTHY:
            return project.status
        services = [one for one in self.health(project.ref) if not one.healthy]
        ill = ", ".join(f"{one.name} {one.error or one.status}" for one in services)
        return f"waiting for {ill}" if ill else None

    def health(self, ref: str) -> tuple[models.ServiceHealth, ...]:
        """Ask how a project's services are."""
        params = {"services": list(SERVICES)}
        call = Call("GET", project_path(ref, "health"), f"reading the health of project {ref}", params=params)
        return self._session.read(call, lambda raw: tuple(map(models.ServiceHealth.read, raw)))

    def session_pooler(self, ref: str) -> models.DatabaseAddress:
        """Read where sessions of a project's database open."""
        return self.poolers(ref).session

    def poolers(self, ref: str) -> models.Poolers:
        """Read how a project's pooler is reached."""
        path = project_path(ref, "config/database/pooler")
        call = Call("GET", path, f"reading the database address of project {ref}")
        return self._session.read(call, models.Poolers.read)

    def pause(self, ref: str) -> None:
        """Begin to pause a project; its data stays. One that is paused already is no error."""
        self._turn(ref, "pause", "pausing", lambda status: status in {_PAUSING, PAUSED})

    def restore(self, ref: str) -> None:
        """Begin to wake a paused project; one that is awake already is no error."""
        self._turn(ref, "restore", "restoring", _AWAKE.__contains__)

    def _turn(self, ref: str, way: str, verb: str, is_done: Callable[[str], bool]) -> None:
        """Ask for another state unless the project has it or is on its way."""

        def look() -> bool | None:
            return is_done(self.get(ref).status) or None

        if look():
            return
        call = Call("POST", project_path(ref, way), f"{verb} the project {ref}", repeatable=False)
        create_once(self._session, call, lambda _: True, look)

    def delete(self, ref: str) -> None:
        """Delete a project with all its data; one that is gone already is no error.

        A project that is still coming up cannot be deleted: it is asked again for five minutes.
        """
        call = Call("DELETE", project_path(ref), f"deleting the project {ref}")
        deadline = self._session.clock() + _DELETE_TIMEOUT_S
        while True:
            try:
                self._session.send(call)
            except NotFoundError:
                return
            except RejectedError as error:
                if _NOT_READY not in str(error) or self._session.clock() >= deadline:
                    raise
                self._session.pause(_POLL_S)
            else:
                return


def _lack_of_awakening(project: models.Project) -> str | None:
    if project.status in {"RESTORE_FAILED", *_GOING}:
        raise _failed(project)
    return None if project.status in _AWAKE else project.status


def _lack_of_pause(project: models.Project) -> str | None:
    if project.status in {"PAUSE_FAILED", *_GOING}:
        raise _failed(project)
    return None if project.status == PAUSED else project.status


def _failed(project: models.Project) -> ProjectFailedError:
    advice = _ADVICE[project.status]
    return ProjectFailedError(f"project {project.ref} ({project.name}) is {project.status}: {advice}")
