"""A Supabase project, through the Management API."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    UpdateResult,
)

import engines
from providers._cloud import ASLEEP
from providers._cloud import client as _client
from providers._crud import EngineProvider, Props, changed_keys, log, plain, reporter, unknown
from providers.owner import nobodys

READY_TIMEOUT_S = 900
_GLANCE_S = 5.0
_HEALTHY, _PAUSED = "ACTIVE_HEALTHY", "INACTIVE"
_SECRETS = ["service_role_key", "secret_key"]
_RESULTS = (
    *("project_ref", "url", "anon_key", "service_role_key", "publishable_key", "secret_key"),
    *("host", "port", "database", "user_suffix", "direct_url", "session_url", "transaction_url"),
)
# What a project is made with and keeps; the API has no way to change it.
_FIXED = ("region", "organization_slug")
# It is set when a project is made, and is `OwnerPassword`'s from then on.
_FIRST = "database_password"


class SupabaseProjectProvider(EngineProvider):
    """Creates or adopts one project, and deletes it only when the stack says so."""

    soft = frozenset({"api_url", "access_token"})

    def check(self, olds: Props, news: Props) -> CheckResult:
        """Refuse what the platform cannot do to a living project."""
        moved = [key for key in _FIXED if olds and not unknown(news[key]) and olds[key] != news[key]]
        failures = [CheckFailure("", _fixed_text(key, olds[key], news[key])) for key in moved]
        return CheckResult(news, failures)

    def diff(self, id_: str, olds: Props, news: Props) -> DiffResult:
        """Ask for an update when an input differs, the project is not as wanted, or its database moved."""
        if news["ref"] not in {"", id_}:
            raise engines.supabase.ConflictError(_other_text(id_, news["ref"]))
        changed = [key for key in changed_keys(olds, news, self.soft) if key not in {_FIRST, "adopt"}]
        # A state of before some output existed is brought up to date.
        lacking = [name for name in _RESULTS if name not in olds]
        return DiffResult(changes=bool(changed or lacking) or _strayed(id_, olds, news), replaces=[])

    def create(self, props: Props) -> CreateResult:
        """Create the project, or take over the one of this name that an interrupted update left."""
        with _client(props) as client:
            project = _find(client, props) or _create(client, props)
            ready = client.projects.wake(project.ref, reporter(props), READY_TIMEOUT_S)
            outputs = _outputs(client, props, ready)
            if props["paused"]:
                client.projects.put_to_sleep(ready.ref, reporter(props), READY_TIMEOUT_S)
            return CreateResult(ready.ref, outputs)

    def update(self, id_: str, olds: Props, news: Props) -> UpdateResult:
        """Bring name and state in line, and wait until the project is there."""
        with _client(news) as client:
            if olds["project_name"] != news["project_name"]:
                client.projects.rename(id_, news["project_name"])
            if news["paused"] and not [name for name in _RESULTS if name not in olds]:
                client.projects.put_to_sleep(id_, reporter(news), READY_TIMEOUT_S)
                return UpdateResult({**{name: olds[name] for name in _RESULTS}, **plain(news)})
            ready = client.projects.wake(id_, reporter(news), READY_TIMEOUT_S)
            outputs = _outputs(client, news, ready)
            if news["paused"]:
                client.projects.put_to_sleep(id_, reporter(news), READY_TIMEOUT_S)
            return UpdateResult(outputs)

    def read(self, id_: str, props: Props) -> ReadResult:
        """Look at the live project and its keys; one that is gone leaves the state."""
        with _client(props) as client:
            try:
                project, keys = client.projects.get(id_), _keys(client, id_)
            except engines.supabase.NotFoundError:
                return ReadResult(None, {})
        live = {
            "project_name": project.name,
            "region": project.region,
            "paused": project.status in ASLEEP,
        }
        found = {**plain(props), **live, **keys}
        inputs = {name: value for name, value in found.items() if name not in {*_RESULTS, "database_url"}}
        return ReadResult(id_, found, inputs)

    def delete(self, id_: str, props: Props) -> None:
        """Delete the project with its data if `on_destroy` says `delete`; else it stays as it is."""
        if props["on_destroy"] == "delete":
            with _client(props) as client:
                client.projects.delete(id_)


def _fixed_text(key: str, old: object, new: object) -> str:
    setting = {"region": "supabase.region", "organization_slug": "organization"}[key]
    return (
        f"groundwork:{setting} is {new!r}, but the project lives in {old!r} and cannot be moved; "
        f"set it back, or make a new stack and move the data"
    )


def _other_text(ref: str, wanted: str) -> str:
    return (
        f"groundwork:supabase.ref is {wanted}, but the project of this stack is {ref}, and a stack does not "
        "change its project: set it back, or make a new stack for the other one"
    )


def _strayed(ref: str, olds: Props, news: Props) -> bool:
    """Tell whether the project is not in the wanted state, or its database moved.

    An API that does not answer says no, and so does a project that is gone: `pulumi refresh` looks for it.
    """
    if unknown(news["api_url"]) or unknown(news["access_token"]):
        return False
    # One try: a preview must not wait for an API that is not there.
    glance = engines.supabase.default_timing(timeout_s=_GLANCE_S, attempts=1)
    try:
        with _client(news, glance) as client:
            status, address = client.projects.get(ref).status, client.projects.session_pooler(ref)
    except engines.supabase.SupabaseError:
        return False
    if news["paused"]:
        return status != _PAUSED
    if status != _HEALTHY:
        log(f"project {ref} is {status}; the update brings it up", str(news.get("log_urn", "")), warning=True)
    return status != _HEALTHY or (address.host, address.port) != (olds.get("host"), int(olds.get("port", 0)))


def _find(client: engines.supabase.ManagementClient, props: Props) -> engines.supabase.Project | None:
    if not props["ref"]:
        return client.projects.find(props["project_name"], props["organization_slug"])
    try:
        return client.projects.get(props["ref"])
    except engines.supabase.NotFoundError as error:
        raise engines.supabase.NotFoundError(
            f"groundwork:supabase.ref is {props['ref']}, and there is no such project ({error}): correct it, "
            "or remove it, and a project is created"
        ) from None


def _create(client: engines.supabase.ManagementClient, props: Props) -> engines.supabase.Project:
    wanted = engines.supabase.CreateProject(
        name=props["project_name"],
        organization_slug=props["organization_slug"],
        region=props["region"],
        db_pass=props[_FIRST] or nobodys(),
        desired_instance_size=props["instance_size"] or None,
    )
    engines.supabase.require_placeable(client, wanted)
    reporter(props)(f"creating project {props['project_name']} in {props['region']}")
    return client.projects.create(wanted)


def _outputs(
    client: engines.supabase.ManagementClient, props: Props, project: engines.supabase.Project
) -> dict[str, Any]:
    poolers = client.projects.poolers(project.ref)
    address = poolers.session
    return {
        **plain(props),
        "project_ref": project.ref,
        "url": engines.supabase.project_url(project, props["api_url"]),
        **_keys(client, project.ref),
        "host": address.host,
        "port": address.port,
        "database": address.database,
        "user_suffix": address.user_suffix,
        "direct_url": engines.supabase.direct_address(project, address).url,
        "session_url": address.url,
        "transaction_url": poolers.transaction.url if poolers.transaction else "",
    }


def _keys(client: engines.supabase.ManagementClient, ref: str) -> dict[str, str]:
    """Read the keys; legacy ones that are switched off are listed by the platform, and open nothing."""
    keys, has_legacy = client.keys.pairs(ref), client.keys.legacy_enabled(ref) is not False
    return {
        "anon_key": (has_legacy and keys.anon) or "",
        "service_role_key": (has_legacy and keys.service_role) or "",
        "publishable_key": keys.publishable or "",
        "secret_key": keys.secret or "",
    }


class SupabaseProject(Resource, module="groundwork", name="SupabaseProject"):
    """One project of the platform.

    Attributes:
        project_ref: the project's reference, twenty letters.
        url: the project's API URL.
        anon_key: the legacy key that front ends may hold; empty when it is switched off.
        service_role_key: the legacy key that passes row level security (secret).
        publishable_key: the key that replaces anon_key; empty when there is none.
        secret_key: the key that replaces service_role_key (secret).
        host, port, database, user_suffix: where the database listens, to build logins' URLs.
        direct_url, session_url, transaction_url: the database itself and its poolers, for the owner, without
            a password; empty: there is no such pooler.
    """

    project_ref: pulumi.Output[str]
    url: pulumi.Output[str]
    anon_key: pulumi.Output[str]
    service_role_key: pulumi.Output[str]
    publishable_key: pulumi.Output[str]
    secret_key: pulumi.Output[str]
    host: pulumi.Output[str]
    port: pulumi.Output[int]
    database: pulumi.Output[str]
    user_suffix: pulumi.Output[str]
    direct_url: pulumi.Output[str]
    session_url: pulumi.Output[str]
    transaction_url: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare a project; see `components.supabase.ProjectArgs` for the properties."""
        hidden = pulumi.ResourceOptions(additional_secret_outputs=_SECRETS)
        declared = {**props, **dict.fromkeys(_RESULTS)}
        super().__init__(
            SupabaseProjectProvider(), name, declared, pulumi.ResourceOptions.merge(hidden, opts)
        )
