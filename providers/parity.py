"""The proof that every place holds the same secrets: services, vault, logins, edge functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

import engines
from providers import _access, _cloud
from providers._access import DatabaseProvider
from providers._crud import Props, changed_keys, plain

if TYPE_CHECKING:
    from engines.parity import Known, Stack


class ParityProvider(DatabaseProvider):
    """Asks every place when something that it depends on changed; an update without changes stays one."""

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Ask again when secrets, services or places differ; how the project is reached proves nothing."""
        steering = {*self.soft, "timeout_s"}
        return DiffResult(changes=bool(set(changed_keys(olds, news)) - steering), replaces=[])

    def create(self, props: Props) -> CreateResult:
        """Prove it."""
        return CreateResult("parity", _proven(props))

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        """Prove it for what runs now."""
        return UpdateResult(_proven(news))


def _proven(props: Props) -> dict[str, Any]:
    known = {name: _known(place, props["secrets"][name]) for name, place in props["places"].items()}
    timeout_s = float(props["timeout_s"])
    matrix = _access.run(
        props, lambda dsn: engines.parity.prove(_stack(props, dsn), known, timeout_s=timeout_s)
    )
    return {**plain(props), "matrix": matrix}


def _known(place: Props, held: Props) -> Known:
    return engines.parity.Known(
        current=str(int(place["version"])),
        values=held["values"],
        standby=held.get("standby") or {},
        presents=tuple(place["presents"]),
        checks=tuple(place["checks"]),
        listed_as=place.get("listed_as"),
        login=place.get("login"),
    )


def _stack(props: Props, dsn: str) -> Stack:
    return engines.parity.Stack(
        services={"app": props["app_url"], "agent": props["agent_url"]},
        dsn=dsn,
        logins=props["logins"],
        digests=(lambda: _digests(props)) if props["asks_functions"] else None,
    )


def _digests(props: Props) -> dict[str, str]:
    with _cloud.client(props) as client:
        return client.function_secrets.digests(props["project_ref"])


class Parity(Resource, module="groundwork", name="Parity"):
    """Who holds which version of which secret.

    Attributes:
        matrix: secret → place → version.
    """

    matrix: pulumi.Output[dict[str, dict[str, str]]]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the proof; see `components.parity.ParityArgs` for the properties."""
        hidden = pulumi.ResourceOptions(additional_secret_outputs=["secrets", "logins"])
        merged = pulumi.ResourceOptions.merge(hidden, opts)
        super().__init__(ParityProvider(), name, {**props, "matrix": None}, merged)
