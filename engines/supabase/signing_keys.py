"""Keys that sign a project's JSON Web Tokens, and their four states.

A new key is `standby`: services learn it before it signs. One at a time is `in_use`; the one before it is
`previously_used`, whose tokens are still good; `revoked` ones are not, and may be deleted after a while.
See https://supabase.com/docs/guides/auth/signing-keys.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter

from engines.supabase.creation import create_once
from engines.supabase.errors import NotFoundError
from engines.supabase.session import Call
from engines.supabase.wire import Answer, project_path, segment

if TYPE_CHECKING:
    from collections.abc import Collection

    from engines.supabase.session import Session

Algorithm = Literal["EdDSA", "ES256", "RS256", "HS256"]
State = Literal["standby", "in_use", "previously_used", "revoked"]
# The members of a JSON Web Key that are secret (RFC 7518, section 6).
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})


class SigningKey(Answer):
    """One key; `public_jwk` is None where tokens are signed and checked with the same secret."""

    id: str
    algorithm: str
    status: str
    public_jwk: Any = None

    @property
    def kid(self) -> str | None:
        """Give the name that the key itself bears (RFC 7517, 4.5); None: none that is shown."""
        kid = self.public_jwk.get("kid") if isinstance(self.public_jwk, dict) else None
        return kid if isinstance(kid, str) else None


_KEYS: TypeAdapter[tuple[SigningKey, ...]] = TypeAdapter(tuple[SigningKey, ...])


class _Wish:
    """Which of a project's keys is the one that is wanted."""

    def __init__(self, algorithm: str, kid: str | None, known: Collection[str] | None) -> None:
        """Take what tells it: its own name, or that nobody knew it before."""
        self._algorithm = algorithm
        self._kid = kid
        self._known = known

    @property
    def is_named(self) -> bool:
        """Whether a list of keys shows its name; of a shared secret (HS256) nothing is shown."""
        return self._kid is not None and self._algorithm != "HS256"

    def pick(self, keys: tuple[SigningKey, ...]) -> SigningKey | None:
        """Find it; the first keys that are looked at are the known ones, if the caller names none."""
        if self._known is None:
            self._known = {key.id for key in keys}
        named = [key for key in keys if self._kid is not None and self._kid in {key.id, key.kid}]
        new = [key for key in keys if self._is_new(key)]
        return next(iter([*named, *new]), None)

    def _is_new(self, key: SigningKey) -> bool:
        is_other = self._kid is not None and key.kid is not None
        fits = (key.algorithm, key.status) == (self._algorithm, "standby")
        return fits and not is_other and key.id not in (self._known or ())


class SigningKeys:
    """The signing keys of projects."""

    def __init__(self, session: Session) -> None:
        """Use a session."""
        self._session = session

    def all(self, ref: str) -> tuple[SigningKey, ...]:
        """List a project's keys."""
        call = Call("GET", _path(ref), f"listing the signing keys of project {ref}")
        return self._session.read(call, lambda raw: _KEYS.validate_python(raw["keys"]))

    def get(self, ref: str, key_id: str) -> SigningKey:
        """Read one key."""
        call = Call("GET", _path(ref, segment(key_id)), f"reading a signing key of project {ref}")
        return self._session.read(call, SigningKey.model_validate)

    def create(
        self,
        ref: str,
        algorithm: Algorithm,
        private_jwk: dict[str, Any] | None = None,
        known: Collection[str] | None = None,
    ) -> SigningKey:
        """Create a key in standby, or take over the one that an earlier run made and lost.

        Args:
            ref: the project.
            algorithm: what it signs with.
            private_jwk: the key; a key with its `kid` is taken over. None: the service makes one that nobody
                sees.
            known: ids of all keys that the caller knows of; another one in standby is taken over. None: those
                that are there now, so that nothing is taken over but what this call itself makes.
        """
        wish = _Wish(algorithm, (private_jwk or {}).get("kid"), known)
        if made := wish.pick(self.all(ref)):
            return made
        body: dict[str, Any] = {"algorithm": algorithm, "status": "standby"}
        if private_jwk is not None:
            body["private_jwk"] = private_jwk
        secrets = tuple(str(value) for name, value in (private_jwk or {}).items() if name in _PRIVATE)
        action = f"creating a signing key of project {ref}"
        call = Call("POST", _path(ref), action, body=body, secrets=secrets, repeatable=False)
        return create_once(
            self._session,
            call,
            SigningKey.model_validate,
            lambda: wish.pick(self.all(ref)),
            is_taken_over=known is not None or wish.is_named,
        )

    def change(self, ref: str, key_id: str, status: State) -> SigningKey:
        """Bring a key into another state."""
        action = f"making a signing key of project {ref} {status}"
        call = Call("PATCH", _path(ref, segment(key_id)), action, body={"status": status})
        return self._session.read(call, SigningKey.model_validate)

    def delete(self, ref: str, key_id: str) -> None:
        """Delete a key that was revoked a while ago; one that is gone already is no error."""
        action = f"deleting a signing key of project {ref}"
        self._session.remove(Call("DELETE", _path(ref, segment(key_id)), action))

    def legacy(self, ref: str) -> SigningKey | None:
        """Read the key that is the project's old JWT secret; None: it was never taken over as one."""
        call = Call("GET", _path(ref, "legacy"), f"reading the legacy signing key of project {ref}")
        try:
            return self._session.read(call, SigningKey.model_validate)
        except NotFoundError:
            return None

    def take_over_legacy(self, ref: str) -> SigningKey:
        """Make the project's old JWT secret a signing key, in use; one that is a key already is given."""
        action = f"taking over the legacy JWT secret of project {ref}"
        call = Call("POST", _path(ref, "legacy"), action, repeatable=False)
        find = functools.partial(self.legacy, ref)
        return find() or create_once(self._session, call, SigningKey.model_validate, find)


def _path(ref: str, *parts: str) -> str:
    return project_path(ref, "config/auth/signing-keys", *parts)
