"""API keys of a project: the legacy pair of JSON Web Tokens, and those that replace it, each with a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, TypeAdapter

from engines.supabase.creation import create_once
from engines.supabase.errors import NotFoundError
from engines.supabase.models import ApiKeys
from engines.supabase.session import Call
from engines.supabase.wire import Answer, project_path, segment

if TYPE_CHECKING:
    from engines.supabase.session import Session

_REVEAL = {"reveal": "true"}
Kind = Literal["publishable", "secret"]


class ApiKey(Answer):
    """One key.

    Attributes:
        id: stays the same when the key is renamed; a legacy key's is its name.
        type: `legacy`, `publishable` or `secret`; None in old answers, which knew legacy ones only.
        api_key: the key itself.
        secret_jwt_template: claims of the tokens that a secret key stands for.
    """

    name: str
    id: str | None = None
    type: str | None = None
    api_key: str | None = Field(None, repr=False)
    description: str | None = None
    secret_jwt_template: dict[str, Any] | None = None

    def is_like(self, wanted: dict[str, Any]) -> bool:
        """Tell whether it is what was asked for, as far as the answer says."""
        said = {"secret_jwt_template": self.secret_jwt_template} if self.secret_jwt_template else {}
        given = {"type": self.type, "name": self.name, "description": self.description, **said}
        return all(given[name] == value for name, value in wanted.items() if name in given)


_KEYS: TypeAdapter[tuple[ApiKey, ...]] = TypeAdapter(tuple[ApiKey, ...])


class Keys:
    """The API keys of projects."""

    def __init__(self, session: Session) -> None:
        """Use a session."""
        self._session = session

    def all(self, ref: str) -> tuple[ApiKey, ...]:
        """List a project's keys in plain."""
        return self._session.read(self._list(ref), self._hidden)

    def pairs(self, ref: str) -> ApiKeys:
        """Read the keys that front ends and servers use by default, in plain."""

        def parse(raw: Any) -> ApiKeys:
            self._hidden(raw)
            return ApiKeys.read(raw)

        return self._session.read(self._list(ref), parse)

    def find(self, ref: str, kind: str, name: str) -> ApiKey | None:
        """Find a key by its type and name; None: there is none."""
        found = [key for key in self.all(ref) if (key.type, key.name) == (kind, name)]
        return found[0] if found else None

    def create(self, ref: str, kind: Kind, name: str, description: str | None = None) -> ApiKey:
        """Create a key, or take over the one that is there and equal; of a-z, 0-9 and _, a name has 4 to 64.

        A secret key stands for the role `service_role`.

        Raises:
            ConflictError: another key has this name.
        """
        body: dict[str, Any] = {"type": kind, "name": name}
        if description is not None:
            body["description"] = description
        if kind == "secret":
            body["secret_jwt_template"] = {"role": "service_role"}

        def find() -> ApiKey | None:
            found = self.find(ref, kind, name)
            return found if found and found.is_like(body) else None

        call = Call(
            "POST",
            project_path(ref, "api-keys"),
            f"creating the API key {name} of project {ref}",
            body=body,
            params=_REVEAL,
            repeatable=False,
        )
        return find() or create_once(self._session, call, self._one, find)

    def change(self, ref: str, key_id: str, **changes: str | None) -> ApiKey:
        """Change `name` or `description` of a key; its value stays."""
        action = f"changing an API key of project {ref}"
        call = Call("PATCH", _path(ref, key_id), action, body=dict(changes), params=_REVEAL)
        return self._session.read(call, self._one)

    def delete(self, ref: str, key_id: str, *, was_compromised: bool = False, reason: str = "") -> None:
        """Delete a key, which is refused from then on; one that is gone already is no error."""
        params = {"was_compromised": "true"} if was_compromised else {}
        if reason:
            params["reason"] = reason
        action = f"deleting an API key of project {ref}"
        self._session.remove(Call("DELETE", _path(ref, key_id), action, params=params))

    def legacy_enabled(self, ref: str) -> bool | None:
        """Tell whether the legacy pair is accepted; None: the service knows no such pair any more."""
        call = Call("GET", _path(ref, "legacy"), f"reading the legacy API keys of project {ref}")
        try:
            return self._session.read(call, lambda raw: bool(raw["enabled"]))
        except NotFoundError:
            return None

    def enable_legacy(self, ref: str, *, enabled: bool) -> None:
        """Accept the legacy pair, or refuse it."""
        params = {"enabled": str(enabled).lower()}
        action = f"switching the legacy API keys of project {ref}"
        self._session.send(Call("PUT", _path(ref, "legacy"), action, params=params))

    def _list(self, ref: str) -> Call:
        action = f"reading the API keys of project {ref}"
        return Call("GET", project_path(ref, "api-keys"), action, params=_REVEAL)

    def _one(self, raw: Any) -> ApiKey:
        return self._hidden([raw])[0]

    def _hidden(self, raw: Any) -> tuple[ApiKey, ...]:
        """Read keys, and let no later text show the secret ones."""
        keys = _KEYS.validate_python(raw)
        self._session.hide(key.api_key for key in keys if key.type == "secret" or key.name == "service_role")
        return keys


def _path(ref: str, key_id: str) -> str:
    return project_path(ref, "api-keys", segment(key_id))
