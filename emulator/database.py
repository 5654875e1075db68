"""Make a fresh PostgreSQL server look like the database of a new hosted Supabase project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from emulator import extensions, peer

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPTS = Path(__file__).parent / "sql"
OWNER = "postgres"
# A comment that tells a prepared server; written in the transaction that prepares it.
_MARK = "superuser of an emulated project"
# Only applied when the flag of the old, automatic exposure is off.
_NOT_EXPOSED = "03_not_exposed.sql"
# Any number: it only has to differ from other advisory locks of the emulator.
_PREPARE_LOCK = 7_301_001


def server_settings() -> dict[str, str]:
    """Give the settings of postgresql.conf in which a hosted project differs from PostgreSQL's defaults.

    They are for `emulator.postgres.Server.settings`. `prepare` sets what depends on the data folder.
    """
    return {
        "shared_preload_libraries": "pg_stat_statements",
        "wal_level": "logical",
        "max_replication_slots": "10",
        "max_wal_senders": "10",
        "statement_timeout": "2min",
        "timezone": "UTC",
        # The text of a statement that fails may hold a password.
        "log_min_error_statement": "panic",
        "log_timezone": "UTC",
        "cron.timezone": "GMT",
        "pg_net.batch_size": "200",
        "pg_net.ttl": "6 hours",
    }


def prepare(admin_dsn: str, *, owner_password: str, exposed_by_default: bool = False) -> None:
    """Give a new server the roles, schemas, grants and extensions of a hosted project; done once per server.

    Call it after every start of a server: a prepared one only has its extension folder renewed (the folder
    holds absolute paths of the installation), and keeps the owner's password.

    Args:
        admin_dsn: URL of the database `postgres`, as the superuser `supabase_admin`.
        owner_password: the first password of the role `postgres`.
        exposed_by_default: grant what the owner creates in `public` to the Data API's roles, as projects
            did that were made before 2026-05-30.

    Raises:
        psycopg.Error: the server cannot be reached, or refused a script.
        OSError: the data folder cannot be written.
    """
    with _connect(admin_dsn) as session:
        # Two callers at once: the second waits, and then finds the work done.
        session.execute("select pg_advisory_lock(%s)", [_PREPARE_LOCK])
        extensions.install(session)
        peer.allow(session)
        with session.transaction():
            if not _is_prepared(session):
                _run_scripts(session, exposed_by_default=exposed_by_default)
                _set_password(session, owner_password)
                session.execute(sql.SQL("comment on role supabase_admin is {}").format(sql.Literal(_MARK)))


def set_owner_password(admin_dsn: str, password: str) -> None:
    """Change the password of the role `postgres`; sessions that are open stay open, as on the platform.

    Raises:
        psycopg.Error: the server cannot be reached.
    """
    with _connect(admin_dsn) as session:
        _set_password(session, password)


def _connect(admin_dsn: str) -> psycopg.Connection:
    # Without a search path, no function of the project's own can be called by mistake as superuser.
    return psycopg.connect(admin_dsn, autocommit=True, options="-c search_path=")


def _is_prepared(session: psycopg.Connection) -> bool:
    query = "select shobj_description('supabase_admin'::regrole, 'pg_authid') = %s"
    row = session.execute(query, [_MARK]).fetchone()
    return row is not None and row[0] is True


def _run_scripts(session: psycopg.Connection, *, exposed_by_default: bool) -> None:
    for script in _scripts(exposed_by_default=exposed_by_default):
        session.execute(script.read_bytes())


def _scripts(*, exposed_by_default: bool) -> Iterator[Path]:
    for script in sorted(SCRIPTS.glob("*.sql")):
        if not (exposed_by_default and script.name == _NOT_EXPOSED):
            yield script


def _set_password(session: psycopg.Connection, password: str) -> None:
    # Hashed on this side: neither the server's log nor pg_stat_statements can show the password.
    verifier = session.pgconn.encrypt_password(password.encode(), OWNER.encode(), b"scram-sha-256")
    query = sql.SQL("alter role {} password {}").format(sql.Identifier(OWNER), sql.Literal(verifier.decode()))
    session.execute(query)
