"""The secrets that this process holds: versions, when each was last used, and a proof that shows no value.

App and agent have the same module: each image is built from its own folder alone.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic import SecretStr

# The label of a secret whose version only others know.
CURRENT = "current"
# What the key of a fingerprint is derived for.
PURPOSE = b"groundwork fingerprint"


class Secret:
    """One secret: every version that this process accepts or presents."""

    def __init__(self, name: str, values: Mapping[str, SecretStr], note: Callable[[str, str], None]) -> None:
        """Take the values by version, and whom to tell the name and version of a use."""
        self.name = name
        self._values = {version: value.get_secret_value().encode() for version, value in values.items()}
        self._note = note
        self._used_at: dict[str, float] = {}

    @property
    def versions(self) -> list[str]:
        """The versions, the newest first."""
        return sorted(
            self._values, key=lambda version: int(version) if version.isdecimal() else 0, reverse=True
        )

    def value(self, version: str) -> bytes:
        """Give a version's value."""
        return self._values[version]

    def find(self, given: bytes, proof: Callable[[bytes], bytes]) -> str | None:
        """Name the version whose value has this proof; None: no version has.

        Every version is compared, in constant time: how long it takes tells nothing.
        """
        proofs = {version: proof(self._values[version]) for version in self.versions}
        matches = [version for version, one in proofs.items() if hmac.compare_digest(one, given)]
        return matches[0] if matches else None

    def used(self, version: str) -> None:
        """Remember that a version was used just now."""
        self._used_at[version] = time.monotonic()
        self._note(self.name, version)

    def document(self, nonce: str | None) -> dict[str, Any]:
        """Give what everybody may know; with a nonce the fingerprint of each version."""
        now = time.monotonic()
        used = {
            one: round(now - self._used_at[one], 1) if one in self._used_at else None for one in self.versions
        }
        document: dict[str, Any] = {"versions": self.versions, "last_used_s": used}
        if nonce is not None:
            document["fingerprint"] = {one: fingerprint(self._values[one], nonce) for one in self.versions}
        return document


def sign(key: bytes, message: bytes) -> str:
    """Give HMAC-SHA256 in hexadecimal digits (RFC 2104)."""
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def fingerprint(value: bytes, nonce: str) -> str:
    """Prove a value to whoever holds it too, by a key of this use alone.

    Anybody chooses the nonce: signed by the value itself, one that reads as a session or as a delivery would
    be answered with its signature.
    """
    return sign(hmac.digest(value, PURPOSE, hashlib.sha256), nonce.encode())


def password_of(url: str) -> str:
    """Give the password of a database URL; an empty one if it has none."""
    return str(conninfo_to_dict(url).get("password") or "")


def documents(secrets: Iterable[Secret], nonce: str | None) -> dict[str, Any]:
    """Give the documents of several secrets by name."""
    return {secret.name: secret.document(nonce) for secret in secrets}
