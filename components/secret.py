"""Secrets of a stack: generated ones with a version, and given ones from encrypted config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from components._base import Component
from providers.secret import GeneratedSecret

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi


class Rotated(Protocol):
    """What a generated secret asks for: its version, and the older ones that are still accepted."""

    @property
    def version(self) -> int:
        """Version in use."""

    @property
    def older(self) -> tuple[int, ...]:
        """Older versions that are still accepted."""


@dataclass(frozen=True, kw_only=True)
class BundleArgs:
    """What a stack's secrets are.

    Attributes:
        generated: name → version and accepted versions.
        given: name → value (encrypted config).
    """

    generated: Mapping[str, Rotated]
    given: Mapping[str, pulumi.Output[str]]


class Bundle(Component):
    """All secrets of a stack, by name."""

    token = "groundwork:secret:Bundle"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(self, name: str, args: BundleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the generated secrets."""
        super().__init__(name, opts)
        self._generated = {
            key: GeneratedSecret(key, version=wanted.version, accept=wanted.older, opts=self.under())
            for key, wanted in args.generated.items()
        }
        self._given = dict(args.given)
        self.versions = {key: wanted.version for key, wanted in args.generated.items()}
        self.finish(versions=self.versions)

    def current(self, name: str) -> pulumi.Output[str]:
        """Give the value in force."""
        return self._generated[name].current

    def accepted(self, name: str) -> pulumi.Output[dict[str, str]]:
        """Give all accepted values by version, for whoever checks the secret."""
        return self._generated[name].values

    def keyed(self, name: str) -> pulumi.Output[dict[str, str]]:
        """Give the value in force by its version, for whoever presents the secret."""
        version = str(self.versions[name])
        return self._generated[name].values.apply(lambda values: {version: values[version]})

    def given(self, name: str) -> pulumi.Output[str] | None:
        """Give a value from config, None when the stack has none."""
        return self._given.get(name)
