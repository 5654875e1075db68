"""All sections of a project's settings in one request, by the second version of the API.

It costs one request where `configuration.read` costs eight, so a preview can afford it. The route is Alpha
(https://api.supabase.com/api/v2): fields may be missing, and nothing that changes a project relies on it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from engines.supabase.configuration import SECTIONS
from engines.supabase.sections import PostgresSettings
from engines.supabase.session import Call
from engines.supabase.wire import segment

if TYPE_CHECKING:
    from engines.supabase.session import Session

Fields = dict[str, Any]

# The second version spells `cron.log_statement` as `cron_log_statement`.
_PARAMETERS = {name.replace(".", "_"): name for name in PostgresSettings.names()}


class Overview:
    """The settings of projects, as one answer shows them."""

    def __init__(self, session: Session) -> None:
        """Use a session."""
        self._session = session

    def read(self, ref: str) -> dict[str, Fields]:
        """Give the fields that the answer shows, by section, under the names of the first version.

        Raises:
            SupabaseError: one of its kinds; services without this route answer NotFoundError.
        """
        call = Call("GET", f"/v2/projects/{segment(ref)}/config", f"reading the settings of project {ref}")
        return self._session.read(call, self._sections)

    def _sections(self, raw: Any) -> dict[str, Fields]:
        shown = raw["data"]["attributes"]
        self._session.hide([(shown.get("auth") or {}).get("jwt_secret")])
        database = shown.get("database") or {}
        found = {
            "auth": shown.get("auth"),
            "postgrest": shown.get("api"),
            "pooler": shown.get("pooler"),
            "realtime": shown.get("realtime"),
            "storage": _storage(shown.get("storage") or {}),
            "postgres": _parameters(database.get("postgres_settings") or {}),
            "ssl": {"database": database["ssl_enforced"]} if "ssl_enforced" in database else {},
            "network": _networks(database.get("network_restrictions") or {}),
        }
        return {name: _known(name, fields or {}) for name, fields in found.items()}


def _known(section: str, fields: Fields) -> Fields:
    kind = SECTIONS[section]
    return {name: value for name, value in fields.items() if name in kind.names() - kind.secrets}


def _parameters(shown: Fields) -> Fields:
    return {_PARAMETERS.get(name, name): value for name, value in shown.items()}


def _networks(shown: Fields) -> Fields:
    if "allowed_cidrs" not in shown:
        return {}
    of_kind = {"v4": "dbAllowedCidrs", "v6": "dbAllowedCidrsV6"}
    return {
        name: [one["address"] for one in shown["allowed_cidrs"] if one["type"] == kind]
        for kind, name in of_kind.items()
    }


def _storage(shown: Fields) -> Fields:
    named = {"file_size_limit": "fileSizeLimit", "features": "features"}
    fields = {name: _camel(shown[spelled]) for spelled, name in named.items() if spelled in shown}
    if "upstream_target" in shown:
        fields["external"] = {"upstreamTarget": shown["upstream_target"]}
    return fields


def _camel(value: Any) -> Any:
    """Spell names as `maxTables` that the second version spells `max_tables`."""
    if not isinstance(value, dict):
        return value
    return {re.sub("_([a-z])", _raised, name): _camel(member) for name, member in value.items()}


def _raised(found: re.Match[str]) -> str:
    return found[1].upper()
