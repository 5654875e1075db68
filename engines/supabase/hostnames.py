"""A project's own host name: claimed, proved by DNS records, then put into service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engines.supabase.creation import create_once
from engines.supabase.errors import NotFoundError, RejectedError
from engines.supabase.session import Call
from engines.supabase.wire import Answer, project_path

if TYPE_CHECKING:
    from engines.supabase.session import Session

# The platform's words when there is none, or none may be; all with status 400.
_NONE = ("no custom hostname configuration", "resource has been removed", "enable the custom domain add-on")


class DnsRecord(Answer):
    """A TXT record that proves the name to be the user's."""

    name: str
    value: str


class Hostname(Answer):
    """A project's own host name.

    Attributes:
        custom_hostname: the name.
        status: how far it is, `1_not_started` to `5_services_reconfigured`.
        records: what DNS has to hold before the next step.
        errors: why the last check failed.
    """

    custom_hostname: str
    status: str
    records: tuple[DnsRecord, ...]
    errors: tuple[str, ...]

    @classmethod
    def parse(cls, raw: dict[str, Any]) -> Hostname:
        """Read it from an answer, in which newer services leave parts out."""
        result = (raw.get("data") or {}).get("result") or {}
        tls = result.get("ssl") or {}
        name = raw.get("custom_hostname") or result.get("hostname") or ""
        texts = [*(result.get("verification_errors") or ()), *map(_text, tls.get("validation_errors") or ())]
        return cls(
            custom_hostname=name,
            status=raw.get("status") or result.get("status") or "",
            records=_records(result.get("ownership_verification"), tls.get("validation_records")),
            errors=tuple(map(str, texts)),
        )


def _text(error: Any) -> str:
    return str(error["message"])


def _records(ownership: Any, validation: Any) -> tuple[DnsRecord, ...]:
    pairs = [(row.get("txt_name"), row.get("txt_value")) for row in validation or ()]
    if ownership:
        pairs.insert(0, (ownership.get("name"), ownership.get("value")))
    return tuple(DnsRecord(name=name, value=value) for name, value in pairs if name and value)


def _says_none(error: RejectedError) -> bool:
    return any(words in str(error).lower() for words in _NONE)


class Hostnames:
    """The host names of projects; the service takes only ten requests a minute for them."""

    def __init__(self, session: Session) -> None:
        """Use a session."""
        self._session = session

    def get(self, ref: str) -> Hostname | None:
        """Read a project's host name; None: it has none, or its plan allows none."""
        try:
            return self._session.read(self._call("GET", ref, "", "reading"), Hostname.parse)
        except NotFoundError:
            return None
        except RejectedError as error:
            if _says_none(error):
                return None
            raise

    def claim(self, ref: str, name: str) -> Hostname:
        """Ask for a name, unless the project has it; what it says is to be put into DNS."""

        def find() -> Hostname | None:
            found = self.get(ref)
            return found if found and found.custom_hostname == name else None

        call = Call(
            "POST",
            project_path(ref, "custom-hostname/initialize"),
            f"claiming the host name {name} for project {ref}",
            body={"custom_hostname": name},
            repeatable=False,
        )
        return find() or create_once(self._session, call, Hostname.parse, find)

    def verify(self, ref: str) -> Hostname:
        """Let the platform look at DNS again."""
        return self._session.read(self._call("POST", ref, "/reverify", "verifying"), Hostname.parse)

    def activate(self, ref: str) -> Hostname:
        """Put a proved name into service; to do it again does no harm."""
        return self._session.read(self._call("POST", ref, "/activate", "activating"), Hostname.parse)

    def delete(self, ref: str) -> None:
        """Give the name up; one that is gone already is no error."""
        try:
            self._session.remove(self._call("DELETE", ref, "", "deleting"))
        except RejectedError as error:
            if not _says_none(error):
                raise

    def _call(self, method: str, ref: str, rest: str, verb: str) -> Call:
        path = project_path(ref, "custom-hostname")
        return Call(method, f"{path}{rest}", f"{verb} the host name of project {ref}")
