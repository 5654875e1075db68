"""The database's schema and the logins of the services."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import pulumi

from components._base import Component
from engines import content
from providers.database import DemoAccounts, Login
from providers.migrations import Migrations

if TYPE_CHECKING:
    from components.secret import Bundle
    from components.supabase import Project

# Numbered, timestamps and Drizzle 0.x; Drizzle 1.0; the journal, which has the order.
_READ: Final = ("*.sql", "*/migration.sql", "meta/_journal.json")


class SchemaSpec(Protocol):
    """What a stack says of its migrations."""

    @property
    def dir(self) -> str:
        """Folder of the SQL files, relative to the program."""

    @property
    def layout(self) -> str:
        """How the files are named; `auto` detects it."""

    @property
    def lock_wait(self) -> float:
        """Seconds that one migration may try, in all, to get its locks."""

    @property
    def lock_timeout(self) -> float:
        """Seconds that one of these tries may wait."""

    @property
    def disposable(self) -> bool:
        """Mark the database as one that `scripts/db reset` may empty."""

    @property
    def verify(self) -> bool:
        """Run the folder's checks after the migrations."""

    @property
    def allow_out_of_order(self) -> bool:
        """Apply a file that sorts before the newest applied one."""

    @property
    def contract_after(self) -> float:
        """Seconds that contract files wait after the first release that is healthy with them."""


def digests(folder: Path) -> dict[str, str]:
    """Hash every file that a layout may read, by its path in the folder: a change of one is shown by name."""
    paths = [path for pattern in _READ for path in sorted(folder.glob(pattern))]
    return {path.relative_to(folder).as_posix(): content.digest([path]) for path in paths}


class Schema(Component):
    """The migrations that run before the new code: all up to the first one marked `phase=contract`.

    Attributes:
        version: the newest migration that the code may rely on.
    """

    token = "groundwork:database:Schema"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self, name: str, spec: SchemaSpec, project: Project, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the migrations."""
        super().__init__(name, opts)
        child = self.named("migrations")
        props = _migrations(spec, project, phase="expand")
        props |= {"files": digests(Path(spec.dir)), "log_urn": self.log_urn("Migrations", child)}
        self.version = Migrations(child, props, self.under(project.inside())).latest
        self.finish(version=self.version)


@dataclass(frozen=True, kw_only=True)
class ContractArgs:
    """When the second phase runs.

    Attributes:
        spec: the stack's settings of its migrations.
        schema: the version that the first phase ended with.
        healthy: known once the new code is proven healthy.
        restore_point: have the platform make one before files are applied that were held back.
    """

    spec: SchemaSpec
    schema: pulumi.Output[str]
    healthy: pulumi.Output[str]
    restore_point: bool = False


class Contract(Component):
    """The migrations that take away what old code needed; they run when the new code is proven healthy.

    Attributes:
        summary: `applied`, `latest`, `history_table` and `held` at the end of the update.
    """

    token = "groundwork:database:Contract"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self, name: str, args: ContractArgs, project: Project, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the migrations."""
        super().__init__(name, opts)
        child = self.named("migrations")
        props = _migrations(args.spec, project, phase="contract")
        # A new version before the rollout brings this resource's outputs up to date, too.
        props |= {"schema": args.schema, "after": args.healthy, "log_urn": self.log_urn("Migrations", child)}
        props |= {"restore_point": args.restore_point}
        migrations = Migrations(child, props, self.under(project.inside()))
        self.summary = {
            "applied": migrations.applied,
            "latest": migrations.latest,
            "history_table": migrations.history_table,
            "held": migrations.held,
        }
        self.finish(**self.summary)


def _migrations(spec: SchemaSpec, project: Project, *, phase: str) -> dict[str, object]:
    return {
        **project.access,
        "phase": phase,
        "folder": spec.dir,
        "checks": content.digest([Path(spec.dir) / "checks"]),
        "layout": spec.layout,
        "lock_wait_s": spec.lock_wait,
        "lock_timeout_s": spec.lock_timeout,
        "disposable": spec.disposable,
        "verify": spec.verify,
        "allow_out_of_order": spec.allow_out_of_order,
        "contract_after_s": spec.contract_after,
        "stack": pulumi.get_stack(),
    }


@dataclass(frozen=True, kw_only=True)
class LoginsArgs:
    """Which services get a login.

    Attributes:
        roles: base names; the roles `<name>_a` and `<name>_b` take turns, members of `<name>_runtime`.
        secrets: has the passwords, as `<name>_database_password`.
        schema: the version that made the groups.
    """

    roles: tuple[str, ...]
    secrets: Bundle
    schema: pulumi.Output[str]


class Logins(Component):
    """The logins of the services, by role."""

    token = "groundwork:database:Logins"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self, name: str, args: LoginsArgs, project: Project, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare one login per role, after the schema that made their groups."""
        super().__init__(name, opts)
        self._shared = {**project.access, "schema": args.schema}
        self._logins = {role: self._login(role, args.secrets, project) for role in args.roles}
        self.finish(logins={role: login.login for role, login in self._logins.items()})

    def url(self, role: str) -> pulumi.Output[str]:
        """Give the DSN of a service (secret)."""
        return self._logins[role].url

    def _login(self, role: str, secrets: Bundle, project: Project) -> Login:
        secret = f"{role}_database_password"
        # Only then an input: others have none of that name in their state.
        stolen = {"cut_off": True} if secret in secrets.compromised else {}
        props = {
            "role": role,
            "group": f"{role}_runtime",
            "version": secrets.versions[secret],
            "passwords": secrets.accepted(secret),
            **stolen,
            **self._shared,
        }
        return Login(f"{role}-login", props, self.under(project.inside()))


@dataclass(frozen=True, kw_only=True)
class ProductArgs:
    """How the product's switches stand.

    Attributes:
        demo_accounts: the app may make demo accounts.
        schema: the version that made the switches.
    """

    demo_accounts: bool
    schema: pulumi.Output[str]


class Product(Component):
    """The product's own switches in its database.

    Attributes:
        demo_accounts: whether the app may make demo accounts; known once the database agrees.
    """

    token = "groundwork:database:Product"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self, name: str, args: ProductArgs, project: Project, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the switches, after the schema that made them."""
        super().__init__(name, opts)
        props = {**project.access, "schema": args.schema, "allowed": args.demo_accounts}
        switch = DemoAccounts("demo-accounts", props, self.under(project.inside()))
        self.demo_accounts = switch.allowed
        self.finish(demo_accounts=self.demo_accounts)
