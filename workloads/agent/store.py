"""PostgreSQL as a limited role: a pool that outlives the server, and transactions in a user's name.

App and agent have the same module: each image is built from its own folder alone.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar, LiteralString, Self

from psycopg import AsyncConnection, AsyncCursor, Error, OperationalError, sql
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from report import CheckFailedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from uuid import UUID

Row = dict[str, Any]

POOL_SIZE = 10
WAIT_S = 2.5
# docs/schema.md, "Errors, by SQLSTATE"; 42501 and 23503: a row that RLS hides or refuses.
REFUSALS = {
    "PT402": (402, "not enough credits"),
    "PT403": (403, "the user may not do this in this organization"),
    "PT404": (404, "no such organization or conversation"),
    "PT409": (409, "this was done or taken back before; a new try needs a new key"),
    "22023": (422, "a value is out of range"),
    "42501": (403, "the user may not do this in this organization"),
    "23503": (404, "no such organization or conversation"),
    "22P02": (422, "a value cannot be stored as it is"),
    "22P05": (422, "a text has a character that cannot be stored"),
}


class StoreUnavailableError(CheckFailedError):
    """The database gave no session in time, or ended it."""


class RefusedError(Exception):
    """The database's own rules refuse the request.

    Attributes:
        status: the HTTP status that says the same.
    """

    def __init__(self, status: int, text: str) -> None:
        """Take the HTTP status and the reason."""
        super().__init__(text)
        self.status = status


class Session(AsyncConnection[Row]):
    """A connection that leaves a note when it cannot be made, for the pool keeps only its own timeout."""

    failure: ClassVar[str] = "no answer"

    @classmethod
    async def connect(cls, conninfo: str = "", **options: Any) -> Self:
        """Connect as the base class does."""
        try:
            return await super().connect(conninfo, **options)
        except OperationalError as error:
            # libpq names host, user and reason, never the password.
            Session.failure = str(error).splitlines()[0]
            raise


class Store:
    """Sessions of one login. A call runs as the service, or as a user under row level security."""

    def __init__(self, dsn: str, name: str, connected: Callable[[], None]) -> None:
        """Prepare a pool; nothing connects before the first call.

        Args:
            dsn: URL of the login.
            name: what the server's list of sessions shows.
            connected: called for every new session, which is when the password is used.
        """

        async def configure(session: Session) -> None:
            del session
            connected()

        options = {
            "autocommit": True,
            "row_factory": dict_row,
            "application_name": name,
            "connect_timeout": 2,
            # Prepared statements do not survive a transaction pooler.
            "prepare_threshold": None,
        }
        # No session is kept without need (min_size) and a failed attempt ends soon (reconnect_timeout):
        # the first call after an outage connects at once instead of sitting out the pool's backoff.
        self._pool = AsyncConnectionPool(
            dsn,
            connection_class=Session,
            kwargs=options,
            open=False,
            min_size=0,
            max_size=POOL_SIZE,
            timeout=WAIT_S,
            reconnect_timeout=1,
            configure=configure,
        )

    async def open(self) -> None:
        """Start the pool; it does not matter whether the database is there yet."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """End every session."""
        await self._pool.close()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Run a transaction as the service.

        Raises:
            StoreUnavailableError: no session, or it ended in the middle.
            RefusedError: a rule of the schema says no.
        """
        # The inner block commits, or rolls back after an error, and leaves the pool's session open.
        async with self._lend("begin") as (session, _), session:
            yield session

    @asynccontextmanager
    async def _lend(self, statement: LiteralString) -> AsyncIterator[tuple[Session, AsyncCursor[Row]]]:
        """Lend a session and the outcome of its first statement, without a round trip to try it before.

        Raises as `session`.
        """
        try:
            session, outcome = await self._first(statement)
            try:
                yield session, outcome
            finally:
                await self._pool.putconn(session)
        except PoolTimeout:
            text = f"no session with the database within {WAIT_S} s: {Session.failure}"
            raise StoreUnavailableError(text) from None
        except Error as error:
            raise _translate(error) from error

    async def _first(self, statement: LiteralString) -> tuple[Session, AsyncCursor[Row]]:
        """Run a statement that does no harm twice; a session that ended in the pool is replaced."""
        for _ in range(POOL_SIZE):
            session = await self._pool.getconn()
            try:
                return session, await session.execute(statement)
            except BaseException as error:
                await self._pool.putconn(session)
                if not (session.closed and isinstance(error, OperationalError)):
                    raise
        raise PoolTimeout

    @asynccontextmanager
    async def as_user(self, user: UUID) -> AsyncIterator[Session]:
        """Run a transaction under row level security in the name of a user; raises as `session`."""
        async with self.session() as session:
            await become(session, "authenticated", user)
            yield session

    async def call(self, function: str, *arguments: object) -> list[Row]:
        """Call a function of the schema as the service and give its rows; raises as `session`."""
        async with self.session() as session:
            return await call(session, function, *arguments)

    async def check(self) -> None:
        """Tell whether the login reaches the product's schema.

        Raises:
            CheckFailedError: no session, or the migrations were not applied.
        """
        # One statement and no transaction: the answer to a probe costs one round trip.
        async with self._lend("select to_regproc('public.credit_balance') as name") as (_, found):
            row = await found.fetchone()
        if row is None or row["name"] is None:
            raise CheckFailedError("the database has not the product's schema: apply the migrations")


def _translate(error: Error) -> Exception:
    refusal = REFUSALS.get(error.sqlstate or "")
    if refusal is not None:
        return RefusedError(*refusal)
    if isinstance(error, OperationalError):
        return StoreUnavailableError("the database ended the session")
    return error


async def become(session: Session, role: str, user: UUID | None = None) -> None:
    """Let the rest of the transaction run as `authenticated` (with the user) or `anon`."""
    claims = {"role": role, **({"sub": str(user)} if user else {})}
    await session.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
    await session.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])


async def call(session: Session, function: str, *arguments: object) -> list[Row]:
    """Call a function of the schema `public` with arguments by position."""
    places = sql.SQL(", ").join([sql.Placeholder()] * len(arguments))
    query = sql.SQL("select * from public.{}({})").format(sql.Identifier(function), places)
    return await (await session.execute(query, arguments)).fetchall()
