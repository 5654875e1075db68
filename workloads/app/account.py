"""What the page shows of a signed-in user, read under row level security."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from store import RefusedError, become, call

if TYPE_CHECKING:
    from uuid import UUID

    from store import Row, Session, Store

SHOWN = 100
DEMO_ADDRESS = "demo@example.com"


@dataclass(frozen=True)
class Account:
    """One user at one of their organizations.

    Attributes:
        organization: id, name, the user's role and the balance of credits.
        others: the user's other organizations.
        conversation: the one that is shown; None: a new one.
        messages: its messages, oldest first.
    """

    organization: Row
    others: list[Row]
    conversation: UUID | None
    messages: list[Row]


async def read(store: Store, user: UUID, organization: UUID | None, conversation: UUID | None) -> Account:
    """Read the page's data in one transaction; without ids: the personal organization, the newest talk.

    Raises:
        RefusedError: the user is no member of that organization, or has none.
        StoreUnavailableError: the database is away.
    """
    async with store.session() as session:
        memberships = await call(session, "user_organizations", user)
        chosen = [row for row in memberships if organization in {None, row["organization_id"]}][:1]
        if not chosen:
            raise RefusedError(404, "no such organization")
        await become(session, "authenticated", user)
        shown = await _conversation(session, chosen[0]["organization_id"], conversation)
        messages = await _messages(session, shown) if shown else []
    others = [row for row in memberships if row is not chosen[0]]
    return Account(chosen[0], others, shown, messages)


async def _conversation(session: Session, organization: UUID, wanted: UUID | None) -> UUID | None:
    found = await session.execute(
        "select id from public.conversations where organization_id = %(organization)s"
        " and user_id = auth.uid() and (%(wanted)s::uuid is null or id = %(wanted)s)"
        " order by updated_at desc, id limit 1",
        {"organization": organization, "wanted": wanted},
    )
    row = await found.fetchone()
    return row["id"] if row else None


async def _messages(session: Session, conversation: UUID) -> list[Row]:
    found = await session.execute(
        "select role, content from public.messages where conversation_id = %s order by id desc limit %s",
        [conversation, SHOWN],
    )
    return list(reversed(await found.fetchall()))


async def sign_in_as_demo(store: Store) -> UUID:
    """Give the user id of the demo account, made on first use.

    Raises:
        RefusedError: the database's owner does not allow demo accounts.
    """
    rows = await store.call("ensure_demo_account", DEMO_ADDRESS)
    user: UUID = rows[0]["ensure_demo_account"]
    return user


async def join_waitlist(store: Store, email: str) -> None:
    """Put an address on the waitlist, as a visitor; a known address makes no difference.

    Raises:
        RefusedError: it is no address.
    """
    async with store.session() as session:
        await become(session, "anon")
        await call(session, "join_waitlist", email, "app")
