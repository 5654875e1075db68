"""What the Management API speaks of, as values; only the fields that are used.

Source: https://api.supabase.com/api/v1 (OpenAPI document). Fields that newer versions add are ignored, and
states that they add are passed on as text.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

SESSION_PORT = 5432
TRANSACTION_PORT = 6543
_OWNER = "postgres"


@dataclass(frozen=True)
class Organization:
    """An organization that the token sees."""

    id: str
    slug: str
    name: str

    @classmethod
    def read(cls, raw: dict[str, Any]) -> Organization:
        """Read it from an answer; raises KeyError when that is something else."""
        return cls(raw["id"], raw["slug"], raw["name"])


@dataclass(frozen=True)
class Project:
    """A project.

    Attributes:
        ref: its reference, twenty letters.
        name: its name, unique in no way.
        organization_slug: the organization that owns it.
        region: region code.
        status: state by the platform, `ACTIVE_HEALTHY` when all is well.
        host: direct host of its database; None where an answer leaves it out.
    """

    ref: str
    name: str
    organization_slug: str
    region: str
    status: str
    host: str | None = None

    @property
    def is_active(self) -> bool:
        """Whether its database is there, whatever else is not well."""
        return self.status.startswith("ACTIVE_")

    @property
    def is_asleep(self) -> bool:
        """Whether it is paused, or about to be, so that none of its services answers."""
        return self.status in {"INACTIVE", "PAUSING"}

    @classmethod
    def read(cls, raw: dict[str, Any]) -> Project:
        """Read it from an answer; raises KeyError when that is something else."""
        slug = raw.get("organization_slug") or raw["organization_id"]
        host = (raw.get("database") or {}).get("host")
        return cls(raw["ref"], raw["name"], slug, raw["region"], raw["status"], host)


@dataclass(frozen=True)
class CreateProject:
    """A project to create; `db_pass` becomes the password of the owner `postgres`."""

    name: str
    organization_slug: str
    region: str
    db_pass: str = field(repr=False)
    desired_instance_size: str | None = None

    def body(self) -> dict[str, Any]:
        """Give the body of `POST /v1/projects`."""
        body: dict[str, Any] = {
            "name": self.name,
            "organization_slug": self.organization_slug,
            "db_pass": self.db_pass,
            "region_selection": {"type": "specific", "code": self.region},
        }
        if self.desired_instance_size:
            body["desired_instance_size"] = self.desired_instance_size
        return body


@dataclass(frozen=True)
class ApiKeys:
    """A project's keys: the legacy pair and the pair that replaces it; None: the project has it not."""

    anon: str | None
    publishable: str | None
    service_role: str | None = field(repr=False)
    secret: str | None = field(repr=False)

    @classmethod
    def read(cls, raw: list[dict[str, Any]]) -> ApiKeys:
        """Read them from the list of keys; of several publishable or secret ones, `default` comes first."""
        legacy = {row["name"]: row.get("api_key") for row in raw if row.get("type") in {None, "legacy"}}
        return cls(
            anon=legacy.get("anon"),
            service_role=legacy.get("service_role"),
            publishable=_first_key(raw, "publishable"),
            secret=_first_key(raw, "secret"),
        )


def _first_key(raw: list[dict[str, Any]], kind: str) -> str | None:
    rows = sorted((row for row in raw if row.get("type") == kind), key=lambda row: row["name"] != "default")
    return rows[0].get("api_key") if rows else None


@dataclass(frozen=True)
class ServiceHealth:
    """One service of a project; `error` is the platform's text when it is not well."""

    name: str
    healthy: bool
    status: str
    error: str | None = None

    @classmethod
    def read(cls, raw: dict[str, Any]) -> ServiceHealth:
        """Read it from an answer; raises KeyError when that is something else."""
        return cls(raw["name"], bool(raw["healthy"]), raw["status"], raw.get("error"))


@dataclass(frozen=True)
class DatabaseAddress:
    """Where sessions of a project's database open, over IPv4.

    Attributes:
        host: name or address.
        port: the port of session mode.
        user_suffix: what the pooler wants behind a role's name (`.REF`), or nothing.
        database: name of the database.
    """

    host: str
    port: int
    user_suffix: str
    database: str

    @classmethod
    def read(cls, raw: list[dict[str, Any]]) -> DatabaseAddress:
        """Read it from the pooler's configuration; raises KeyError or IndexError when that is something else.

        Migrations and advisory locks need session mode. Where only transaction mode is listed, session mode
        is on the same host at port 5432 (https://supabase.com/docs/guides/database/connecting-to-postgres).
        """
        primary = [row for row in raw if row["database_type"] == "PRIMARY"]
        row = min(primary, key=lambda entry: entry["pool_mode"] != "session")
        port = SESSION_PORT if row["db_port"] == TRANSACTION_PORT else int(row["db_port"])
        return cls(row["db_host"], port, row["db_user"].removeprefix(_OWNER), row["db_name"])

    @property
    def url(self) -> str:
        """Give it as the URL of the owner, to which a password is to be added."""
        user = quote(f"{_OWNER}{self.user_suffix}", safe="")
        return f"postgresql://{user}@{self.host}:{self.port}/{self.database}"


@dataclass(frozen=True)
class Poolers:
    """How a project's pooler is reached.

    Attributes:
        session: each session keeps its server process.
        transaction: sessions share them; None: there is no such pooler, as with a stand-in.
    """

    session: DatabaseAddress
    transaction: DatabaseAddress | None

    @classmethod
    def read(cls, raw: list[dict[str, Any]]) -> Poolers:
        """Read them from the pooler's configuration, which may list but one of the two.

        Raises KeyError or IndexError when that is something else.
        """
        session = DatabaseAddress.read(raw)
        is_pooler = bool(session.user_suffix) or any(row["db_port"] == TRANSACTION_PORT for row in raw)
        shared = replace(session, port=TRANSACTION_PORT) if is_pooler else None
        return cls(session, shared)


def direct_address(project: Project, session: DatabaseAddress) -> DatabaseAddress:
    """Give where a project's database listens itself; a stand-in's has no pooler in front of it.

    The platform's host speaks IPv6, unless the project has the add-on for IPv4.
    """
    if project.host and project.host.startswith(f"db.{project.ref}."):
        return DatabaseAddress(project.host, SESSION_PORT, "", session.database)
    return session


def project_url(project: Project, api_url: str) -> str:
    """Give the URL of a project's own services (auth, rest, storage).

    The platform serves it beside the database, at `REF.DOMAIN`; a stand-in below its own address.
    """
    prefix = f"db.{project.ref}."
    if project.host and project.host.startswith(prefix):
        return f"https://{project.host.removeprefix('db.')}"
    return f"{api_url.rstrip('/')}/projects/{project.ref}"
