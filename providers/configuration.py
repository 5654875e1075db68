"""The sections of a project's settings. Only the fields that a stack names are looked at and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from providers._cloud import CloudProvider
from providers._crud import Props, changed_keys, plain, reporter, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

RESTART_TIMEOUT_S = 900
# Everything else among the properties is a field of the section.
_OURS = frozenset(
    {*_cloud.REACH, "__provider", "log_urn", "section", "fingerprint_key", "restart", "fingerprints"}
    | {"shown", "unset"}
)
# They say how a section is written and compared; by themselves they change nothing of it.
_NO_CHANGE = frozenset({"restart", "fingerprint_key"})
# Sections whose platform knows "never set"; elsewhere a field that the stack lets go stays as it is.
_RESETTABLE = "postgres"


class SupabaseSettingsProvider(CloudProvider):
    """Keeps the fields of one section as the stack names them, and no others."""

    def check(self, olds: Props, news: Props) -> CheckResult:
        """Refuse what the API does not take; show which secrets changed, and say what drifted."""
        fields = {name: value for name, value in _fields(news).items() if not unknown(value)}
        try:
            kind = _kind(news).of(fields)
        except engines.supabase.InvalidSettingError as error:
            return CheckResult(news, [CheckFailure("", f"groundwork:supabase.{error}")])
        secrets = {name: fields[name] for name in fields.keys() & kind.secrets}
        for name, live in _drift(olds, news).items():
            wanted = kind.values()[name]
            reporter(news)(f"drift: {news['section']}.{name} is {live} on the platform, {wanted} here")
        return CheckResult({**news, "fingerprints": _cloud.fingerprints(news, secrets)}, [])

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Ask for an update when a field differs, is let go, or drifted."""
        changed = set(changed_keys(olds, news, self.soft)) - _NO_CHANGE
        let_go = _fields(olds).keys() - _fields(news).keys()
        return DiffResult(changes=bool(changed or let_go or _drift(olds, news)), replaces=[])

    def create(self, props: Props) -> CreateResult:
        """Write the fields that differ on the platform; what is there already is taken over."""
        return CreateResult(f"{props['project_ref']}/{props['section']}", _written({}, props))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Write the fields that differ on the platform."""
        return UpdateResult(_written(olds, news))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Look at the live values of the stack's fields."""
        try:
            live = _cloud.look(props, props["section"])
        except engines.supabase.NotFoundError:
            return ReadResult(None, {})
        found = _seen(props, live)
        return ReadResult(id_, found, {name: value for name, value in found.items() if name != "shown"})

    def delete(self, _id: str, _props: Props) -> None:
        """Leave the settings as they are: a project has no state without them."""


def _fields(props: Props) -> dict[str, Any]:
    """Give the section's fields; those that are to be null come by name, for an input cannot be null."""
    given = {name: value for name, value in props.items() if name not in _OURS}
    return {**given, **dict.fromkeys(props.get("unset") or ())}


def _kind(props: Props) -> type[engines.supabase.Settings]:
    return engines.supabase.SECTIONS[props["section"]]


def _drift(olds: Props, news: Props) -> dict[str, Any]:
    """Give the live values of fields that are not as the stack has set them, or is about to take them over.

    A field that the stack itself changes is no drift.
    """
    live, secrets, before = _cloud.glance(news, news["section"]), _kind(news).secrets, _fields(olds)
    settled = {
        name: value
        for name, value in _fields(news).items()
        if name in live
        and name not in secrets
        and not unknown(value)
        and value is not None
        and before.get(name, value) == value
    }
    return {name: live[name] for name in engines.supabase.differing(settled, live)}


