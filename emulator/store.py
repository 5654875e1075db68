"""Everything the emulator remembers about a project, in one file per project."""

from __future__ import annotations

import threading
from datetime import datetime  # noqa: TC003 - pydantic reads the annotations
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from emulator import folder
from emulator.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

Status = Literal[
    "UNKNOWN",
    "COMING_UP",
    "ACTIVE_HEALTHY",
    "ACTIVE_UNHEALTHY",
    "INIT_FAILED",
    "PAUSING",
    "PAUSE_FAILED",
    "INACTIVE",
    "RESTORING",
    "RESTORE_FAILED",
    "RESTARTING",
    "RESIZING",
    "GOING_DOWN",
]


class ApiKey(BaseModel):
    """One API key of a project, in plain: a stand-in has no other place to check it against."""

    model_config = ConfigDict(frozen=True)

    id: str
    type: Literal["legacy", "publishable", "secret"]
    name: str
    value: str = Field(repr=False)
    description: str | None = None
    secret_jwt_template: dict[str, Any] | None = None
    inserted_at: datetime
    updated_at: datetime


class FunctionSecret(BaseModel):
    """A secret for Edge Functions: only the digest is kept, as only the digest is ever shown."""

    model_config = ConfigDict(frozen=True)

    name: str
    digest: str
    updated_at: datetime


class Record(BaseModel):
    """One project.

    Attributes:
        number: the integer that some answers call `id`.
        port: TCP port of its PostgreSQL, 0 before the first start.
        admin_password: password of the superuser, for the emulator's own work.
        owner_password: password that the API last gave the role `postgres`.
        jwt_secret: HS256 key of the legacy API keys.
        config: changed settings per section (`auth`, `postgrest`, `pooler`, …), defaults left out.
        things: what was made beside settings (`signing_keys`, …), each by its id, as it is answered.
    """

    model_config = ConfigDict(frozen=True)

    ref: str
    number: int
    name: str
    organization: str
    region: str
    size: str
    created_at: datetime
    status: Status
    port: int = 0
    admin_password: str = Field(repr=False)
    owner_password: str = Field(repr=False)
    jwt_secret: str = Field(repr=False)
    legacy_keys: bool = True
    api_keys: tuple[ApiKey, ...]
    secrets: dict[str, FunctionSecret] = Field(default_factory=dict)
    config: dict[str, dict[str, Any]] = Field(default_factory=dict, repr=False)
    things: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict, repr=False)


class Store:
    """All records, in memory and on disk; every change is on disk before anybody sees it.

    Attributes:
        lock: held by every method; a caller that reads and then changes takes it around both.
    """

    def __init__(self, state: Path) -> None:
        """Read what an earlier emulator left in the folder `state`; half-written drafts are removed.

        Raises:
            ValueError: a file is no record (pydantic names the field).
        """
        self._folder = state
        self.lock = threading.RLock()
        self._records: dict[str, Record] = {}
        for draft in state.glob(".*"):
            draft.unlink()
        for path in sorted(state.glob("*.json")):
            record = Record.model_validate_json(path.read_text(encoding="utf-8"))
            self._records[record.ref] = record

    def all(self) -> list[Record]:
        """Give every project, oldest first."""
        with self.lock:
            return sorted(self._records.values(), key=lambda record: (record.created_at, record.ref))

    def get(self, ref: str) -> Record:
        """Give one project.

        Raises:
            ApiError: 404, there is none.
        """
        with self.lock:
            if ref not in self._records:
                raise ApiError(404, "Project not found")
            return self._records[ref]

    def put(self, record: Record) -> Record:
        """Keep a new or changed record.

        Raises:
            OSError: it could not be written; the old one stays.
        """
        with self.lock:
            folder.write(self._folder / f"{record.ref}.json", record.model_dump_json(indent=1))
            self._records[record.ref] = record
            return record

    def change(self, ref: str, **fields: Any) -> Record:
        """Change some fields of a record, which may have been changed by others in between.

        Raises:
            ApiError: 404, the project is gone.
        """
        with self.lock:
            return self.put(self.get(ref).model_copy(update=fields))

    def move(self, ref: str, allowed: Collection[Status], to: Status) -> Record | None:
        """Change the status if it is one of `allowed` now; None: it is not, nothing was done.

        Raises:
            ApiError: 404, the project is gone.
        """
        with self.lock:
            if self.get(ref).status not in allowed:
                return None
            return self.change(ref, status=to)

    def configure(self, ref: str, section: str, changes: dict[str, Any]) -> Record:
        """Merge changed settings into one section.

        Raises:
            ApiError: 404, the project is gone.
        """
        with self.lock:
            config = self.get(ref).config
            merged = {**config, section: {**config.get(section, {}), **changes}}
            return self.change(ref, config=merged)

    def keep(self, ref: str, kind: str, things: dict[str, dict[str, Any]]) -> Record:
        """Replace all things of one kind.

        Raises:
            ApiError: 404, the project is gone.
        """
        with self.lock:
            return self.change(ref, things={**self.get(ref).things, kind: things})

    def replace_section(self, ref: str, section: str, settings: dict[str, Any]) -> Record:
        """Replace one section, also what is not in `settings`.

        Raises:
            ApiError: 404, the project is gone.
        """
        with self.lock:
            return self.change(ref, config={**self.get(ref).config, section: settings})

    def remove(self, ref: str) -> None:
        """Forget a project."""
        with self.lock:
            (self._folder / f"{ref}.json").unlink(missing_ok=True)
            self._records.pop(ref, None)
