"""The database's schema and the logins of the services."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pulumi

from components._base import Component
from engines import content
from providers.database import Login
from providers.migrations import Migrations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.supabase import Project


@dataclass(frozen=True, kw_only=True)
class SchemaArgs:
    """How the schema is migrated.

    Attributes:
        folder: the SQL files, relative to the program.
        layout: `auto`, `numbered` or `supabase`.
        disposable: mark the database as one that `scripts/db reset` may empty.
        verify: run the folder's checks after the migrations.
        allow_out_of_order: apply a file that sorts before the newest applied one.
    """

    folder: str
    layout: str
    disposable: bool
    verify: bool
    allow_out_of_order: bool


class Schema(Component):
    """The migrations of a project's database."""

    token = "groundwork:database:Schema"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self, name: str, args: SchemaArgs, project: Project, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the migrations."""
        super().__init__(name, opts)
        child = self.named("migrations")
        props = {
            "dsn": project.database_url,
            "folder": args.folder,
            "files": {path.name: content.digest([path]) for path in sorted(Path(args.folder).glob("*.sql"))},
            "checks": content.digest([Path(args.folder) / "checks"]),
            "layout": args.layout,
            "disposable": args.disposable,
            "verify": args.verify,
            "allow_out_of_order": args.allow_out_of_order,
            "stack": pulumi.get_stack(),
            "log_urn": self.log_urn("Migrations", child),
        }
        self._migrations = Migrations(child, props, self.under(project.inside()))
        self.version = self._migrations.latest
        self.summary = {
            "applied": self._migrations.applied,
            "latest": self._migrations.latest,
            "history_table": self._migrations.history_table,
        }
        self.finish(**self.summary)


@dataclass(frozen=True, kw_only=True)
class LoginArgs:
    """A service's login.

    Attributes:
        role: base name; the roles `<role>_a` and `<role>_b` take turns.
        group: the role that holds the privileges, made by the migrations.
        version: version of the password in use.
        passwords: accepted passwords by version.
    """

    role: str
    group: str
    version: int
    passwords: pulumi.Output[dict[str, str]]


class Logins(Component):
    """The logins of the services, by role."""

    token = "groundwork:database:Logins"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self,
        name: str,
        args: Mapping[str, LoginArgs],
        project: Project,
        schema: Schema,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare one login per entry, after the schema that made their groups."""
        super().__init__(name, opts)
        # The groups exist once the first schema version does; its name is enough to wait for it.
        shared = {"dsn": project.database_url, "schema": schema.version, **project.address}
        self._logins = {key: self._login(key, one, shared, project) for key, one in args.items()}
        self.finish(logins={key: login.login for key, login in self._logins.items()})

    def url(self, role: str) -> pulumi.Output[str]:
        """Give the DSN of a service (secret)."""
        return self._logins[role].url

    def _login(self, key: str, args: LoginArgs, shared: Mapping[str, object], project: Project) -> Login:
        props = {
            "role": args.role,
            "group": args.group,
            "version": args.version,
            "passwords": args.passwords,
            **shared,
        }
        return Login(f"{key}-login", props, self.under(project.inside()))
