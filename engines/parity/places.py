"""Asks each place what it holds of the secrets."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx

from engines import logins, postgres, vault
from engines.parity.known import REFUSED, UNKNOWN, newest_first
from engines.proofs import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engines.parity.known import Found, Known, Secrets, Versions

PATHS: Final = {"app": "/api/health", "agent": "/health"}
CRON: Final = "cron"
DATABASE: Final = "database"
FUNCTIONS: Final = "functions."
REQUEST_TIMEOUT_S: Final = 10.0
# Each answer may come from another replica: one more than twice as many are asked for as replicas were seen.
_ASKS_PER_REPLICA, _MOST_ASKS = 2, 30
# A connection of its own each time, also behind a proxy.
_ALONE: Final = {"Connection": "close"}


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What there is to ask.

    Attributes:
        services: `app` and `agent` → base URL.
        dsn: a login of the database's owner; None: the database is not asked.
        logins: base name of two roles → the DSN that their service was given.
        digests: gives the SHA-256 of edge functions' secrets by name; None: they are not asked.
    """

    services: Mapping[str, str]
    dsn: str | None = field(default=None, repr=False)
    logins: Mapping[str, str] = field(default_factory=dict, repr=False)
    digests: Callable[[], Mapping[str, str]] | None = None


def look(stack: Stack, known: Secrets) -> Found:
    """Ask every place what it holds.

    Raises:
        DatabaseUnreachableError: the database is not reached.
        VaultError: the vault refuses.
        LoginError: the database refuses to say what its logins are.
    """
    found: Found = {}
    for place, url in stack.services.items():
        answers = _answers(url + PATHS[place])
        for name, secret in _at(known, place):
            found[name, place] = [answer.held(secret.listed_as or name, secret) for answer in answers]
    if stack.dsn is not None:
        found |= _in_database(stack, stack.dsn, known)
    if stack.digests is not None:
        found |= _in_functions(stack.digests(), known)
    return found


def _at(known: Secrets, place: str) -> list[tuple[str, Known]]:
    return [(name, secret) for name, secret in known.items() if place in secret.wanted()]


@dataclass(frozen=True)
class _Answer:
    """A health document, and the nonce that it was asked with."""

    document: dict[str, Any]
    nonce: str

    def held(self, listed_as: str, secret: Known) -> Versions:
        """Give the versions that this replica proves to hold."""
        try:
            prints = self.document["secrets"][listed_as]["fingerprint"]
            return newest_first({self._version(label, proof, secret) for label, proof in prints.items()})
        except (KeyError, TypeError, AttributeError):
            return ()

    def _version(self, label: str, proof: object, secret: Known) -> str:
        version = secret.version_of(lambda value: _same(fingerprint(value, self.nonce), str(proof)))
        # A value under another version's name would be used as that version.
        return version if label in {version, "current"} else UNKNOWN


def _answers(url: str) -> list[_Answer]:
    """Ask a service by new connections until every replica can be expected to have answered."""
    answers = [_ask(url)]
    replicas = {answers[0].document.get("instance")}
    while len(answers) < min(1 + _ASKS_PER_REPLICA * len(replicas), _MOST_ASKS):
        answers.append(_ask(url))
        replicas.add(answers[-1].document.get("instance"))
    return answers


def _ask(url: str) -> _Answer:
    nonce = secrets.token_hex(16)
    try:
        answer = httpx.get(
            url, params={"nonce": nonce}, headers=_ALONE, timeout=REQUEST_TIMEOUT_S, trust_env=False
        )
        # One that is not well still says what it holds.
        document = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        document = None
    return _Answer(document if isinstance(document, dict) else {}, nonce)


def _in_database(stack: Stack, dsn: str, known: Secrets) -> Found:
    crons = {(name, CRON): [_in_vault(dsn, name, secret)] for name, secret in _at(known, CRON)}
    roles = {name: str(secret.login) for name, secret in _at(known, DATABASE)}
    return crons | {(name, DATABASE): [_in_logins(stack, dsn, role)] for name, role in roles.items()}


def _in_vault(dsn: str, name: str, secret: Known) -> Versions:
    nonce = secrets.token_hex(16)
    proof = vault.fingerprint(dsn, name, nonce)
    if proof is None:
        return ()
    return (secret.version_of(lambda value: _same(fingerprint(value, nonce), proof)),)


def _in_logins(stack: Stack, dsn: str, role: str) -> Versions:
    """Give the versions whose roles can log in; that the service's own can, is tried."""
    if not _opens(stack.logins[role]):
        return (REFUSED,)
    return newest_first(str(one.version) for one in logins.read_held(dsn, role) if one.is_open)


def _opens(dsn: str) -> bool:
    try:
        postgres.connect(dsn).close()
    except postgres.LoginRefusedError:
        return False
    return True


def _in_functions(digests: Mapping[str, str], known: Secrets) -> Found:
    found: Found = {}
    for name, secret in known.items():
        for place in (one for one in secret.wanted() if one.startswith(FUNCTIONS)):
            digest = digests.get(place.removeprefix(FUNCTIONS))
            if digest is not None:
                found[name, place] = [(_of_digest(digest, secret),)]
    return found


def _of_digest(digest: str, secret: Known) -> str:
    return secret.version_of(lambda value: _same(hashlib.sha256(value.encode()).hexdigest(), digest))


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
