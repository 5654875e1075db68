"""Secrets that Groundwork makes itself: random values, one per version."""

from __future__ import annotations

import secrets
from typing import Any

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, Resource, UpdateResult

from providers._crud import EngineProvider, Props

_BYTES = 32


def rotate(values: dict[str, str], version: int, accept: list[int]) -> dict[str, str]:
    """Give the values by version after a rotation: the current one first, then the older ones still accepted.

    A version that is accepted but was never made has no value and is left out.
    """
    older = {str(number): values[str(number)] for number in accept if str(number) in values}
    current = values.get(str(version)) or secrets.token_urlsafe(_BYTES)
    return {str(version): current, **older}


class GeneratedSecretProvider(EngineProvider):
    """Makes a value for each new version and forgets the versions that are no longer accepted."""

    def check(self, olds: Props, news: Props) -> CheckResult:
        """Refuse to go back to an older version: its value may be known to whoever made you rotate."""
        failures = []
        if olds and int(news["version"]) < int(olds["version"]):
            reason = (
                f"groundwork:secrets.{news['secret_name']}.version is {int(news['version'])}, but version "
                f"{int(olds['version'])} is in use; set {int(olds['version']) + 1} or more to rotate again"
            )
            failures.append(CheckFailure("", reason))
        return CheckResult(news, failures)

    def create(self, props: Props) -> CreateResult:
        """Make the first value."""
        return CreateResult(props["secret_name"], _outputs(props, {}))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Make the new version's value and keep those that are accepted."""
        return UpdateResult(_outputs(news, olds["values"]))


def _outputs(props: Props, values: dict[str, str]) -> dict[str, Any]:
    kept = rotate(values, int(props["version"]), [int(number) for number in props["accept"]])
    return {**props, "values": kept, "current": kept[str(int(props["version"]))]}


class GeneratedSecret(Resource, module="groundwork", name="GeneratedSecret"):
    """A random value with a version.

    Attributes:
        values: version → value, the current and the accepted ones (secret).
        current: the current version's value (secret).
    """

    values: pulumi.Output[dict[str, str]]
    current: pulumi.Output[str]
    version: pulumi.Output[int]

    def __init__(
        self, name: str, *, version: int, accept: tuple[int, ...], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the secret `name` at `version`; `accept` lists the older versions still valid."""
        # Outputs that are no inputs are stored in plain unless they are named here.
        hidden = pulumi.ResourceOptions(additional_secret_outputs=["values", "current"])
        props = {
            "secret_name": name,
            "version": version,
            "accept": list(accept),
            "values": None,
            "current": None,
        }
        super().__init__(GeneratedSecretProvider(), name, props, pulumi.ResourceOptions.merge(hidden, opts))
