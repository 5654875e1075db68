"""A reply from the question to the stored answer: charged once, streamed, refunded when the model fails."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, UUID, uuid5

from ai.model import ModelError, Turn
from store import RefusedError, Session, Store, become, call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ai.model import Model

LOG = logging.getLogger("agent.replies")
SYSTEM = "You are the assistant of this product. Answer briefly and in the language of the question."
HISTORY = 40
DEADLINE_S = 180


@dataclass(frozen=True)
class Question:
    """What a user asks; `key` names this attempt, so that a repeated one is not charged again."""

    organization: UUID
    user: UUID
    conversation: UUID | None
    message: str
    key: str

    @property
    def charge_key(self) -> str:
        """The ledger's key. It covers the content too: another question under an old key is charged."""
        parts = (self.user, self.conversation, self.key, self.message)
        digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()
        return f"reply:{digest}"

    @property
    def conversation_id(self) -> UUID:
        """The conversation; a new one has an id that a repeated attempt finds again."""
        return self.conversation or uuid5(NAMESPACE_URL, f"{self.organization}/{self.charge_key}")


@dataclass(frozen=True)
class Piece:
    """A part of the answer."""

    text: str


@dataclass(frozen=True)
class Done:
    """The answer is complete and stored."""

    conversation: UUID
    credits: int


@dataclass(frozen=True)
class Failed:
    """There is no complete answer; what was charged was given back."""

    text: str


Event = Piece | Done | Failed
# What the work puts in for the asker: the events, or in their place the refusal.
Queue = asyncio.Queue[Event | Exception]


@dataclass(frozen=True)
class _Prepared:
    charge: int
    turns: list[Turn]
    stored: str | None


