"""What a hosted server runs beside queries: pg_cron's scheduler and pg_net's sender, one thread a project."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING

import psycopg
from psycopg import conninfo

from emulator import cron, net, peer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

OWNER = "postgres"
DATABASE = "postgres"
# Waiting times before the next try while the server is away.
FIRST_PAUSE_S = 0.1
LAST_PAUSE_S = 2.0
CONNECT_TIMEOUT_S = 5
_log = logging.getLogger(__name__)


class Worker:
    """The background work of one project's server; it survives restarts, and two at once share the work."""

    def __init__(self, admin_dsn: str) -> None:
        """Remember where to work; nothing runs before `start`.

        Args:
            admin_dsn: URL of the database `postgres` as superuser; the server must have been prepared.
        """
        self._admin_dsn = admin_dsn
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the thread; one that runs is left as it is."""
        if self._thread is not None:
            return
        ready = threading.Event()
        # A daemon: a program that forgets `stop` can still end.
        self._thread = threading.Thread(target=self._run, args=[ready], name="project worker", daemon=True)
        self._thread.start()
        ready.wait()

    def stop(self) -> None:
        """End the thread, cutting off jobs and requests under way; a stopped worker is left as it is."""
        if self._thread is None or self._loop is None or self._main is None:
            return
        self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join()
        self._thread = None

    def _run(self, ready: threading.Event) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._main = self._loop.create_task(self._work())
            ready.set()
            try:
                self._loop.run_until_complete(self._main)
            except asyncio.CancelledError:
                _log.debug("worker stopped")

    async def _work(self) -> None:
        await asyncio.gather(_keep_up("pg_cron", self._schedule), _keep_up("pg_net", self._send))

    async def _schedule(self) -> None:
        async with await self._login("pg_cron scheduler") as session:
            await cron.Scheduler(session, await self._socket(session)).run()

    async def _send(self) -> None:
        async with await self._login("emulator") as session:
            socket = await self._socket(session)
        # The platform's worker is not the superuser: a trigger on its tables would otherwise be one too.
        async with await _connect(socket.dsn(OWNER, DATABASE), net.APPLICATION_NAME) as session:
            await net.Sender(session).run()

    async def _login(self, name: str) -> psycopg.AsyncConnection:
        return await _connect(conninfo.make_conninfo(self._admin_dsn), name)

    async def _socket(self, session: psycopg.AsyncConnection) -> peer.Socket:
        query = "select current_setting('unix_socket_directories'), current_setting('port')"
        row = await (await session.execute(query)).fetchone()
        folders, port = row or ("", "")
        return peer.Socket(str(folders).split(",")[0].strip(), str(port))


async def _connect(dsn: str, name: str) -> psycopg.AsyncConnection:
    # The project's time limits are for its queries, not for the worker's waiting.
    return await psycopg.AsyncConnection.connect(
        dsn,
        autocommit=True,
        application_name=name,
        connect_timeout=CONNECT_TIMEOUT_S,
        options="-c statement_timeout=0 -c search_path=",
    )


async def _keep_up(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do `work` again whenever it ends, with growing pauses while the server is away."""
    pause = FIRST_PAUSE_S
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await work()
        except* net.RestartError:
            _log.info("%s: restart asked for", name)
        except* (psycopg.Error, OSError) as broken:
            _log.info("%s: no database (%s)", name, broken.exceptions[0])
        except* Exception:  # noqa: BLE001 - an error of ours must not end the work for good
            _log.exception("%s: begins anew after an error", name)
        lasted = asyncio.get_running_loop().time() - began
        pause = FIRST_PAUSE_S if lasted > LAST_PAUSE_S else min(pause * 2, LAST_PAUSE_S)
        await asyncio.sleep(pause)
