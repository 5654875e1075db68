"""Whether anybody still uses an old version of a secret: what services noted, and which sessions are open.

Services note each version that they are shown in the table `private.secret_use` (a migration of the product
makes it), so that what replicas saw outlives them. A login shows its use by its sessions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from engines import logins, postgres
from engines.errors import GroundworkError

if TYPE_CHECKING:
    from collections.abc import Collection

_TABLE = "select pg_catalog.to_regclass('private.secret_use') is not null"
_NOTED = """
select version, service, extract(epoch from pg_catalog.now() - last_used_at)::float8
from private.secret_use
where secret = %s and version = any(%s)
    and last_used_at > pg_catalog.now() - pg_catalog.make_interval(secs => %s)
order by last_used_at desc
"""


class UsageError(GroundworkError):
    """The database does not say who uses a secret; the text names the secret."""


@dataclass(frozen=True)
class Use:
    """That somebody uses a version of a secret.

    Attributes:
        version: which.
        by: who, and when, in words.
    """

    version: int
    by: str


def noted(dsn: str, secret: str, versions: Collection[int], within_s: float) -> tuple[Use, ...]:
    """Give who was shown one of some versions lately, the latest first.

    A database whose schema has no such table yet knows of no use.

    Args:
        dsn: a login that may read the table.
        secret: the secret's name.
        versions: which to look for.
        within_s: how long ago a use may be, in seconds.

    Raises:
        UsageError: the database refuses.
        DatabaseUnreachableError: it is not reached.
    """
    with postgres.connect(dsn) as session:
        try:
            row = session.execute(_TABLE).fetchone()
            if row is None or not row[0]:
                return ()
            found = session.execute(_NOTED, [secret, list(versions), within_s]).fetchall()
        except psycopg.Error as error:
            reason = error.diag.message_primary or type(error).__name__
            raise UsageError(f"who uses {secret} cannot be read: {reason}") from None
    return tuple(
        Use(int(str(number)), f"the {service} was shown it {float(str(age)):.0f} s ago")
        for number, service, age in found
    )


def sessions(dsn: str, role: str, versions: Collection[int]) -> tuple[Use, ...]:
    """Give which of some versions of a login have open sessions.

    Args:
        dsn: any login.
        role: base name of the login's two roles.
        versions: which to look for.

    Raises:
        LoginError: the database refuses.
        DatabaseUnreachableError: it is not reached.
    """
    return tuple(
        Use(one.version, f"{one.role} has {one.sessions} open session{'s' if one.sessions > 1 else ''}")
        for one in logins.read_held(dsn, role)
        if one.version in versions and one.sessions
    )
