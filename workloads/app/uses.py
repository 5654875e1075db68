"""Notes in the database which version of a secret was used: all replicas' uses, past their restarts.

A rotation retires an old version once nobody used it for a while. App and agent have the same module: each
image is built from its own folder alone.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from store import Store

LOG = logging.getLogger("uses")
EVERY_S = 5


class Uses:
    """Collects uses, and writes each (secret, version) once in EVERY_S at most. No request waits for it."""

    def __init__(self) -> None:
        """Start with nothing to write."""
        self._fresh: set[tuple[str, str]] = set()
        self._wake = asyncio.Event()
        self._failing = False

    def note(self, secret: str, version: str) -> None:
        """Remember a use; that of a secret whose version is not known here is nobody's concern."""
        if version.isdecimal():
            self._fresh.add((secret, version))
            self._wake.set()

    @asynccontextmanager
    async def kept(self, store: Store) -> AsyncIterator[None]:
        """Write in the background until the end of the block, and what is left then."""
        task = asyncio.create_task(self._keep(store))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self._write(store)

    async def _keep(self, store: Store) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._write(store)
            # A use that comes meanwhile is written late: its version seems in use a little longer.
            await asyncio.sleep(EVERY_S)

    async def _write(self, store: Store) -> None:
        for use in sorted(self._fresh):
            secret, version = use
            try:
                await store.call("note_secret_use", secret, int(version))
            except Exception as error:  # noqa: BLE001 - whatever it is, requests go on, and it is tried again
                self._failed(error)
                return
            self._fresh.discard(use)
        self._failing = False

    def _failed(self, error: Exception) -> None:
        self._wake.set()
        if not self._failing:
            LOG.warning("uses of secrets cannot be noted; trying on", exc_info=error)
        self._failing = True
