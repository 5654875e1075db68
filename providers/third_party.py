"""Other issuers whose tokens a project accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

import engines
from providers import _cloud
from providers._named import NamedProvider, before, leave, named, put

if TYPE_CHECKING:
    from providers._crud import Props

_SOURCES = ("oidc_issuer_url", "jwks_url", "custom_jwks")


class ThirdPartyProvider(NamedProvider):
    """Trusts one issuer; the platform has no way to change one, so another source is another issuer."""

    results = frozenset({"issuer_id", "made"})
    fixed = frozenset(_SOURCES)

    def create(self, props: Props) -> CreateResult:
        """Trust the issuer, unless it is trusted already."""
        _cloud.forget(props)
        source = named(props, _SOURCES)
        with _cloud.client(props) as client:
            found = client.third_parties.find(props["project_ref"], source)
            issuer = found or client.third_parties.create(props["project_ref"], source)
        return CreateResult(issuer.id, put(props, issuer_id=issuer.id, made=found is None))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Only how to reach the project can change here."""
        if not before(olds, news):
            return UpdateResult(self.create(news).outs)
        return UpdateResult(put(news, **named(olds, self.results)))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Look at the live issuer; one that is gone leaves the state and is trusted again."""
        try:
            issuers = {one.id: one for one in _cloud.look(props, "third_parties")}
        except engines.supabase.NotFoundError:
            issuers = {}
        if props["issuer_id"] not in issuers:
            return ReadResult(None, {})
        kept = {name: value for name, value in put(props).items() if name not in _SOURCES}
        outs: dict[str, Any] = {**kept, **issuers[props["issuer_id"]].source()}
        return ReadResult(id_, outs, self.inputs(outs))

    def delete(self, _id: str, props: Props) -> None:
        """Trust the issuer no longer if the stack added it."""
        if not props["made"]:
            leave(props, f"the issuer {props['issuer_name']}")
            return
        _cloud.forget(props)
        with _cloud.client(props) as client:
            client.third_parties.delete(props["project_ref"], props["issuer_id"])


class ThirdParty(Resource, module="groundwork", name="ThirdParty"):
    """One issuer.

    Attributes:
        issuer_id: what the platform calls it.
    """

    issuer_id: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare an issuer: how to reach the project, `issuer_name`, and one of the three sources.

        These are `oidc_issuer_url`, `jwks_url` and `custom_jwks`.
        """
        declared = {**props, "issuer_id": None, "made": None}
        super().__init__(ThirdPartyProvider(), name, declared, opts)
