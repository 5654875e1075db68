"""Secrets of a stack: generated ones with a version, and given ones from encrypted config."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import pulumi

from components._base import Component
from providers.secret import GeneratedSecret, GivenSecret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.supabase import Project

# Replicas of the app both sign with it and check what others signed, so all know the next value in advance.
_IN_ADVANCE: Final = frozenset({"session_key"})
# Whose old versions services note when they are shown them; of the others only the current one matters.
_NOTED: Final = frozenset({"agent_shared_secret", "session_key", "billing_webhook_secret"})
_PASSWORD: Final = "_database_password"  # noqa: S105 - how the names of logins' passwords end


class Rotated(Protocol):
    """What a secret asks for: its version, and the older ones that are still accepted."""

    @property
    def version(self) -> int:
        """Version in use."""

    @property
    def older(self) -> tuple[int, ...]:
        """Older versions that are still accepted."""

    @property
    def compromised(self) -> bool:
        """Whether older versions go at once, used or not."""


class Given(Rotated, Protocol):
    """What a secret from outside asks for."""

    @property
    def value(self) -> pulumi.Output[str]:
        """The value of the version in use."""


@dataclass(frozen=True, kw_only=True)
class BundleArgs:
    """What a stack's secrets are.

    Attributes:
        generated: name → version and accepted versions.
        given: name → value, version and accepted versions (encrypted config).
        retire_after: how long an old version must have been unused before it is retired, in seconds.
    """

    generated: Mapping[str, Rotated]
    given: Mapping[str, Given] = field(default_factory=dict)
    retire_after: float = 0


class Bundle(Component):
    """Secrets of a stack, by name.

    Attributes:
        versions: the version in use of each secret.
        compromised: names of those whose older versions go at once.
    """

    token = "groundwork:secret:Bundle"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(
        self,
        name: str,
        args: BundleArgs,
        project: Project | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the secrets; those of services know the project, in whose database their use is looked up."""
        super().__init__(name, opts)
        self._project, self._retire_after = project, args.retire_after
        self._generated = {key: self._make(key, wanted) for key, wanted in args.generated.items()}
        self._given = {key: self._keep(key, wanted) for key, wanted in args.given.items()}
        wanted = {**args.generated, **args.given}
        self.versions = {key: one.version for key, one in wanted.items()}
        self.compromised = frozenset(key for key, one in wanted.items() if one.compromised)
        self.finish(versions=self.versions)

    def current(self, name: str) -> pulumi.Output[str]:
        """Give the value in force of a secret that the stack has."""
        return (self._given[name] if name in self._given else self._generated[name]).current

    def accepted(self, name: str) -> pulumi.Output[dict[str, str]]:
        """Give all accepted values by version, for whoever checks the secret."""
        return self._generated[name].values

    def keyed(self, name: str) -> pulumi.Output[dict[str, str]]:
        """Give the value in force by its version, for whoever presents the secret."""
        version = str(self.versions[name])
        return self._generated[name].values.apply(lambda values: {version: values[version]})

    def signing(self, name: str) -> pulumi.Output[str]:
        """Give what signs and checks: JSON with the version to `use`, and all `values`, the next one too."""
        made, version = self._generated[name], str(self.versions[name])

        def write(found: list[Any]) -> str:
            values, standby = found
            return json.dumps({"use": version, "values": {**values, **standby}}, sort_keys=True)

        return pulumi.Output.all(made.values, made.standby).apply(write)

    def given(self, name: str) -> pulumi.Output[str] | None:
        """Give the value in force of one from config, None when the stack has none."""
        return self._given[name].current if name in self._given else None

    def given_versions(self, name: str) -> pulumi.Output[dict[str, str]] | None:
        """Give all accepted values of one from config by version, None when the stack has none."""
        return self._given[name].values if name in self._given else None

    def all_values(self) -> dict[str, pulumi.Output[dict[str, dict[str, str]]]]:
        """Give what is known of each secret: `values` that are accepted, and the `standby` that is next."""
        ahead = {
            key: pulumi.Output.all(values=one.values, standby=one.standby)
            for key, one in self._generated.items()
            if key in _IN_ADVANCE
        }
        made = {key: one.values for key, one in self._generated.items()}
        kept = {key: one.values for key, one in self._given.items()}
        plain = {key: known.apply(lambda found: {"values": found}) for key, known in {**made, **kept}.items()}
        return {**plain, **ahead}

    def _make(self, key: str, wanted: Rotated) -> GeneratedSecret:
        extra = self._extra("GeneratedSecret", key, wanted)
        if key in _IN_ADVANCE:
            extra["in_advance"] = True
        return GeneratedSecret(
            key, version=wanted.version, accept=wanted.older, extra=extra, opts=self._inside()
        )

    def _keep(self, key: str, wanted: Given) -> GivenSecret:
        props = {"value": wanted.value, "version": wanted.version, "accept": list(wanted.older)}
        return GivenSecret(key, {**props, **self._extra("GivenSecret", key, wanted)}, self._inside())

    def _extra(self, kind: str, key: str, wanted: Rotated) -> dict[str, Any]:
        """Give how a secret is guarded: by what services note, by its login's sessions, or not at all."""
        extra: dict[str, Any] = {"compromised": wanted.compromised, "log_urn": self.log_urn(kind, key)}
        is_login = key.endswith(_PASSWORD)
        if self._project is None or not (is_login or key in _NOTED):
            return extra
        login = {"login": key.removesuffix(_PASSWORD)} if is_login else {}
        return {**extra, **login, **self._project.access, "retire_after_s": self._retire_after}

    def _inside(self) -> pulumi.ResourceOptions:
        return self.under(self._project.inside() if self._project else None)
