"""Vault entries are written, compared and removed in a real project database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from engines import vault
from engines.proofs import fingerprint
from engines.vault import VaultError


def stored(dsn: str, name: str) -> list[tuple[object, ...]]:
    """Read an entry as SQL in the database would."""
    query = "select decrypted_secret, description, updated_at from vault.decrypted_secrets where name = %s"
    with psycopg.connect(dsn) as session:
        return session.execute(query, [name]).fetchall()


def test_secret_is_kept_encrypted(empty_project: str) -> None:
    """A value comes back through the view, and is not plain in the table."""
    vault.put_secret(empty_project, "key", "canary 'value' ü", "what for")

    with psycopg.connect(empty_project) as session:
        raw = session.execute("select secret from vault.secrets where name = 'key'").fetchone()
    assert stored(empty_project, "key")[0][:2] == ("canary 'value' ü", "what for")
    assert "canary" not in str(raw)


def test_equal_secret_is_not_written(empty_project: str) -> None:
    """Putting the same again leaves the entry as it is."""
    vault.put_secret(empty_project, "key", "value", "text")
    before = stored(empty_project, "key")

    vault.put_secret(empty_project, "key", "value", "text")

    assert stored(empty_project, "key") == before


@pytest.mark.parametrize(("value", "description"), [("new", "text"), ("value", "new"), ("new", "")])
def test_changed_secret_is_updated(empty_project: str, value: str, description: str) -> None:
    """Another value or description replaces the old one in its place."""
    vault.put_secret(empty_project, "key", "value", "text")

    vault.put_secret(empty_project, "key", value, description)

    [row] = stored(empty_project, "key")
    assert row[:2] == (value, description)


def test_undecryptable_secret_is_made_anew(empty_project: str) -> None:
    """What a restore elsewhere made unreadable is replaced, for its source is known."""
    vault.put_secret(empty_project, "key", "value")
    vault.put_secret(empty_project, "other", "other value")
    break_entry(empty_project, "key")

    vault.put_secret(empty_project, "key", "value")

    assert stored(empty_project, "key")[0][0] == "value"
    assert stored(empty_project, "other")[0][0] == "other value"


def break_entry(dsn: str, name: str) -> None:
    """Damage an entry's ciphertext, which only the server's superuser can."""
    admin = dsn.replace("//postgres:", "//supabase_admin:")
    with psycopg.connect(admin, autocommit=True) as session:
        session.execute("update vault.secrets set nonce = '\\x00' where name = %s", [name])


def test_two_at_once_make_one_entry(empty_project: str) -> None:
    """Concurrent updates of a new entry end with one."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: vault.put_secret(empty_project, "key", "value"), range(4)))

    assert len(stored(empty_project, "key")) == 1


def test_dropped_secret_is_gone(empty_project: str) -> None:
    """A drop removes the entry and only it; a second one is no error."""
    vault.put_secret(empty_project, "key", "value")
    vault.put_secret(empty_project, "other", "value")

    vault.drop_secret(empty_project, "key")
    vault.drop_secret(empty_project, "key")

    assert not stored(empty_project, "key")
    assert stored(empty_project, "other")


def test_fingerprint_proves_the_value(empty_project: str) -> None:
    """The fingerprint is that of services which hold the value; a missing entry has none."""
    vault.put_secret(empty_project, "key", "value")

    found = vault.fingerprint(empty_project, "key", "some nonce")

    assert found == fingerprint("value", "some nonce")
    assert vault.fingerprint(empty_project, "missing", "some nonce") is None


def test_database_without_vault_is_told(database: str) -> None:
    """A plain PostgreSQL is refused by name, and the value stays out of the text."""
    with pytest.raises(VaultError, match="Vault entry key in postgres@127") as caught:
        vault.put_secret(database, "key", "canary-value")

    assert "supabase_vault" in str(caught.value)
    assert "canary" not in str(caught.value)
