"""Connections to PostgreSQL: opened with a deadline, named, and described without their password."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from engines.acting import acting
from engines.errors import GroundworkError

if TYPE_CHECKING:
    Session = psycopg.Connection[tuple[object, ...]]

APPLICATION_NAME = "groundwork"
# Without a session there is no SQLSTATE: words of PostgreSQL (28000, 28P01), libpq and Supavisor.
_REFUSED: Final = re.compile(
    r"authentication failed|no password supplied|role \"[^\"]*\" does not exist|not permitted to log in"
    r"|user not found|wrong password",
    re.IGNORECASE,
)


class DatabaseUnreachableError(GroundworkError):
    """No session could be opened; the text names the server, never the password."""


class LoginRefusedError(DatabaseUnreachableError):
    """The server answers, but takes neither this role nor its password."""


def describe(dsn: str) -> str:
    """Say where a DSN points as `user@host:port/database`, without its password.

    Raises:
        DatabaseUnreachableError: the DSN cannot be parsed.
    """
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        # The parser's message may quote the string it was given, password included.
        message = "the database URL cannot be parsed; expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        raise DatabaseUnreachableError(message) from None
    host, port = parts.get("host", "localhost"), parts.get("port", 5432)
    return f"{parts.get('user', '')}@{host}:{port}/{parts.get('dbname', parts.get('user', ''))}"


def redact(text: str, dsn: str) -> str:
    """Remove the password of `dsn` from a text that a driver or server wrote."""
    password = conninfo_to_dict(dsn).get("password")
    return text.replace(str(password), "[secret]") if password else text


def connect(
    dsn: str, *, application_name: str = APPLICATION_NAME, autocommit: bool = True, connect_timeout: int = 5
) -> Session:
    """Open a session that works through session poolers too; a temporary login takes its role.

    Args:
        dsn: a libpq URL or key/value string.
        application_name: shown in pg_stat_activity.
        autocommit: False opens a transaction at the first statement.
        connect_timeout: seconds for the whole attempt.

    Raises:
        LoginRefusedError: the login is refused.
        DatabaseUnreachableError: nothing answers, or no session can be opened.
    """
    target = describe(dsn)
    try:
        # Prepared statements do not survive a pooler (Supabase docs, connecting-to-postgres).
        session = psycopg.connect(
            dsn,
            application_name=application_name,
            autocommit=True,
            connect_timeout=connect_timeout,
            prepare_threshold=None,
        )
        _take_role(session)
    except psycopg.Error as error:
        reason = redact(str(error).strip(), dsn)
        kind = LoginRefusedError if _REFUSED.search(reason) else DatabaseUnreachableError
        raise kind(f"cannot reach the database {target}: {reason}") from None
    session.autocommit = autocommit
    return session


def _take_role(session: Session) -> None:
    """Let a temporary login work as its role."""
    try:
        if found := acting(session):
            session.execute(found.begin.encode())
    except psycopg.Error:
        session.close()
        raise
