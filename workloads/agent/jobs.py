"""Background jobs: claimed one at a time under a lease, run, and reported back."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ai.model import ModelError, Turn
from replies import read_turns
from store import RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ai.model import Model
    from store import Row, Store

LOG = logging.getLogger("agent.jobs")
# Below the lease of five minutes, so that a slow job is never run twice.
JOB_LIMIT_S = 120
SUMMARIZE = "You write down what a conversation was about, in two or three sentences."


class Runner:
    """Runs the jobs of the kinds it knows."""

    def __init__(self, store: Store, model: Model) -> None:
        """Take the database and the model."""
        self._store = store
        self._model = model
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self._kinds: dict[str, Callable[[Row], Awaitable[None]]] = {
            "summarize_conversation": self._summarize,
        }

    async def run(self, limit: int, seconds: float) -> dict[str, int]:
        """Run due jobs until there are none, `limit` were run, or `seconds` have passed.

        Returns:
            How many are `done`, `queued` for another try, `failed` for good, or `lost` to another worker.
        """
        counts = {"done": 0, "queued": 0, "failed": 0, "lost": 0}
        deadline = time.monotonic() + seconds
        while sum(counts.values()) < limit and time.monotonic() < deadline:
            kinds = list(self._kinds)
            claimed = await self._store.call("claim_jobs", self._worker, 1, "5 minutes", kinds)
            if not claimed:
                break
            counts[await self._run_one(claimed[0])] += 1
        return counts

    async def _run_one(self, job: Row) -> str:
        try:
            async with asyncio.timeout(JOB_LIMIT_S):
                await self._kinds[job["kind"]](job)
        except Exception as error:
            LOG.exception("job failed", extra={"fields": {"job": job["id"], "kind": job["kind"]}})
            arguments = (job["id"], job["lease"], _reason(error))
            return (await self._store.call("fail_job", *arguments))[0]["fail_job"] or "lost"
        done = (await self._store.call("complete_job", job["id"], job["lease"]))[0]["complete_job"]
        return "done" if done else "lost"

    async def _summarize(self, job: Row) -> None:
        """Keep one summary per conversation, in the name of its user."""
        payload: dict[str, Any] = job["payload"]
        conversation, user = UUID(payload["conversation_id"]), UUID(payload["user_id"])
        async with self._store.as_user(user) as session:
            turns = await read_turns(session, conversation)
        if not turns:
            return  # deleted in the meantime
        ask = "\n".join(f"{turn.role}: {turn.content}" for turn in turns)
        pieces = [piece async for piece in self._model.stream(SUMMARIZE, [Turn("user", ask)])]
        async with self._store.as_user(user) as session:
            await session.execute(
                "delete from public.memory_summaries where conversation_id = %s", [conversation]
            )
            await session.execute(
                "insert into public.memory_summaries (organization_id, conversation_id, summary)"
                " select organization_id, id, %s from public.conversations where id = %s",
                ["".join(pieces), conversation],
            )


def _reason(error: Exception) -> str:
    """Say why a job failed: known texts in full, of others only the kind, for they may quote rows."""
    known = (ModelError, RefusedError)
    return str(error) if isinstance(error, known) else type(error).__name__
