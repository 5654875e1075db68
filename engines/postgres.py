"""Connections to PostgreSQL: opened with a deadline, named, and described without their password."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import conninfo_to_dict

from engines.errors import GroundworkError

APPLICATION_NAME = "groundwork"


class DatabaseUnreachableError(GroundworkError):
    """No session could be opened; the text names the server, never the password."""


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
) -> psycopg.Connection[tuple[object, ...]]:
    """Open a session that works through session poolers too.

    Args:
        dsn: a libpq URL or key/value string.
        application_name: shown in pg_stat_activity.
        autocommit: False opens a transaction at the first statement.
        connect_timeout: seconds for the whole attempt.

    Raises:
        DatabaseUnreachableError: nothing answers, or the login is refused.
    """
    target = describe(dsn)
    try:
        # Prepared statements do not survive a pooler (Supabase docs, connecting-to-postgres).
        return psycopg.connect(
            dsn,
            application_name=application_name,
            autocommit=autocommit,
            connect_timeout=connect_timeout,
            prepare_threshold=None,
        )
    except psycopg.OperationalError as error:
        reason = redact(str(error).strip(), dsn)
        message = f"cannot reach the database {target}: {reason}"
        raise DatabaseUnreachableError(message) from None
