"""What the platform keeps for a project, as far as a stack names it; the rest is left alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import pulumi

from components import named
from components._base import Component
from providers.configuration import SupabaseSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.secret import Bundle
    from components.supabase import Project

# How a link to one of the project's API keys begins.
_KEYS: Final = "api_keys."


class PlatformSpec(named.AddonsSpec, Protocol):
    """What a stack says of the ground that its database stands on."""

    @property
    def postgres(self) -> Mapping[str, Any] | None:
        """PostgreSQL's parameters."""

    @property
    def pooler(self) -> Mapping[str, Any] | None:
        """The connection pooler."""

    @property
    def ssl(self) -> Mapping[str, Any] | None:
        """Whether the database wants TLS."""

    @property
    def network(self) -> Mapping[str, Any] | None:
        """From where the database is reached."""

    @property
    def restart_database(self) -> bool:
        """Restart PostgreSQL when a parameter that changes needs it."""


class ServicesSpec(named.ThingsSpec, Protocol):
    """What a stack says of the services around its database."""

    @property
    def auth(self) -> Mapping[str, Any] | None:
        """Sign-up and sign-in."""

    @property
    def postgrest(self) -> Mapping[str, Any] | None:
        """The REST API."""

    @property
    def storage(self) -> Mapping[str, Any] | None:
        """The storage service."""

    @property
    def realtime(self) -> Mapping[str, Any] | None:
        """The realtime service."""


@dataclass(frozen=True, kw_only=True)
class PlatformArgs:
    """What the ground is.

    Attributes:
        spec: the stack's settings of it.
        fingerprint_key: by it a changed secret is seen.
    """

    spec: PlatformSpec
    fingerprint_key: pulumi.Output[str]


@dataclass(frozen=True, kw_only=True)
class ServicesArgs:
    """What the services are.

    Attributes:
        spec: the stack's settings of them.
        fingerprint_key: by it a changed secret is seen.
    """

    spec: ServicesSpec
    fingerprint_key: pulumi.Output[str]


class Platform(Component):
    """What the database runs on: machine, parameters, pooler, TLS, networks; before the schema."""

    token = "groundwork:configuration:Platform"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self, name: str, args: PlatformArgs, project: Project, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the sections that the stack names."""
        super().__init__(name, opts)
        spec = args.spec
        sections = {
            "pooler": spec.pooler,
            "ssl": spec.ssl,
            "network": spec.network,
        }
        shared = {"fingerprint_key": args.fingerprint_key}
        bought = named.declare_addons(self, spec.addons, project)
        restart = {**shared, "restart": spec.restart_database}
        _declare(self, {"postgres": spec.postgres}, restart, project, after=bought)
        _declare(self, sections, shared, project, after=bought)
        self.finish()


class Services(Component):
    """The services around the database, after the schema: hooks and policies call its functions.

    Attributes:
        things: what has a name among them.
    """

    token = "groundwork:configuration:Services"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self, name: str, args: ServicesArgs, project: Project, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the sections that the stack names."""
        super().__init__(name, opts)
        spec = args.spec
        sections = {
            "auth": spec.auth,
            "postgrest": spec.postgrest,
            "storage": spec.storage,
            "realtime": spec.realtime,
        }
        _declare(self, sections, {"fingerprint_key": args.fingerprint_key}, project)
        self.things = named.declare_things(self, spec, args.fingerprint_key, project)
        self.finish(hostname_records=self.things.hostname_records)


@dataclass(frozen=True, kw_only=True)
class FunctionLinksArgs:
    """What edge functions are told of the stack's own secrets.

    Attributes:
        spec: the stack's settings of it.
        fingerprint_key: by it a changed secret is seen.
        secrets: the stack's secrets.
        api_keys: the project's own keys in use, by name.
    """

    spec: ServicesSpec
    fingerprint_key: pulumi.Output[str]
    secrets: Bundle
    api_keys: Mapping[str, pulumi.Output[str]]


class FunctionLinks(Component):
    """What edge functions present to the services, written once these accept it.

    Attributes:
        sources: which secret is told, by the functions' name for it.
        key_versions: version in use of each API key that is told, as `api_keys.NAME`.
        key_values: that version's value, as `components.secret.Bundle.all_values` gives it (secret).
    """

    token = "groundwork:configuration:FunctionLinks"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self,
        name: str,
        args: FunctionLinksArgs,
        project: Project,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare what is told."""
        super().__init__(name, opts)
        self.sources = dict(args.spec.function_links)
        keys = {source: source.removeprefix(_KEYS) for source in self.sources.values() if _is_key(source)}
        self.key_versions = {source: args.spec.api_keys[key].version for source, key in keys.items()}
        self.key_values = {source: self._value_of(args.api_keys[key], source) for source, key in keys.items()}
        told = {
            name: args.api_keys[keys[source]] if source in keys else args.secrets.current(source)
            for name, source in self.sources.items()
        }
        named.declare_links(self, args.spec, told, args.fingerprint_key, project)
        self.finish(sources=self.sources)

    def _value_of(self, key: pulumi.Output[str], source: str) -> pulumi.Output[dict[str, dict[str, str]]]:
        version = str(self.key_versions[source])
        return key.apply(lambda value: {"values": {version: value}})


def _is_key(source: str) -> bool:
    return source.startswith(_KEYS)


def _declare(
    parent: Component,
    sections: Mapping[str, Mapping[str, Any] | None],
    shared: Mapping[str, Any],
    project: Project,
    *,
    after: pulumi.Resource | None = None,
) -> None:
    """Declare one resource for each section that the stack names."""
    order = pulumi.ResourceOptions(depends_on=[after] if after else [])
    for section, fields in sections.items():
        if fields is not None:
            name = f"supabase-{section}"
            props = {**_inputs(fields), **shared, **project.management, "section": section}
            props["log_urn"] = parent.log_urn("SupabaseSettings", name)
            SupabaseSettings(name, props, parent.under(project.inside(), order))


def _inputs(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give fields as inputs of a resource, of which none can be null: those that are, by name."""
    unset = sorted(name for name, value in fields.items() if value is None)
    given = {name: value for name, value in fields.items() if value is not None}
    return {**given, "unset": unset} if unset else given
