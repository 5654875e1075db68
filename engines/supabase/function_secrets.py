"""Secrets that a project's edge functions see as environment variables; the service shows digests only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.supabase.session import Call
from engines.supabase.wire import project_path

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from engines.supabase.session import Session

# Set by the platform itself; it refuses to change them.
RESERVED_PREFIX = "SUPABASE_"


class FunctionSecrets:
    """The secrets of projects' functions."""

    def __init__(self, session: Session) -> None:
        """Use a session."""
        self._session = session

    def digests(self, ref: str) -> dict[str, str]:
        """Read the digest of each secret, by name."""
        call = Call("GET", project_path(ref, "secrets"), f"listing the function secrets of project {ref}")
        return self._session.read(call, lambda raw: {row["name"]: row["value"] for row in raw})

    def put(self, ref: str, values: Mapping[str, str]) -> None:
        """Set secrets; others stay, and to set one again does no harm."""
        body = [{"name": name, "value": value} for name, value in sorted(values.items())]
        action = f"setting function secrets of project {ref}"
        path, secrets = project_path(ref, "secrets"), tuple(values.values())
        self._session.send(Call("POST", path, action, body=body, secrets=secrets))

    def delete(self, ref: str, names: Collection[str]) -> None:
        """Remove secrets by name; names that are gone already are no error."""
        action = f"removing function secrets of project {ref}"
        self._session.remove(Call("DELETE", project_path(ref, "secrets"), action, body=sorted(names)))
