"""Keys that sign a project's JSON Web Tokens, and their four states.

A new key is `standby`: services learn it before it signs. One at a time is `in_use`; the one before it is
`previously_used`, whose tokens are still good; `revoked` ones are not, and may be deleted after a while.
See https://supabase.com/docs/guides/auth/signing-keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter

from engines.supabase.creation import create_once
from engines.supabase.errors import NotFoundError
from engines.supabase.session import Call
from engines.supabase.wire import Answer, project_path, segment

if TYPE_CHECKING:
    from collections.abc import Callable

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


_KEYS: TypeAdapter[tuple[SigningKey, ...]] = TypeAdapter(tuple[SigningKey, ...])


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

    def create(self, ref: str, algorithm: Algorithm, private_jwk: dict[str, Any] | None = None) -> SigningKey:
        """Create a key in standby; without `private_jwk` the service makes one that nobody sees."""
        known = {key.id for key in self.all(ref)}

        def find() -> SigningKey | None:
            new = [key for key in self.all(ref) if key.id not in known and key.algorithm == algorithm]
            return new[0] if new else None

        body: dict[str, Any] = {"algorithm": algorithm, "status": "standby"}
        if private_jwk is not None:
            body["private_jwk"] = private_jwk
        secrets = tuple(str(value) for name, value in (private_jwk or {}).items() if name in _PRIVATE)
        action = f"creating a signing key of project {ref}"
        call = Call("POST", _path(ref), action, body=body, secrets=secrets, repeatable=False)
        return self._create(call, find)

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
        """Make the project's old JWT secret a signing key, in use."""
        action = f"taking over the legacy JWT secret of project {ref}"
        call = Call("POST", _path(ref, "legacy"), action, repeatable=False)
        return self._create(call, lambda: self.legacy(ref))

    def _create(self, call: Call, find: Callable[[], SigningKey | None]) -> SigningKey:
        return create_once(self._session, call, SigningKey.model_validate, find)


def _path(ref: str, *parts: str) -> str:
    return project_path(ref, "config/auth/signing-keys", *parts)
