"""The Supabase project; where the stack names no API, a stand-in for it runs on the stack's host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pulumi

from components._base import Component
from components.host import Host, ServiceArgs
from providers.owner import KEEP, OwnerPassword
from providers.secret import GeneratedSecret
from providers.supabase import SupabaseProject

if TYPE_CHECKING:
    from collections.abc import Sequence


class ProjectSpec(Protocol):
    """What a stack says of its project."""

    @property
    def api_url(self) -> str | None:
        """The Management API; None: a stand-in runs on the host."""

    @property
    def access_token(self) -> pulumi.Output[str] | None:
        """Token of the Management API; None with the stand-in."""

    @property
    def ref(self) -> str | None:
        """An existing project to adopt; None: found by name, or created."""

    @property
    def adopt(self) -> bool:
        """Whether the owner's password may be set in a project that exists already."""

    @property
    def region(self) -> str:
        """The platform's region code."""

    @property
    def instance_size(self) -> str | None:
        """Compute size; None: the platform's default."""

    @property
    def owner_password(self) -> str:
        """`keep` or `forget`: whether the stack knows the password of the database's owner."""

    @property
    def paused(self) -> bool:
        """Whether the project sleeps."""

    @property
    def on_destroy(self) -> str:
        """`keep` or `delete`: what becomes of the project when the stack is destroyed."""

    @property
    def protect(self) -> bool:
        """Refuse to destroy the project."""


@dataclass(frozen=True, kw_only=True)
class ProjectArgs:
    """What the project is.

    Attributes:
        name: the project's name on the platform.
        organization: slug of the organization that owns it.
        spec: the stack's settings of it.
        database_password: the owner's password; it opens the database only where the stack keeps it.
    """

    name: str
    organization: str
    spec: ProjectSpec
    database_password: pulumi.Output[str]


class Project(Component):
    """A Supabase project with its keys and its database.

    Attributes:
        ref: its reference.
        url: the project's API URL.
        api_url: the Management API that it is reached by.
        anon_key: what front ends hold: the legacy key, or the publishable one where that is switched off.
        service_role_key, publishable_key, secret_key: the other keys; empty where there is none.
        direct_url, session_url, transaction_url: the database and its poolers, without a password.
        database_url: the owner's login, with its password if the stack keeps it (secret).
        management: how providers reach the project.
        access: how providers reach the database.
    """

    token = "groundwork:supabase:Project"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self, name: str, args: ProjectArgs, host: Host, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the project, and the stand-in below it where there is no API."""
        super().__init__(name, opts)
        self.lifeline: pulumi.Resource | None = None
        self._is_deleted = args.spec.on_destroy == "delete"
        self.api_url, self._token = self._reach(args.spec, host)
        self._project = self._declare(args)
        self.ref, self.url = self._project.project_ref, self._project.url
        # One that is adopted is known by its name already, so that even the first preview can look at it.
        self.management = {
            "api_url": self.api_url,
            "access_token": self._token,
            "project_ref": args.spec.ref or self.ref,
        }
        found = self._project
        self.anon_key = pulumi.Output.all(found.anon_key, found.publishable_key).apply(_first)
        self.service_role_key, self.publishable_key = found.service_role_key, found.publishable_key
        self.secret_key = found.secret_key
        self.direct_url, self.session_url = found.direct_url, found.session_url
        self.transaction_url = found.transaction_url
        address = {
            "host": found.host,
            "port": found.port,
            "database": found.database,
            "user_suffix": found.user_suffix,
        }
        self.access: dict[str, pulumi.Input[Any]] = {**self.management, **address}
        owner = self._owner(args)
        self.database_url = owner.url
        if args.spec.owner_password == KEEP:
            self.access["owner_password"] = owner.password
        self.finish(ref=self.ref, url=self.url, api_url=self.api_url)

    def inside(self) -> pulumi.ResourceOptions:
        """Give the options of what lives inside the project and goes when that, or a stand-in, does."""
        goes_with = self.lifeline or (self._project if self._is_deleted else None)
        return pulumi.ResourceOptions(deleted_with=goes_with, depends_on=[self._project])

    def _reach(self, spec: ProjectSpec, host: Host) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        if spec.api_url and spec.access_token is not None:
            return pulumi.Output.from_input(spec.api_url), spec.access_token
        token = GeneratedSecret("supabase_access_token", version=1, accept=(), opts=self.under())
        service = host.run("emulator", _stand_in(token.current, f"{host.home}/supabase", spec.on_destroy))
        self.lifeline = service.resource
        return service.url, token.current

    def _declare(self, args: ProjectArgs) -> SupabaseProject:
        name, spec = self.named("project"), args.spec
        props = {
            "api_url": self.api_url,
            "access_token": self._token,
            "project_name": args.name,
            "organization_slug": args.organization,
            "ref": spec.ref or "",
            "adopt": spec.adopt,
            "region": spec.region,
            "instance_size": spec.instance_size or "",
            "database_password": args.database_password if spec.owner_password == KEEP else "",
            "paused": spec.paused,
            "on_destroy": spec.on_destroy,
            "log_urn": self.log_urn("SupabaseProject", name),
        }
        guarded = pulumi.ResourceOptions(protect=spec.protect, deleted_with=self.lifeline)
        return SupabaseProject(name, props, self.under(guarded))

    def _owner(self, args: ProjectArgs) -> OwnerPassword:
        name = self.named("owner-password")
        props = {
            **self.access,
            "mode": args.spec.owner_password,
            "password": args.database_password,
            "adopt": args.spec.adopt,
            "log_urn": self.log_urn("OwnerPassword", name),
        }
        return OwnerPassword(name, props, self.under(self.inside()))


def _first(keys: Sequence[str]) -> str:
    return next(filter(None, keys), "")


def _stand_in(token: pulumi.Output[str], data: str, on_destroy: str) -> ServiceArgs:
    listen = ("--host", "127.0.0.1", "--port", "{port}", "--data", data)
    return ServiceArgs(
        source="emulator",
        command=("{python}", "-m", "emulator", *listen),
        directory=".",
        environment={
            "GROUNDWORK_EMULATOR_TOKEN_FILE": "{secrets}/groundwork_emulator_token",
            # Nobody else uses it: the platform's limit would only make quick updates wait.
            "GROUNDWORK_EMULATOR_RATE_LIMIT": "0",
        },
        secrets={"groundwork_emulator_token": token},
        wipe_on_delete=(data,) if on_destroy == "delete" else (),
    )