class Replies:
    """Answers questions. The work goes on when the asker's connection is lost: a paid answer gets stored."""

    def __init__(self, store: Store, model: Model, model_name: str, price: int) -> None:
        """Take the database, the model, its name for the record, and the price of a reply in credits."""
        self._store = store
        self._model = model
        self._model_name = model_name
        self._price = price
        self._running: dict[str, asyncio.Task[None]] = {}

    async def ask(self, question: Question) -> tuple[Event, AsyncIterator[Event]]:
        """Charge, and give the first event and the stream of the others.

        Raises:
            RefusedError: no credits, no member, no such conversation, or the same attempt is running.
            StoreUnavailableError: the database is away; nothing was charged.
        """
        key = question.charge_key
        if key in self._running:
            raise RefusedError(409, "the same request is being answered right now")
        queue: Queue = asyncio.Queue()
        task = asyncio.create_task(self._answer(question, queue))
        self._running[key] = task
        task.add_done_callback(lambda _: self._running.pop(key))
        first = await queue.get()
        if isinstance(first, Exception):
            raise first
        return first, _drain(queue)

    async def close(self, patience: float) -> None:
        """Let running answers end for `patience` seconds; then they are ended and refunded."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running.values(), timeout=patience)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _answer(self, question: Question, queue: Queue) -> None:
        try:
            prepared = await self._prepare(question)
        except Exception as error:  # noqa: BLE001 - whatever it is, ask() raises it to the caller
            queue.put_nowait(error)
            return
        try:
            queue.put_nowait(await self._produce(question, prepared, queue))
        except BaseException as error:
            queue.put_nowait(Failed(await self._undo(question, error)))
            if not isinstance(error, Exception):
                raise

    async def _prepare(self, question: Question) -> _Prepared:
        """Charge and store the question in one transaction: both or neither."""
        async with self._store.session() as session:
            arguments = (question.organization, self._price, "reply", question.charge_key, question.user)
            charge = (await call(session, "deduct_credits", *arguments))[0]
            await become(session, "authenticated", question.user)
            await _open_conversation(session, question)
            if charge["replayed"]:
                stored = await _stored_reply(session, charge["entry_id"])
                if stored is not None:
                    return _Prepared(charge["entry_id"], [], stored)
            await _store_question(session, question)
            return _Prepared(charge["entry_id"], await read_turns(session, question.conversation_id), None)

    async def _produce(self, question: Question, prepared: _Prepared, queue: Queue) -> Done:
        if prepared.stored is not None:
            queue.put_nowait(Piece(prepared.stored))
            return await self._finish(question)
        pieces: list[str] = []
        async with asyncio.timeout(DEADLINE_S):
            async for piece in self._model.stream(SYSTEM, prepared.turns):
                pieces.append(piece)
                queue.put_nowait(Piece(piece))
        if not pieces:
            raise ModelError("the AI service gave an empty answer")
        answer = (question.conversation_id, "".join(pieces), self._model_name, prepared.charge)
        return await self._finish(question, answer)

    async def _finish(self, question: Question, answer: tuple[object, ...] | None = None) -> Done:
        """Store the answer and read what is left, in one transaction: if either fails, so do both."""
        async with self._store.session() as session:
            if answer is not None:
                await call(session, "store_reply", *answer)
            balance = (await call(session, "credit_balance", question.organization))[0]["credit_balance"]
        return Done(question.conversation_id, balance)

    async def _undo(self, question: Question, error: BaseException) -> str:
        """Give the charge back and say what went wrong, in words for the user."""
        text = str(error) if isinstance(error, ModelError) else "the reply could not be finished"
        text = "the AI service took too long" if isinstance(error, TimeoutError) else text
        LOG.warning("reply failed", exc_info=error)
        try:
            await self._store.call("refund_credits", question.organization, question.charge_key, text)
        except Exception:
            # The ledger shows a charge without a reply; the key is what finds it.
            LOG.exception("refund failed", extra={"fields": {"charge_key": question.charge_key}})
            return f"{text}, and your credits could not be given back yet; ask the support"
        return f"{text}; your credits were given back"


async def _drain(queue: Queue) -> AsyncIterator[Event]:
    while True:
        event = await queue.get()
        if isinstance(event, Exception):
            raise event
        yield event
        if not isinstance(event, Piece):
            return


async def _open_conversation(session: Session, question: Question) -> None:
    if question.conversation is not None:
        found = await session.execute(
            "select 1 from public.conversations where id = %s and organization_id = %s and user_id = %s",
            [question.conversation, question.organization, question.user],
        )
        if await found.fetchone() is None:
            raise RefusedError(404, "no such conversation of this user")
        return
    await session.execute(
        "insert into public.conversations (id, organization_id, title) values (%s, %s, %s)"
        " on conflict (id) do nothing",
        [question.conversation_id, question.organization, question.message[:80]],
    )


async def _stored_reply(session: Session, charge: int) -> str | None:
    """Find the answer that an earlier attempt paid for."""
    found = await session.execute("select content from public.messages where charge_id = %s", [charge])
    row = await found.fetchone()
    return None if row is None else str(row["content"])


async def _store_question(session: Session, question: Question) -> None:
    """Add the question, unless an attempt that died left it as the last message."""
    await session.execute(
        "insert into public.messages (organization_id, conversation_id, role, content)"
        " select %(organization)s, %(conversation)s, 'user', %(message)s"
        " where not exists (select from (select role, content from public.messages"
        " where conversation_id = %(conversation)s order by id desc limit 1) as last"
        " where last.role = 'user' and last.content = %(message)s)",
        {
            "organization": question.organization,
            "conversation": question.conversation_id,
            "message": question.message,
        },
    )


async def read_turns(session: Session, conversation: UUID) -> list[Turn]:
    """Read the end of a conversation, oldest message first, as a user who may."""
    found = await session.execute(
        "select role, content from public.messages where conversation_id = %s order by id desc limit %s",
        [conversation, HISTORY],
    )
    turns = [Turn(row["role"], row["content"]) for row in reversed(await found.fetchall())]
    # Both dialects expect a user's message first.
    first = next((place for place, turn in enumerate(turns) if turn.role == "user"), len(turns))
    return turns[first:]
