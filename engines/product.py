"""Switches of the product that lie in its database and are the deploy's to set."""

from __future__ import annotations

import psycopg

from engines import postgres
from engines.errors import GroundworkError


class ProductError(GroundworkError):
    """A switch cannot be set; the text says which, and why."""


def set_demo_accounts(dsn: str, *, allowed: bool) -> None:
    """Allow demo accounts, or stop the making of new ones (docs/schema.md, `set_demo_accounts`).

    Args:
        dsn: the owner's login.
        allowed: whether the app may make them.

    Raises:
        ProductError: the migrations have not made the switch, or the login is not the owner's.
        DatabaseUnreachableError: the database does not answer.
    """
    with postgres.connect(dsn) as session:
        try:
            session.execute("select public.set_demo_accounts(%s)", [allowed])
        except psycopg.Error as error:
            reason = error.diag.message_primary or type(error).__name__
            text = f"demo accounts cannot be switched at {postgres.describe(dsn)}: {reason}"
            raise ProductError(text) from None
