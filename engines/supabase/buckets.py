"""Buckets of a project's storage, as far as the Management API shows them: their names and who may read.

Limits of size and type, and changes, are the storage service's own matter, at the project's URL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from engines.supabase.session import Call
from engines.supabase.wire import Answer, project_path

if TYPE_CHECKING:
    from engines.supabase.session import Session


class Bucket(Answer):
    """One bucket; a `public` one is read without a login."""

    id: str
    name: str
    public: bool


_BUCKETS: TypeAdapter[tuple[Bucket, ...]] = TypeAdapter(tuple[Bucket, ...])


class Buckets:
    """The buckets of projects."""

    def __init__(self, session: Session) -> None:
        """Use a session."""
        self._session = session

    def all(self, ref: str) -> tuple[Bucket, ...]:
        """List a project's buckets."""
        call = Call("GET", project_path(ref, "storage/buckets"), f"listing the buckets of project {ref}")
        return self._session.read(call, _BUCKETS.validate_python)
