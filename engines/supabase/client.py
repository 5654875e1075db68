"""The Management API of Supabase, or of its stand-in: what a stack needs of it.

Documents: https://api.supabase.com/api/v1, https://supabase.com/docs/reference/api.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote

import httpx

from engines.supabase import models
from engines.supabase.errors import (
    ConflictError,
    NotFoundError,
    ProjectFailedError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from engines.supabase.session import ATTEMPTS, Call, Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

T = TypeVar("T")

SERVICES = ("auth", "db", "rest", "storage")
_HEALTHY = "ACTIVE_HEALTHY"
_GOING = {"GOING_DOWN", "REMOVED"}
_ADVICE = {
    "INIT_FAILED": "the platform could not create it; delete it, then run the update again",
    "RESTORE_FAILED": "its restore failed; see the project's page on the platform",
    "PAUSE_FAILED": "see the project's page on the platform",
    "INACTIVE": "it is paused; restore it on the platform, then run the update again",
    "PAUSING": "it is being paused; restore it on the platform, then run the update again",
    "GOING_DOWN": "it is being deleted",
    "REMOVED": "it was deleted",
}
_POLL_S = 2.0
_CREATE_ATTEMPTS = 3
_DELETE_TIMEOUT_S = 300.0
_NOT_READY = "not ready for deletion"


class ManagementClient:
    """A session with the Management API; use it in a `with` statement."""

    def __init__(
        self,
        api_url: str,
        token: str,
        *,
        transport: httpx.BaseTransport | None = None,
        timeout_s: float = 30,
        attempts: int = ATTEMPTS,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Open a session; nothing is sent yet.

        Args:
            api_url: where the API is, `https://api.supabase.com` for the real one.
            token: a personal access token.
            transport: what carries the requests; None: the network.
            timeout_s: seconds for each request.
            attempts: how often a request that may be repeated is tried.
            pause: waits a number of seconds between repeats.

        Raises:
            UnavailableError: `api_url` is no URL.
        """
        self._http = httpx.Client(
            base_url=_checked(api_url),
            headers={"authorization": f"Bearer {token}", "user-agent": "groundwork"},
            transport=transport,
            timeout=timeout_s,
        )
        self._pause = pause
        self._session = Session(self._http, {token}, pause, attempts)

    def __enter__(self) -> Self:
        """Give the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._http.close()

    def organizations(self) -> tuple[models.Organization, ...]:
        """List the organizations that the token sees."""
        call = Call("GET", "/v1/organizations", "listing the organizations")
        return self._get(call, lambda raw: tuple(map(models.Organization.read, raw)))

    def find_project(self, name: str, organization_slug: str) -> models.Project | None:
        """Find a project by its name in an organization; one that is being deleted does not count.

        Raises:
            ConflictError: several have this name.
        """
        call = Call("GET", "/v1/projects", "listing the projects")
        every = self._get(call, lambda raw: tuple(map(models.Project.read, raw)))
        found = [one for one in every if (one.name, one.organization_slug) == (name, organization_slug)]
        living = [one for one in found if one.status not in _GOING]
        if len(living) > 1:
            refs = ", ".join(sorted(one.ref for one in living))
            advice = "say which one with `groundwork:supabase.ref`"
            raise ConflictError(
                f"{len(living)} projects of {organization_slug} are named {name}: {refs}; {advice}"
            )
        return living[0] if living else None

    def create_project(self, wanted: models.CreateProject) -> models.Project:
        """Create a project, and never a second one.

        When a request's fate is unknown, the project is looked for by its name before it is sent again.

        Raises:
            SupabaseError: it could not be created.
        """
        self._session.secrets.add(wanted.db_pass)
        action = f"creating the project {wanted.name}"
        call = Call("POST", "/v1/projects", action, body=wanted.body(), repeatable=False)
        for _ in range(_CREATE_ATTEMPTS - 1):
            try:
                return self._get(call, models.Project.read)
            except (UnavailableError, RateLimitedError):
                self._pause(_POLL_S)
                made = self.find_project(wanted.name, wanted.organization_slug)
                if made is not None:
                    return made
        return self._get(call, models.Project.read)

    def project(self, ref: str) -> models.Project:
        """Read a project."""
        return self._get(Call("GET", _path(ref), f"reading the project {ref}"), models.Project.read)

    def rename_project(self, ref: str, name: str) -> None:
        """Give a project another name."""
        self._session.send(Call("PATCH", _path(ref), f"renaming the project {ref}", body={"name": name}))

    def wait_until_healthy(self, ref: str, report: Callable[[str], None], timeout_s: float) -> models.Project:
        """Wait until a project and its services are up, and report each step.

        Raises:
            ProjectFailedError: its state does not lead there, or the time is over.
        """
        deadline, last = time.monotonic() + timeout_s, ""
        while True:
            project = self.project(ref)
            state = self._state(project)
            if state is None:
                return project
            if state != last:
                report(f"project {ref}: {state}")
                last = state
            if time.monotonic() >= deadline:
                advice = "see its page on the platform, then run the update again"
                raise ProjectFailedError(
                    f"project {ref} is not healthy after {timeout_s:g} s: {state}; {advice}"
                )
            self._pause(_POLL_S)

    def _state(self, project: models.Project) -> str | None:
        """Say what a project still lacks; None: nothing."""
        if project.status in _ADVICE:
            advice = _ADVICE[project.status]
            raise ProjectFailedError(f"project {project.ref} ({project.name}) is {project.status}: {advice}")
        if project.status != _HEALTHY:
            return project.status
        ill = [
            f"{one.name} {one.error or one.status}"
            for one in self.services_health(project.ref)
            if not one.healthy
        ]
        return f"waiting for {', '.join(ill)}" if ill else None

    def delete_project(self, ref: str) -> None:
        """Delete a project with all its data; one that is gone already is no error.

        A project that is still coming up cannot be deleted: it is asked again for five minutes.
        """
        call = Call("DELETE", _path(ref), f"deleting the project {ref}")
        deadline = time.monotonic() + _DELETE_TIMEOUT_S
        while True:
            try:
                self._session.send(call)
            except NotFoundError:
                return
            except RejectedError as error:
                if _NOT_READY not in str(error) or time.monotonic() >= deadline:
                    raise
                self._pause(_POLL_S)
            else:
                return

    def api_keys(self, ref: str) -> models.ApiKeys:
        """Read a project's keys, the secret ones in plain."""
        action = f"reading the API keys of project {ref}"
        call = Call("GET", f"{_path(ref)}/api-keys", action, params={"reveal": "true"})
        keys = self._get(call, models.ApiKeys.read)
        self._session.secrets |= {key for key in (keys.service_role, keys.secret) if key}
        return keys

    def set_database_password(self, ref: str, password: str) -> None:
        """Set the password of the database's owner `postgres`."""
        self._session.secrets.add(password)
        action = f"setting the database password of project {ref}"
        self._session.send(
            Call("PATCH", f"{_path(ref)}/database/password", action, body={"password": password})
        )

    def services_health(self, ref: str) -> tuple[models.ServiceHealth, ...]:
        """Ask how a project's services are."""
        action = f"reading the health of project {ref}"
        call = Call("GET", f"{_path(ref)}/health", action, params={"services": list(SERVICES)})
        return self._get(call, lambda raw: tuple(map(models.ServiceHealth.read, raw)))

    def session_pooler(self, ref: str) -> models.DatabaseAddress:
        """Read where sessions of a project's database open."""
        action = f"reading the database address of project {ref}"
        call = Call("GET", f"{_path(ref)}/config/database/pooler", action)
        return self._get(call, models.DatabaseAddress.read)

    def _get(self, call: Call, read: Callable[[Any], T]) -> T:
        """Send a call and read its answer."""
        raw = self._session.send(call)
        try:
            return read(raw)
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            # The name of what is missing, never the answer: it may hold keys.
            what = f"{type(error).__name__} {error}" if isinstance(error, KeyError) else type(error).__name__
            raise self._session.unexpected(call, what) from None


def _checked(api_url: str) -> httpx.URL:
    try:
        url = httpx.URL(api_url)
    except httpx.InvalidURL as error:
        raise UnavailableError(f"`groundwork:supabase.api_url` is no URL: {error}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise UnavailableError(f"`groundwork:supabase.api_url` is {api_url!r}; expected https://HOST")
    return url


def _path(ref: str) -> str:
    return f"/v1/projects/{quote(ref, safe='')}"
