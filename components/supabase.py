"""The Supabase project; where the stack names no API, a stand-in for it runs on the stack's host."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components._base import Component
from components.host import Host, ServiceArgs
from providers.secret import GeneratedSecret
from providers.supabase import SupabaseProject


@dataclass(frozen=True, kw_only=True)
class ProjectArgs:
    """What the project is.

    Attributes:
        name: the project's name on the platform.
        organization: slug of the organization that owns it.
        api_url: the Management API; empty: a stand-in is run on `host`.
        access_token: token of the Management API; None with the stand-in.
        ref: an existing project to adopt; empty: found by name, or created.
        adopt: the owner's password may be replaced in a project that the stack did not create.
        region: the platform's region code.
        instance_size: compute size; empty: the platform's default.
        database_password: the owner's password.
        on_destroy: `keep` or `delete` the project and its data when the stack is destroyed.
        protect: refuse to destroy the project.
    """

    name: str
    organization: str
    api_url: str
    access_token: pulumi.Output[str] | None
    ref: str
    adopt: bool
    region: str
    instance_size: str
    database_password: pulumi.Output[str]
    on_destroy: str
    protect: bool


class Project(Component):
    """A Supabase project with its keys and its database."""

    token = "groundwork:supabase:Project"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self, name: str, args: ProjectArgs, host: Host, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the project, and the stand-in below it where there is no API."""
        super().__init__(name, opts)
        self.lifeline: pulumi.Resource | None = None
        self.api_url, self._token = self._reach(args, host)
        self._project = self._declare(args)
        self.ref, self.url = self._project.project_ref, self._project.url
        self.anon_key, self.database_url = self._project.anon_key, self._project.database_url
        self.address = {
            "host": self._project.host,
            "port": self._project.port,
            "database": self._project.database,
            "user_suffix": self._project.user_suffix,
        }
        self.finish(ref=self.ref, url=self.url, api_url=self.api_url)

    def inside(self) -> pulumi.ResourceOptions:
        """Give the options of what lives inside the project and goes when a stand-in does."""
        return pulumi.ResourceOptions(deleted_with=self.lifeline)

    def _reach(self, args: ProjectArgs, host: Host) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        if args.api_url and args.access_token is not None:
            return pulumi.Output.from_input(args.api_url), args.access_token
        token = GeneratedSecret("supabase_access_token", version=1, accept=(), opts=self.under())
        service = host.run("emulator", _stand_in(token.current, args.on_destroy))
        self.lifeline = service.resource
        return service.url, token.current

    def _declare(self, args: ProjectArgs) -> SupabaseProject:
        name = self.named("project")
        props = {
            "api_url": self.api_url,
            "access_token": self._token,
            "project_name": args.name,
            "organization_slug": args.organization,
            "ref": args.ref,
            "adopt": args.adopt,
            "region": args.region,
            "instance_size": args.instance_size,
            "database_password": args.database_password,
            "on_destroy": args.on_destroy,
            "log_urn": self.log_urn("SupabaseProject", name),
        }
        return SupabaseProject(
            name, props, self.under(self.inside(), pulumi.ResourceOptions(protect=args.protect))
        )


def _stand_in(token: pulumi.Output[str], on_destroy: str) -> ServiceArgs:
    data = f".local/{pulumi.get_stack()}/supabase"
    return ServiceArgs(
        source="emulator",
        command=("{python}", "-m", "emulator", "--host", "127.0.0.1", "--port", "{port}", "--data", data),
        directory=".",
        secrets={"groundwork_emulator_token": token},
        wipe_on_delete=(data,) if on_destroy == "delete" else (),
    )
