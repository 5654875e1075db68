"""The secrets that a project's edge functions see; the platform shows their digests only."""

from __future__ import annotations

import hashlib
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    UpdateResult,
)

import engines
from providers import _cloud
from providers._crud import Props, unknown
from providers._named import NamedProvider, before, put


class FunctionSecretsProvider(NamedProvider):
    """Keeps the secrets that a stack names, and removes those that it names no more; others stay.

    A stack has two such resources: one for what its file says, written before the services, and one for what
    services have to know first. `others` are the names that the other one has, so that a name can move.
    """

    results = frozenset({"shown"})

    def diff(self, id_: str, olds: Props, news: Props) -> DiffResult:
        """Ask for an update when the resource's own names or values differ."""
        return super().diff(id_, _own(olds), _own(news))

    def check(self, _olds: Props, news: Props) -> CheckResult:
        """Refuse the platform's own names, and show by name what changed."""
        values = {} if unknown(news["values"]) else news["values"]
        failures = [CheckFailure("", _reserved_text(name)) for name in values if _is_reserved(name)]
        prints = _cloud.fingerprints(news, values)
        return CheckResult({**news, "fingerprints": prints}, failures)

    def create(self, props: Props) -> CreateResult:
        """Set the secrets that are not there yet with their values."""
        return CreateResult(f"{props['project_ref']}/function-secrets", _written({}, props))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Set what differs, and remove what the stack names no more."""
        return UpdateResult(_written(before(olds, news), news))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Compare what the platform shows with what it showed after the last update."""
        try:
            live = _cloud.look(props, "function_secrets")
        except engines.supabase.NotFoundError:
            return ReadResult(None, {})
        shown = _shown(props, live)
        prints = {
            name: mark if shown[name] == props["shown"].get(name) else _cloud.STRANGER
            for name, mark in props["fingerprints"].items()
            if name in shown
        }
        outs = put(props, fingerprints=prints)
        return ReadResult(id_, outs, self.inputs(outs))

    def delete(self, _id: str, props: Props) -> None:
        """Remove the secrets that the stack names."""
        _cloud.forget(props)
        if props["values"]:
            with _cloud.client(props) as client:
                client.function_secrets.delete(props["project_ref"], list(props["values"]))


def _own(props: Props) -> Props:
    return {name: value for name, value in props.items() if name != "others"}


def _is_reserved(name: str) -> bool:
    return name.startswith(engines.supabase.function_secrets.RESERVED_PREFIX)


def _reserved_text(name: str) -> str:
    prefix = engines.supabase.function_secrets.RESERVED_PREFIX
    return (
        f"groundwork:supabase.function_secrets.{name}: names that begin with {prefix} are the platform's "
        "own; choose another name"
    )


def _written(olds: Props, news: Props) -> dict[str, Any]:
    """Write what differs, and give the outputs with what the platform shows then."""
    _cloud.forget(news)
    ref, values = news["project_ref"], news["values"]
    with _cloud.client(news) as client:
        live = client.function_secrets.digests(ref)
        differing = {name: value for name, value in values.items() if live.get(name) != _digest(value)}
        moved = set(news.get("others", ()))
        gone = sorted((olds.get("values", {}).keys() - values.keys() - moved) & live.keys())
        if differing:
            client.function_secrets.put(ref, differing)
            live = client.function_secrets.digests(ref)
        if gone:
            client.function_secrets.delete(ref, gone)
    return put(news, shown=_shown(news, live))


def _digest(value: str) -> str:
    """Give what the platform shows of a value; were it something else, values would be written twice."""
    return hashlib.sha256(value.encode()).hexdigest()


def _shown(props: Props, live: dict[str, str]) -> dict[str, str]:
    """Fingerprint what the platform shows: a plain digest of a short secret would give it away."""
    return _cloud.fingerprints(props, {name: live[name] for name in props["values"] if name in live})


class FunctionSecrets(Resource, module="groundwork", name="FunctionSecrets"):
    """The secrets of a project's edge functions.

    Attributes:
        fingerprints: name → a text that changes with the value, and tells nothing about it.
    """

    fingerprints: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the secrets: how to reach the project, `fingerprint_key`, `values`, `others`."""
        declared = {**props, "fingerprints": None, "shown": None}
        super().__init__(FunctionSecretsProvider(), name, declared, opts)
