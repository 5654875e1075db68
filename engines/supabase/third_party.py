"""Other issuers whose tokens a project accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from engines.supabase.creation import create_once
from engines.supabase.session import Call
from engines.supabase.wire import Answer, project_path, segment

if TYPE_CHECKING:
    from engines.supabase.session import Session


class ThirdParty(Answer):
    """One issuer; of the three ways to name its keys one is set."""

    id: str
    type: str
    oidc_issuer_url: str | None = None
    jwks_url: str | None = None
    custom_jwks: Any = None

    def source(self) -> dict[str, Any]:
        """Give what it was made from, as the API spells it."""
        return self.model_dump(include={"oidc_issuer_url", "jwks_url", "custom_jwks"}, exclude_none=True)


_ALL: TypeAdapter[tuple[ThirdParty, ...]] = TypeAdapter(tuple[ThirdParty, ...])


class ThirdParties:
    """The issuers that projects trust beside themselves."""

    def __init__(self, session: Session) -> None:
        """Use a session."""
        self._session = session

    def all(self, ref: str) -> tuple[ThirdParty, ...]:
        """List a project's issuers."""
        call = Call("GET", _path(ref), f"listing the third-party issuers of project {ref}")
        return self._session.read(call, _ALL.validate_python)

    def find(self, ref: str, source: dict[str, Any]) -> ThirdParty | None:
        """Find an issuer by what it was made from, where None counts as not set; None: there is none."""
        wanted = _given(source)
        found = [one for one in self.all(ref) if one.source() == wanted]
        return found[0] if found else None

    def create(self, ref: str, source: dict[str, Any]) -> ThirdParty:
        """Trust an issuer, unless it is trusted: one of `oidc_issuer_url`, `jwks_url` and `custom_jwks`."""

        def find() -> ThirdParty | None:
            return self.find(ref, source)

        action = f"adding a third-party issuer to project {ref}"
        call = Call("POST", _path(ref), action, body=_given(source), repeatable=False)
        return find() or create_once(self._session, call, ThirdParty.model_validate, find)

    def delete(self, ref: str, issuer_id: str) -> None:
        """Trust an issuer no longer; one that is gone already is no error."""
        action = f"removing a third-party issuer from project {ref}"
        self._session.remove(Call("DELETE", _path(ref, segment(issuer_id)), action))


def _given(source: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in source.items() if value is not None}


def _path(ref: str, *parts: str) -> str:
    return project_path(ref, "config/auth/third-party-auth", *parts)