def _written(olds: Props, news: Props) -> dict[str, Any]:
    """Write what differs, and give the outputs with what the platform shows of the secrets then."""
    _cloud.forget(news)
    kind, ref = _kind(news), news["project_ref"]
    with _cloud.client(news) as client:
        live = client.configuration.read(ref, kind)
        changes = _changes(olds, news, live)
        drop = _dropped(olds, news, live)
        if changes or drop:
            live = client.configuration.change(
                ref, kind.of(changes), drop=drop, restart_database=bool(news.get("restart"))
            )
        if (changes or drop) and news.get("restart"):
            client.projects.wait_until_healthy(ref, reporter(news), RESTART_TIMEOUT_S)
    _say(news, changes, olds)
    shown = _cloud.fingerprints(news, _masked(news, live))
    return {**plain(news), "shown": shown}


def _changes(olds: Props, news: Props, live: engines.supabase.Settings) -> dict[str, Any]:
    """Choose the fields to write: plain ones that differ, secret ones that are new or not ours any more."""
    fields = _fields(news)
    hidden = {name for name in fields.keys() & _kind(news).secrets if fields[name] is not None}
    shown = {name: value for name, value in fields.items() if name not in hidden}
    changes = engines.supabase.differing(shown, live.values())
    return {**changes, **{name: fields[name] for name in hidden - _kept_secrets(olds, news, live)}}


def _kept_secrets(olds: Props, news: Props, live: engines.supabase.Settings) -> set[str]:
    """Name the secrets that were written as they are wanted, and are shown as they were then."""
    ours, shown = news.get("fingerprints", {}), _cloud.fingerprints(news, _masked(news, live))
    return {
        name
        for name in ours
        if ours[name] == olds.get("fingerprints", {}).get(name)
        and name in shown
        and shown[name] == olds.get("shown", {}).get(name)
    }


def _masked(props: Props, live: engines.supabase.Settings) -> dict[str, Any]:
    """Give what the platform shows of secrets, and of what is to be null, which it may word its own way."""
    found, fields = live.values(), _fields(props)
    names = {name for name, value in fields.items() if name in _kind(props).secrets or value is None}
    return {name: str(found[name]) for name in names if found.get(name) is not None}


def _dropped(olds: Props, news: Props, live: engines.supabase.Settings) -> set[str]:
    """Name the parameters that the stack let go and that are to be the platform's own choice again."""
    if news["section"] != _RESETTABLE:
        return set()
    return (_fields(olds).keys() - _fields(news).keys()) & live.values().keys()


def _say(news: Props, changes: Mapping[str, Any], olds: Props) -> None:
    report, section = reporter(news), news["section"]
    if not olds and not changes:
        report(f"{section}: everything is on the platform as the stack wants it")
    let_go = sorted(_fields(olds).keys() - _fields(news).keys())
    if let_go and section != _RESETTABLE:
        report(f"{section}: left as on the platform, and no longer looked at: {', '.join(let_go)}")


def _seen(props: Props, live: engines.supabase.Settings) -> dict[str, Any]:
    """Give the properties with the live values of the stack's fields."""
    found, kind = live.values(), _kind(props)
    shown = _cloud.fingerprints(props, _masked(props, live))
    strange = {
        name
        for name in {*props.get("fingerprints", {}), *(props.get("unset") or ())}
        if shown.get(name) != props.get("shown", {}).get(name)
    }
    fields = {
        name: value if engines.supabase.equal(value, found.get(name)) else found.get(name)
        for name, value in _fields(props).items()
        if name not in kind.secrets and (value is not None or name in strange)
    }
    prints = {**props.get("fingerprints", {}), **dict.fromkeys(strange & kind.secrets, _cloud.STRANGER)}
    unset = {"unset": [name for name in props["unset"] if name not in strange]} if "unset" in props else {}
    return {**plain(props), **fields, **unset, "fingerprints": prints}


class SupabaseSettings(Resource, module="groundwork", name="SupabaseSettings"):
    """One section of a project's settings.

    Attributes:
        section: its name.
    """

    section: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare a section: how to reach it, `section`, `fingerprint_key`, `restart`, and its fields.

        Those that are to be null are named in `unset`.
        """
        declared = {**props, "shown": None}
        super().__init__(SupabaseSettingsProvider(), name, declared, opts)
