"""The life of projects: created, kept alive, paused, restored and deleted, each step outside the request.

The status gates every step: a step begins by moving the status from an allowed one, which only one caller
can do, so that no two steps ever work on the same server.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import string
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from emulator import keys, postgres
from emulator.errors import ApiError
from emulator.instance import HOST, Instance
from emulator.management.regions import DEFAULT_REGION, DEFAULT_SIZE
from emulator.organizations import SLUG, Organizations
from emulator.store import Record, Status, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from emulator.folder import Folder

WATCH_INTERVAL_S = 5.0
# Interrupted by Ctrl-C, PostgreSQL's programs may fail a moment before the emulator learns of its own end.
END_GRACE_S = 0.5

ACTIVE: tuple[Status, ...] = ("ACTIVE_HEALTHY", "ACTIVE_UNHEALTHY")
READY: tuple[Status, ...] = ("ACTIVE_HEALTHY", "ACTIVE_UNHEALTHY", "RESTARTING")
SETTLED: tuple[Status, ...] = (
    *("ACTIVE_HEALTHY", "ACTIVE_UNHEALTHY", "INACTIVE"),
    *("INIT_FAILED", "PAUSE_FAILED", "RESTORE_FAILED"),
)

_log = logging.getLogger("emulator.projects")


@dataclass(frozen=True, kw_only=True)
class NewProject:
    """What a caller decides about a project that is to be made."""

    name: str
    organization: str = SLUG
    region: str = DEFAULT_REGION
    size: str = DEFAULT_SIZE
    password: str = field(repr=False)
    ref: str = ""


class Projects:
    """All projects of one emulator."""

    def __init__(
        self,
        folder: Folder,
        *,
        host: str = HOST,
        step_seconds: float = 0,
        more_organizations: Iterable[str] = (),
    ) -> None:
        """Read the records; nothing is started yet.

        Args:
            folder: the data folder.
            host: address where the projects' databases listen and are said to be.
            step_seconds: how long each step takes at least, so that a poller sees the state.
            more_organizations: slugs of organizations that are there beside those that were made.

        Raises:
            ValueError: a record cannot be read.
        """
        self.host = host
        self.store = Store(folder.state)
        self.organizations = Organizations(folder.organizations, more_organizations)
        self._folder = folder
        self._step_seconds = step_seconds
        self._cancelled: set[str] = set()
        self._instances: dict[str, Instance] = {}
        self._instances_lock = threading.Lock()
        self._steps = ThreadPoolExecutor(max_workers=4, thread_name_prefix="project")
        self._running: set[Future[None]] = set()
        self._ending = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def start(self) -> None:
        """Bring every project back to where an earlier emulator left it; active ones are up afterwards."""
        resume = {
            "UNKNOWN": self._first_up,
            "PAUSING": self._pause,
            "GOING_DOWN": self._remove,
            "RESIZING": self._up,
        }
        active = []
        for record in self.store.all():
            if record.status in resume:
                self._submit(resume[record.status], record.ref)
            elif record.status in {"COMING_UP", "RESTORING"}:
                self._submit(self._up, record.ref)
            elif record.status in READY:
                active.append(self._submit(self._up, record.ref))
        wait(active)
        self._watcher.start()

    def stop(self) -> None:
        """Let running steps end, then stop every server; the records stay as they are."""
        self._ending.set()
        if self._watcher.is_alive():
            self._watcher.join()
        self._steps.shutdown(wait=True, cancel_futures=True)
        with ThreadPoolExecutor(max_workers=4) as stopping:
            for record in self.store.all():
                stopping.submit(self._stop_quietly, record.ref)

    def _stop_quietly(self, ref: str) -> None:
        try:
            self.instance(ref).stop()
        except postgres.ServerError as error:
            _log.error("project %s: %s", ref, error)

    def instance(self, ref: str) -> Instance:
        """Give the server of a project, which may be stopped."""
        with self._instances_lock:
            if ref not in self._instances:
                self._instances[ref] = Instance(self._folder.postgres(ref), self.host)
            return self._instances[ref]

    def create(self, wanted: NewProject) -> Record:
        """Record a new project and begin to make it.

        Raises:
            OSError: it could not be recorded; there is no such project then.
        """
        ref = wanted.ref or "".join(secrets.choice(string.ascii_lowercase) for _ in range(20))
        jwt_secret = secrets.token_urlsafe(48)
        record = Record(
            ref=ref,
            number=secrets.randbelow(10**6) + 1,
            name=wanted.name,
            organization=wanted.organization,
            region=wanted.region,
            size=wanted.size,
            created_at=datetime.now(UTC),
            status="UNKNOWN",
            admin_password=secrets.token_hex(24),
            owner_password=wanted.password,
            jwt_secret=jwt_secret,
            api_keys=keys.first_keys(ref, jwt_secret),
        )
        self.store.put(record)
        self._submit(self._first_up, ref)
        return record

    def seed(self, refs: Iterable[str]) -> None:
        """Begin to make the projects that are not there, each named as its reference.

        Raises:
            OSError: one could not be recorded.
        """
        there = {record.ref for record in self.store.all()}
        for ref in refs:
            if ref not in there:
                self.create(NewProject(name=ref, ref=ref, password=secrets.token_urlsafe(24)))

    def pause(self, ref: str) -> None:
        """Begin to stop a project's server; its data stays.

        Raises:
            ApiError: 400 in any status but an active one.
        """
        self._begin(ref, (*ACTIVE, "PAUSE_FAILED"), "PAUSING", self._pause)

    def restore(self, ref: str) -> None:
        """Begin to start a paused project.

        Raises:
            ApiError: 400 when it is not paused.
        """
        self._begin(ref, ("INACTIVE", "RESTORE_FAILED"), "RESTORING", self._up)

    def cancel_restore(self, ref: str) -> None:
        """Let a restoration end as a paused project.

        Raises:
            ApiError: 400 when the project is not being restored.
        """
        with self.store.lock:
            status = self.store.get(ref).status
            if status != "RESTORING":
                raise ApiError(400, f"Project status is {status}; this needs RESTORING.")
            self._cancelled.add(ref)

    def restart(self, ref: str) -> None:
        """Begin to restart a project's server.

        Raises:
            ApiError: 400 in any status but an active one.
        """
        self._begin(ref, ACTIVE, "RESTARTING", self._again)

    def resize(self, ref: str, size: str) -> None:
        """Begin to move a project to another size of machine: its server is restarted.

        Raises:
            ApiError: 400 in any status but an active one.
        """
        with self.store.lock:
            self._begin(ref, ACTIVE, "RESIZING", self._again)
            self.store.change(ref, size=size)

    def delete(self, ref: str) -> Record:
        """Begin to delete a project, its server and its data.

        Raises:
            ApiError: 400 while a step is under way.
        """
        record = self.store.get(ref)
        if self.store.move(ref, SETTLED, "GOING_DOWN") is None:
            raise ApiError(400, "Project not ready for deletion.")
        self._submit(self._remove, ref)
        return record

    def _begin(self, ref: str, allowed: tuple[Status, ...], to: Status, step: Callable[[str], None]) -> None:
        if self.store.move(ref, allowed, to) is None:
            status = self.store.get(ref).status
            raise ApiError(400, f"Project status is {status}; this needs {' or '.join(allowed)}.")
        self._submit(step, ref)

    def _submit(self, step: Callable[[str], None], ref: str) -> Future[None]:
        return self._steps.submit(self._guarded, step, ref)

    def _guarded(self, step: Callable[[str], None], ref: str) -> None:
        """Run one step; when it fails, the status says so, unless the emulator is ending."""
        # One that has not begun by the end is begun by the next emulator.
        if self._step_seconds and self._ending.wait(self._step_seconds):
            return
        try:
            step(ref)
        except Exception as error:  # noqa: BLE001 - whatever it was, callers wait for a status
            if not self._ending.wait(END_GRACE_S):
                _log.error("project %s: %s", ref, error)
                self._fail(ref)

    def _fail(self, ref: str) -> None:
        failed: dict[Status, Status] = {
            "UNKNOWN": "INIT_FAILED",
            "COMING_UP": "INIT_FAILED",
            "PAUSING": "PAUSE_FAILED",
            "RESTORING": "RESTORE_FAILED",
            "RESTARTING": "ACTIVE_UNHEALTHY",
            "RESIZING": "ACTIVE_UNHEALTHY",
            "ACTIVE_HEALTHY": "ACTIVE_UNHEALTHY",
            # The next DELETE tries again.
            "GOING_DOWN": "PAUSE_FAILED",
        }
        now = self.store.get(ref).status
        self.store.change(ref, status=failed.get(now, now))

    def _first_up(self, ref: str) -> None:
        self.store.change(ref, status="COMING_UP")
        self._ending.wait(self._step_seconds)
        self._up(ref)

    def _again(self, ref: str) -> None:
        self.instance(ref).stop()
        self._up(ref)

    def _up(self, ref: str) -> None:
        record = self.store.get(ref)
        instance = self.instance(ref)
        port = instance.start(record)
        if port != record.port:
            record = self.store.change(ref, port=port)
        instance.prepare(record)
        instance.start_worker(record)
        with self.store.lock:
            cancelled = ref in self._cancelled
            self._cancelled.discard(ref)
            if not cancelled:
                self.store.change(ref, status="ACTIVE_HEALTHY")
        if cancelled:
            self._pause(ref)
            return
        _log.info("project %s is up on port %d", ref, port)

    def _pause(self, ref: str) -> None:
        self.instance(ref).stop()
        self.store.change(ref, status="INACTIVE")
        _log.info("project %s is paused", ref)

    def _remove(self, ref: str) -> None:
        self.instance(ref).remove()
        self.store.remove(ref)
        with self._instances_lock:
            self._instances.pop(ref, None)
        _log.info("project %s is deleted", ref)

    def _watch(self) -> None:
        """Start servers again that died."""
        while not self._ending.wait(WATCH_INTERVAL_S):
            for record in self.store.all():
                # Deleted or paused since the list was made: no longer the watcher's business.
                with contextlib.suppress(ApiError):
                    self._look_after(record)

    def _look_after(self, record: Record) -> None:
        seen = record.status
        if seen not in {"ACTIVE_HEALTHY", "ACTIVE_UNHEALTHY"}:
            return
        if seen == "ACTIVE_HEALTHY" and self.instance(record.ref).running():
            return
        if self.store.move(record.ref, (seen,), "RESTARTING") is not None:
            _log.warning("project %s: its server is gone; starting it again", record.ref)
            self._submit(self._up, record.ref)
