"""Entries of Supabase Vault: secrets that SQL in the database may use (https://supabase.com/docs/guides/database/vault).

Values travel as bind parameters, so no statement's text has them.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from engines import postgres, proofs
from engines.errors import GroundworkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    Session = psycopg.Connection[tuple[object, ...]]

# Any number: it only has to differ from other advisory locks of ours.
_LOCK = 7_402_002
_READ = "select decrypted_secret, description from vault.decrypted_secrets where name = %s"
_ID = "select id from vault.secrets where name = %s"


class VaultError(GroundworkError):
    """An entry cannot be read or written; the text names the entry, never its value."""


def put_secret(dsn: str, name: str, value: str, description: str = "") -> None:
    """Have an entry with this value and description; one that is equal is not written.

    Raises:
        VaultError: the database has no Vault, or refuses.
    """
    with _entry(dsn, name) as session:
        if _read(session, name) == (value, description):
            return
        row = session.execute(_ID, [name]).fetchone()
        if row is None:
            session.execute("select vault.create_secret(%s, %s, %s)", [value, name, description])
        else:
            query = "select vault.update_secret(%s, %s, %s, %s)"
            session.execute(query, [row[0], value, name, description])


def drop_secret(dsn: str, name: str) -> None:
    """Remove an entry; one that is not there is no error.

    Raises:
        VaultError: the database refuses.
    """
    with _entry(dsn, name) as session:
        session.execute("delete from vault.secrets where name = %s", [name])


def fingerprint(dsn: str, name: str, nonce: str) -> str | None:
    """Prove which value an entry has without showing it.

    Returns:
        Its fingerprint of `nonce` (`engines.proofs`), as the agent's `/health?nonce=` gives it; None: there
        is no such entry.

    Raises:
        VaultError: the database has no Vault, or refuses.
    """
    with _entry(dsn, name) as session:
        row = session.execute(_READ, [name]).fetchone()
    return None if row is None else proofs.fingerprint(str(row[0]), nonce)


@contextmanager
def _entry(dsn: str, name: str) -> Iterator[Session]:
    """Open a transaction that has an entry to itself."""
    with postgres.connect(dsn) as session:
        try:
            with session.transaction():
                session.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
                _ensure_vault(session)
                yield session
        except psycopg.Error as error:
            reason = error.diag.message_primary or type(error).__name__
            raise VaultError(f"Vault entry {name} in {postgres.describe(dsn)}: {reason}") from None


def _ensure_vault(session: Session) -> None:
    row = session.execute("select to_regclass('vault.decrypted_secrets')").fetchone()
    if row is None or row[0] is None:
        session.execute("create extension if not exists supabase_vault cascade")


def _read(session: Session, name: str) -> tuple[str, str] | None:
    """Read an entry; one that cannot be decrypted is removed, for only its source can bring it back.

    The key stays on the server: after a logical restore elsewhere the stored text is of no use.
    """
    try:
        with session.transaction():
            row = session.execute(_READ, [name]).fetchone()
    except (psycopg.DataError, psycopg.InternalError):
        session.execute("delete from vault.secrets where name = %s", [name])
        return None
    return None if row is None else (str(row[0]), str(row[1]))
