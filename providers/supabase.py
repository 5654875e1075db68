"""A Supabase project, through the Management API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

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
from providers._crud import EngineProvider, Props, changed_keys, plain, reporter, unknown

if TYPE_CHECKING:
    from collections.abc import Callable

HEALTHY_TIMEOUT_S = 900
_GLANCE_S = 5.0
_HEALTHY = "ACTIVE_HEALTHY"
_SECRETS = ["database_url", "service_role_key", "secret_key"]
# What a project is made with and keeps; the API has no way to change it.
_FIXED = ("region", "organization_slug")


class SupabaseProjectProvider(EngineProvider):
    """Creates or adopts one project, and deletes it only when the stack says so."""

    soft = frozenset({"api_url", "access_token"})

    def check(self, olds: Props, news: Props) -> CheckResult:
        """Refuse what the platform cannot do to a living project."""
        moved = [key for key in _FIXED if olds and not unknown(news[key]) and olds[key] != news[key]]
        failures = [CheckFailure("", _fixed_text(key, olds[key], news[key])) for key in moved]
        return CheckResult(news, failures)

    def diff(self, id_: str, olds: Props, news: Props) -> DiffResult:
        """Ask for an update when an input differs, the project is not healthy, or its database moved."""
        changed = bool(changed_keys(olds, news, self.soft)) or _strayed(id_, olds, news)
        return DiffResult(changes=changed, replaces=[])

    def create(self, props: Props) -> CreateResult:
        """Create the project, or take over the one of this name that an interrupted update left."""
        with _client(props) as client:
            project = _find(client, props) or _create(client, props)
            ready = client.projects.wait_until_healthy(project.ref, reporter(props), HEALTHY_TIMEOUT_S)
            return CreateResult(ready.ref, _outputs(client, props, ready, _Login(adopt=props["adopt"])))

    def update(self, id_: str, olds: Props, news: Props) -> UpdateResult:
        """Bring name and password in line, and wait until the project answers."""
        with _client(news) as client:
            if olds["project_name"] != news["project_name"]:
                client.projects.rename(id_, news["project_name"])
            ready = client.projects.wait_until_healthy(id_, reporter(news), HEALTHY_TIMEOUT_S)
            changed = olds["database_password"] != news["database_password"]
            return UpdateResult(_outputs(client, news, ready, _Login(adopt=changed)))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Look at the live project; one that is gone leaves the state."""
        with _client(props) as client:
            try:
                project = client.projects.get(id_)
            except engines.supabase.NotFoundError:
                return ReadResult(None, {})
        return ReadResult(id_, {**plain(props), "project_name": project.name, "region": project.region})

    def delete(self, id_: str, props: Props) -> None:
        """Delete the project with its data if `on_destroy` says `delete`; else it stays as it is."""
        if props["on_destroy"] == "delete":
            with _client(props) as client:
                client.projects.delete(id_)


class _Login:
    """Whether the owner's password may be set when the stack's does not open the database."""

    def __init__(self, *, adopt: bool) -> None:
        self.adopt = adopt


def _fixed_text(key: str, old: object, new: object) -> str:
    setting = {"region": "supabase.region", "organization_slug": "organization"}[key]
    return (
        f"groundwork:{setting} is {new!r}, but the project lives in {old!r} and cannot be moved; "
        f"set it back, or make a new stack and move the data"
    )


def _strayed(ref: str, olds: Props, news: Props) -> bool:
    """Tell whether the project is not healthy, or its database moved; an API that does not answer says no."""
    if unknown(news["api_url"]) or unknown(news["access_token"]):
        return False
    # One try: a preview must not wait for an API that is not there.
    glance = engines.supabase.default_timing(timeout_s=_GLANCE_S, attempts=1)
    try:
        with _client(news, glance) as client:
            status, address = client.projects.get(ref).status, client.projects.session_pooler(ref)
    except engines.supabase.SupabaseError:
        return False
    return status != _HEALTHY or (address.host, address.port) != (olds["host"], int(olds["port"]))


def _client(props: Props, timing: engines.supabase.Timing | None = None) -> engines.supabase.ManagementClient:
    return engines.supabase.ManagementClient(props["api_url"], props["access_token"], timing=timing)


def _find(client: engines.supabase.ManagementClient, props: Props) -> engines.supabase.Project | None:
    if props["ref"]:
        return client.projects.get(props["ref"])
    return client.projects.find(props["project_name"], props["organization_slug"])


def _create(client: engines.supabase.ManagementClient, props: Props) -> engines.supabase.Project:
    reporter(props)(f"creating project {props['project_name']} in {props['region']}")
    wanted = engines.supabase.CreateProject(
        name=props["project_name"],
        organization_slug=props["organization_slug"],
        region=props["region"],
        db_pass=props["database_password"],
        desired_instance_size=props["instance_size"] or None,
    )
    return client.projects.create(wanted)


def _outputs(
    client: engines.supabase.ManagementClient, props: Props, project: engines.supabase.Project, login: _Login
) -> dict[str, Any]:
    address, keys = client.projects.session_pooler(project.ref), client.keys.pairs(project.ref)
    url = _database_url(address, props["database_password"])
    _ensure_login(url, login, lambda: client.database.set_password(project.ref, props["database_password"]))
    return {
        **plain(props),
        "project_ref": project.ref,
        "url": engines.supabase.project_url(project, props["api_url"]),
        "anon_key": keys.anon or keys.publishable,
        "service_role_key": keys.service_role or keys.secret,
        "host": address.host,
        "port": address.port,
        "database": address.database,
        "user_suffix": address.user_suffix,
        "database_url": url,
    }


def _database_url(address: engines.supabase.DatabaseAddress, password: str) -> str:
    user = quote(f"postgres{address.user_suffix}", safe="")
    return f"postgresql://{user}:{quote(password, safe='')}@{address.host}:{address.port}/{address.database}"


def _ensure_login(url: str, login: _Login, set_password: Callable[[], None]) -> None:
    """Prove that the stack's password opens the database; set it there only where that is allowed."""
    try:
        engines.postgres.connect(url).close()
    except engines.postgres.DatabaseUnreachableError as error:
        if not login.adopt:
            raise engines.supabase.SupabaseError(
                f"the project exists, but this stack's database password does not open it ({error}). If the "
                "project is yours, set groundwork:supabase.adopt to true: its password is then replaced"
            ) from None
        set_password()
        engines.postgres.connect(url).close()


class SupabaseProject(Resource, module="groundwork", name="SupabaseProject"):
    """One project of the platform.

    Attributes:
        project_ref: the project's reference, twenty letters.
        url: the project's API URL.
        anon_key: the key that front ends may hold.
        service_role_key: the key that passes row level security (secret).
        database_url: the owner's login through the session pooler (secret).
        host, port, database, user_suffix: where the database listens, to build other logins' URLs.
    """

    project_ref: pulumi.Output[str]
    url: pulumi.Output[str]
    anon_key: pulumi.Output[str]
    service_role_key: pulumi.Output[str]
    database_url: pulumi.Output[str]
    host: pulumi.Output[str]
    port: pulumi.Output[int]
    database: pulumi.Output[str]
    user_suffix: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare a project; see `components.supabase.ProjectArgs` for the properties."""
        hidden = pulumi.ResourceOptions(additional_secret_outputs=_SECRETS)
        results = ["project_ref", "url", "anon_key", "service_role_key", "database_url"]
        results += ["host", "port", "database", "user_suffix"]
        declared = {**props, **dict.fromkeys(results)}
        super().__init__(
            SupabaseProjectProvider(), name, declared, pulumi.ResourceOptions.merge(hidden, opts)
        )
