"""Reads a live project: all that the API keeps of it in one round of requests, then what that round named."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from engines.adoption import catalog
from engines.adoption.catalog import Bucket, Catalog, Job
from engines.adoption.errors import AdoptionError
from engines.supabase import (
    PARTS,
    SECTIONS,
    AuthError,
    ConflictError,
    ForbiddenError,
    ManagementClient,
    NotFoundError,
    RejectedError,
    SupabaseError,
)
from engines.supabase.snapshot import read_together

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engines.supabase import (
        AddonList,
        ApiKey,
        Function,
        Hostname,
        Project,
        Settings,
        SigningKey,
        ThirdParty,
    )

# What a plan, a token or the project's age may refuse; the rest can be adopted without it.
_REFUSALS = (ForbiddenError, NotFoundError, RejectedError, ConflictError)
_AWAKE = frozenset({"ACTIVE_HEALTHY", "ACTIVE_UNHEALTHY"})
_ASLEEP: Final = {
    "INACTIVE": "it is paused; restore it, then adopt it",
    "PAUSING": "it is being paused; restore it, then adopt it",
    "GOING_DOWN": "it is being deleted",
    "REMOVED": "it was deleted",
}
_SHOWN_PROJECTS = 20


@dataclass(frozen=True)
class Live:
    """A project as it is.

    Attributes:
        sections: the settings, by section.
        secrets: names of the function secrets; their values cannot be read.
        files: contents of the functions' files by slug and path.
        legacy_key: id of the signing key that is the project's old JWT secret.
        versions: of the migrations that the history names.
        refused: why a part could not be read, by its name.
    """

    project: Project
    sections: Mapping[str, Settings] = field(default_factory=dict)
    addons: AddonList | None = None
    hostname: Hostname | None = None
    secrets: tuple[str, ...] = ()
    functions: tuple[Function, ...] = ()
    files: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    keys: tuple[ApiKey, ...] = field(default=(), repr=False)
    signing_keys: tuple[SigningKey, ...] = ()
    legacy_key: str | None = None
    third_parties: tuple[ThirdParty, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    catalog: Catalog = field(default_factory=Catalog)
    jobs: tuple[Job, ...] = ()
    versions: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


def read_live(client: ManagementClient, ref: str) -> Live:
    """Read everything that a stack file may say of a project; nothing is changed.

    Raises:
        AdoptionError: there is no such project, or it is not awake.
        SupabaseError: the API does not answer, or the token is not good.
    """
    project = _awake(client, ref)
    live = _first(project, _round({name: partial(read, client, ref) for name, read in _FIRST.items()}))
    return _second(live, _round(_more(client, ref, live)))


def _awake(client: ManagementClient, ref: str) -> Project:
    """Look at the project alone: of one that sleeps, nothing else can be read."""
    try:
        project = client.projects.get(ref)
    except NotFoundError:
        raise AdoptionError(_no_such_project(client, ref)) from None
    if project.status not in _AWAKE:
        why = _ASLEEP.get(project.status, "wait until it is healthy")
        raise AdoptionError(f"project {ref} ({project.name}) is {project.status}: {why}")
    return project


class _Found:
    """What one round found."""

    def __init__(self, values: Mapping[str, Any], errors: Mapping[str, SupabaseError]) -> None:
        self._values = values
        self.errors = errors

    def get(self, part: str, otherwise: Any = None) -> Any:
        """Give a part, or what stands for it where it was refused or not asked for."""
        return self._values.get(part, otherwise)

    def refused(self) -> dict[str, str]:
        """Say why parts are missing."""
        return {part: str(error) for part, error in self.errors.items()}


def _round(readers: Mapping[str, Callable[[], Any]]) -> _Found:
    """Read at the same time; what is no refusal (the API is away, the token is bad) ends all.

    Raises:
        SupabaseError: one of its kinds.
    """
    answers = read_together(readers)
    errors = {name: one for name, one in answers.items() if isinstance(one, SupabaseError)}
    for error in errors.values():
        if isinstance(error, AuthError) or not isinstance(error, _REFUSALS):
            raise error
    return _Found({name: one for name, one in answers.items() if name not in errors}, errors)


def _survey(client: ManagementClient, ref: str) -> Catalog:
    (row,) = client.database.read_only_query(ref, catalog.SURVEY)
    return Catalog.read(row)


_FIRST: Final[dict[str, Callable[[ManagementClient, str], Any]]] = {
    **{name: read for name, read in PARTS.items() if name != "project"},
    "catalog": _survey,
}


def _first(project: Project, found: _Found) -> Live:
    shown = found.get("buckets", ())
    return Live(
        project,
        sections={name: one for name in SECTIONS if (one := found.get(name)) is not None},
        addons=found.get("addons"),
        hostname=found.get("hostname"),
        secrets=tuple(sorted(found.get("function_secrets", {}))),
        functions=found.get("functions", ()),
        keys=found.get("keys", ()),
        signing_keys=found.get("signing_keys", ()),
        third_parties=found.get("third_parties", ()),
        buckets=tuple(Bucket(one.id, one.public) for one in shown),
        catalog=found.get("catalog", Catalog()),
        refused=found.refused(),
    )


def _more(client: ManagementClient, ref: str, live: Live) -> dict[str, Callable[[], Any]]:
    """Say what else to read, by what the first round found."""
    ask = partial(client.database.read_only_query, ref)
    queries = {
        "bucket limits": catalog.BUCKETS if live.buckets else "",
        "cron jobs": catalog.JOBS if live.catalog.has_cron else "",
        "migration history": _history_query(live.catalog),
    }
    more: dict[str, Callable[[], Any]] = {name: partial(ask, sql) for name, sql in queries.items() if sql}
    if any(key.algorithm == "HS256" for key in live.signing_keys):
        more["legacy signing key"] = partial(client.signing_keys.legacy, ref)
    for one in live.functions:
        more[f"function {one.slug}"] = partial(client.functions.files, ref, one.slug)
    return more


def _history_query(found: Catalog) -> str:
    if found.has_supabase:
        return catalog.SUPABASE_HISTORY
    return catalog.DRIZZLE_HISTORY if found.drizzle else ""


def _second(live: Live, found: _Found) -> Live:
    rows = found.get("bucket limits")
    legacy: SigningKey | None = found.get("legacy signing key")
    details = [Bucket.read(catalog.value_of(row["bucket"])) for row in rows or ()]
    files = {one.slug: found.get(f"function {one.slug}") for one in live.functions}
    return replace(
        live,
        buckets=live.buckets if rows is None else tuple(details),
        jobs=tuple(_job(row) for row in found.get("cron jobs", [])),
        versions=tuple(str(row["version"]) for row in found.get("migration history", [])),
        legacy_key=legacy.id if legacy else None,
        files={slug: one for slug, one in files.items() if one is not None},
        refused={**live.refused, **found.refused()},
    )


def _job(row: Mapping[str, Any]) -> Job:
    return Job(row["jobname"] or "(unnamed)", row["schedule"], bool(row["active"]))


def _no_such_project(client: ManagementClient, ref: str) -> str:
    """Say which projects there are."""
    seen = sorted(f"{one.ref} ({one.name}, {one.organization_slug})" for one in client.projects.all())
    if not seen:
        return f"there is no project {ref}: the token sees no project at all; is it another account's?"
    rest = f" and {len(seen) - _SHOWN_PROJECTS} more" if len(seen) > _SHOWN_PROJECTS else ""
    return f"there is no project {ref}; the token sees {', '.join(seen[:_SHOWN_PROJECTS])}{rest}"
