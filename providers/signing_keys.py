"""The keys that sign a project's tokens, in their four states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, ReadResult, Resource, UpdateResult

import engines
from providers import _cloud
from providers._crud import Props, reporter
from providers._named import NamedProvider, before, put

if TYPE_CHECKING:
    from engines.supabase.key_states import WantedKey


class SigningKeysProvider(NamedProvider):
    """Brings keys into the states that the stack names; no key is lost, and none is made twice."""

    results = frozenset({"ids"})

    def check(self, olds: Props, news: Props) -> CheckResult:
        """Refuse what the four states do not allow."""
        found = engines.supabase.key_states.complaints(_wanted(olds), _wanted(news))
        failures = [
            CheckFailure("", f"groundwork:supabase.signing_keys.{name}: {text}")
            for name, text in found.items()
        ]
        return CheckResult(news, failures)

    def create(self, props: Props) -> CreateResult:
        """Recognize or make the keys, and bring them into their states."""
        return CreateResult(f"{props['project_ref']}/signing-keys", _brought({}, props))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Make what is new, change states, and delete what is revoked and named no more."""
        return UpdateResult(_brought(before(olds, news), news))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Look at the live states; a key that is gone is not listed."""
        try:
            live = {key.id: key for key in _cloud.look(props, "signing_keys")}
        except engines.supabase.NotFoundError:
            return ReadResult(None, {})
        ids = {name: key_id for name, key_id in props["ids"].items() if key_id in live}
        keys = {
            name: {"algorithm": live[key_id].algorithm, "status": live[key_id].status}
            for name, key_id in ids.items()
        }
        outs = put(props, keys=keys, ids=ids)
        return ReadResult(id_, outs, self.inputs(outs))

    def delete(self, _id: str, _props: Props) -> None:
        """Leave the keys as they are: tokens that they signed are in use."""


def _wanted(props: Props) -> dict[str, WantedKey]:
    kind = engines.supabase.key_states.WantedKey
    return {name: kind(key["algorithm"], key["status"]) for name, key in props.get("keys", {}).items()}


def _brought(olds: Props, news: Props) -> dict[str, Any]:
    _cloud.forget(news)
    ref, known, report = news["project_ref"], olds.get("ids") or {}, reporter(news)
    with _cloud.client(news) as client:
        ids = engines.supabase.key_states.bring(client, ref, _wanted(news), known, report)
        gone = {name: key_id for name, key_id in known.items() if name not in ids}
        engines.supabase.key_states.let_go(client, ref, gone, report)
    return put(news, ids=ids)


class SigningKeys(Resource, module="groundwork", name="SigningKeys"):
    """A project's signing keys.

    Attributes:
        ids: the platform's ids, by the stack's names.
    """

    ids: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the keys: how to reach the project, and `keys` (name → algorithm and status)."""
        super().__init__(SigningKeysProvider(), name, {**props, "ids": None}, opts)
