"""Buckets of a project with their limits: the storage service's own API, at the project's URL.

The service answers most refusals with the status 400 and says the one that is meant in the body's
`statusCode` (supabase/storage, src/http/error-handler.ts).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

import httpx
from pydantic import TypeAdapter

from engines.supabase.client import default_timing
from engines.supabase.creation import create_once
from engines.supabase.errors import ConflictError, ForbiddenError, NotFoundError
from engines.supabase.limits import Limiter
from engines.supabase.models import project_url
from engines.supabase.session import Call, Reply, Session, tls
from engines.supabase.wire import Answer, segment

if TYPE_CHECKING:
    from types import TracebackType

    from engines.supabase.client import ManagementClient
    from engines.supabase.models import Project
    from engines.supabase.session import Timing

# What a stack may set of a bucket.
FIELDS = ("public", "file_size_limit", "allowed_mime_types")
_ROOT = "/storage/v1/bucket"


class StoredBucket(Answer):
    """A bucket as the storage service shows it.

    Attributes:
        public: whether its files are read without a login.
        file_size_limit: bytes; None: the project's limit.
        allowed_mime_types: None: all.
    """

    id: str
    name: str
    public: bool
    file_size_limit: int | None = None
    allowed_mime_types: tuple[str, ...] | None = None

    def settings(self) -> dict[str, Any]:
        """Give what a stack may set, as the service spells it."""
        types = self.allowed_mime_types
        limits = {"file_size_limit": self.file_size_limit, "allowed_mime_types": types and list(types)}
        return {"public": self.public, **limits}


_BUCKETS: TypeAdapter[tuple[StoredBucket, ...]] = TypeAdapter(tuple[StoredBucket, ...])


class _StorageSession(Session):
    """A session with the storage service, whose answers say their status in the body."""

    service = "a project's storage service"
    uses_token = False

    def _transfer(self, call: Call) -> Reply:
        reply = super()._transfer(call)
        return reply if reply.is_success else _meant(reply)


def _meant(reply: Reply) -> Reply:
    """Give a refusal the status that its body says, and no words but its message."""
    try:
        body = json.loads(reply.content)
        status, message = int(body["statusCode"]), str(body["message"])
    except (ValueError, KeyError, TypeError):
        return reply
    content = json.dumps({"message": message}).encode()
    return Reply(status if 400 <= status < 600 else reply.status, reply.headers, content)


class Storage:
    """The buckets of one project; use it in a `with` statement."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        transport: httpx.BaseTransport | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Open a session; nothing is sent yet.

        Args:
            url: the project's own URL.
            key: a key that may do everything: `sb_secret_…`, or the legacy service_role's token.
            transport: what carries the requests; None: the network.
            timing: how to wait; None: with the clock.
        """
        headers = {"user-agent": "groundwork", **_key_headers(key)}
        self._http = httpx.Client(base_url=url, headers=headers, transport=transport, verify=tls())
        self._session = _StorageSession(self._http, key, Limiter(), timing or default_timing())

    def __enter__(self) -> Self:
        """Give the storage itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._http.close()

    def all(self) -> tuple[StoredBucket, ...]:
        """List the buckets."""
        return self._session.read(Call("GET", _ROOT, "listing the buckets"), _BUCKETS.validate_python)

    def find(self, bucket: str) -> StoredBucket | None:
        """Read one bucket; None: there is none of this name."""
        try:
            call = Call("GET", _path(bucket), f"reading the bucket {bucket}")
            return self._session.read(call, StoredBucket.model_validate)
        except NotFoundError:
            return None

    def create(self, bucket: str, settings: dict[str, Any]) -> None:
        """Make a bucket; one that a lost request made is taken, whatever its settings are.

        Raises:
            ConflictError: somebody else made it.
        """
        body = {"id": bucket, "name": bucket, **settings}
        call = Call("POST", _ROOT, f"creating the bucket {bucket}", body=body, repeatable=False)
        create_once(self._session, call, lambda _: True, lambda: self.find(bucket) is not None or None)

    def change(self, bucket: str, settings: dict[str, Any]) -> None:
        """Change what is named; the rest stays. To do it again does no harm."""
        self._session.send(Call("PUT", _path(bucket), f"changing the bucket {bucket}", body=settings))

    def delete(self, bucket: str) -> None:
        """Delete an empty bucket; one that is gone already is no error.

        Raises:
            ConflictError: files are in it.
        """
        try:
            self._session.remove(Call("DELETE", _path(bucket), f"deleting the bucket {bucket}"))
        except ConflictError as error:
            advice = "it was left as it is: empty it, or take it out of the state, then run this again"
            raise ConflictError(f"{error}; {advice}") from None


def open_storage(client: ManagementClient, project: Project, api_url: str) -> Storage:
    """Open a project's storage with a key that may do everything.

    Raises:
        ForbiddenError: the platform shows no such key.
    """
    keys = client.keys.pairs(project.ref)
    key = keys.secret or keys.service_role
    if not key:
        raise ForbiddenError(
            f"project {project.ref} shows no secret key and no service_role key, and its buckets cannot be "
            "reached without; make one on the platform, or use a `groundwork:supabase.access_token` that "
            "may read keys"
        )
    return Storage(project_url(project, api_url), key)


def _key_headers(key: str) -> dict[str, str]:
    """Give the headers of a key; only a JSON Web Token may be a bearer token as well."""
    bearer = {} if key.startswith("sb_") else {"authorization": f"Bearer {key}"}
    return {"apikey": key, **bearer}


def _path(bucket: str) -> str:
    return f"{_ROOT}/{segment(bucket)}"
