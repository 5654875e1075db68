"""Secrets with versions: random values that Groundwork makes, and values that a stack is given."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, Resource, UpdateResult

from providers import _retirement
from providers._crud import EngineProvider, Props

if TYPE_CHECKING:
    from collections.abc import Mapping

_BYTES = 32
# What is stored besides the values. How to reach the database is asked for anew each time.
_STORED = ("secret_name", "version", "accept", "compromised", "in_advance")


def rotate(values: Mapping[str, str], version: int, accept: list[int]) -> dict[str, str]:
    """Give the values by version after a rotation: the current one first, then the older ones still accepted.

    A version that is accepted but was never made has no value and is left out.
    """
    older = {str(number): values[str(number)] for number in accept if str(number) in values}
    current = values.get(str(version)) or secrets.token_urlsafe(_BYTES)
    return {str(version): current, **older}


def prepare(standby: Mapping[str, str], version: int) -> dict[str, str]:
    """Give the value of the version after this one, which everybody knows before somebody uses it."""
    following = str(version + 1)
    return {following: standby.get(following) or secrets.token_urlsafe(_BYTES)}


class _Versioned(EngineProvider):
    """What all secrets with versions share: none goes back, and none is retired that is in use."""

    def check(self, olds: Props, news: Props) -> CheckResult:
        """Refuse to go back to an older version, and to retire one that is still in use."""
        reasons = list(filter(None, self.reasons(olds, news))) or [_retirement.refusal(olds, news)]
        return CheckResult(news, [CheckFailure("", reason) for reason in reasons if reason])

    def reasons(self, olds: Props, news: Props) -> list[str]:
        """Say what is wrong with the new inputs by themselves; an empty text says nothing."""
        if not olds or int(news["version"]) >= int(olds["version"]):
            return []
        before, name = int(olds["version"]), _key(news)
        # A value from before may be known to whoever made you rotate.
        going = f"{name}.version is {int(news['version'])}, but version {before} is in use"
        return [f"{going}; set {before + 1} or more to rotate again"]


class GeneratedSecretProvider(_Versioned):
    """Makes a value for each new version and forgets the versions that are no longer accepted."""

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Ask for an update when versions differ, or when the next one has no value yet."""
        following = str(int(news["version"]) + 1)
        lacks = bool(news.get("in_advance")) and following not in (olds.get("standby") or {})
        return DiffResult(changes=lacks or _marks(olds) != _marks(news), replaces=[])

    def create(self, props: Props) -> CreateResult:
        """Make the first value."""
        return CreateResult(props["secret_name"], _generated(props, {}))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Make the new version's value, or take the one made in advance, and keep those that are accepted.

        Raises:
            StillInUseError: a version that would be dropped is still in use.
        """
        _retirement.ensure_unused(olds["values"], news)
        return UpdateResult(_generated(news, olds))


class GivenSecretProvider(_Versioned):
    """Keeps a stack's values by version, so that an older one is still accepted for a while."""

    def reasons(self, olds: Props, news: Props) -> list[str]:
        """Refuse also a new value without a new version, and a new version without a new value."""
        return super().reasons(olds, news) or [_value_problem(olds, news)]

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Ask for an update when the value or the versions differ."""
        changes = olds["current"] != news["value"] or _marks(olds) != _marks(news)
        return DiffResult(changes=changes, replaces=[])

    def create(self, props: Props) -> CreateResult:
        """Keep the first value."""
        return CreateResult(props["secret_name"], _given(props, {}))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Keep the new version's value, and those that are accepted.

        Raises:
            StillInUseError: a version that would be dropped is still in use.
        """
        _retirement.ensure_unused(olds["values"], news)
        return UpdateResult(_given(news, olds["values"]))


def _key(props: Props) -> str:
    return f"groundwork:secrets.{props['secret_name']}"


def _value_problem(olds: Props, news: Props) -> str:
    """Say why a value and its version do not fit together; empty: they do."""
    if not olds:
        return ""
    version, key = int(news["version"]), _key(news)
    is_raised, is_new = version > int(olds["version"]), olds["value"] != news["value"]
    if is_new and not is_raised and not news.get("compromised"):
        return (
            f"{key}.value is new, but its version is still {version}; set {key}.version to {version + 1}, so "
            f"that the old value is accepted for a while, or {key}.compromised to true to replace it at once"
        )
    if is_raised and not is_new:
        return (
            f"{key}.version is {version}, but its value is that of version {int(olds['version'])}; set the "
            f"new one by `pulumi config set --secret --path {key}.value`"
        )
    return ""


def _marks(props: Props) -> tuple[list[int], bool]:
    """Give what makes another secret of it; only a value made in advance minds that others were stolen."""
    is_minded = bool(props.get("in_advance")) and bool(props.get("compromised"))
    return list(_retirement.accepted(props)), is_minded


def _generated(news: Props, olds: Props) -> dict[str, Any]:
    version, accept = int(news["version"]), list(_retirement.accepted(news)[1:])
    standby: dict[str, str] = {} if _starts_over(olds, news) else olds.get("standby") or {}
    ready = {number: value for number, value in standby.items() if number == str(version)}
    kept = rotate({**ready, **olds.get("values", {})}, version, accept)
    ahead = {"standby": prepare(standby, version)} if news.get("in_advance") else {}
    return {**_stored(news), "values": kept, "current": kept[str(version)], **ahead}


def _starts_over(olds: Props, news: Props) -> bool:
    """Tell whether a value made in advance may be known to others; a repeated update makes no second one."""
    is_raised = int(news["version"]) > int(olds.get("version", 0))
    return bool(news.get("compromised")) and (is_raised or not olds.get("compromised"))


def _given(news: Props, values: Mapping[str, str]) -> dict[str, Any]:
    version, accept = str(int(news["version"])), list(_retirement.accepted(news)[1:])
    kept = rotate({**values, version: news["value"]}, int(version), accept)
    return {**_stored(news), "values": kept, "current": kept[version]}


def _stored(news: Props) -> dict[str, Any]:
    return {name: news[name] for name in _STORED if name in news}


class GeneratedSecret(Resource, module="groundwork", name="GeneratedSecret"):
    """A random value with a version.

    Attributes:
        values: version → value, the current and the accepted ones (secret).
        current: the current version's value (secret).
        standby: the next version → its value, for secrets that have one in advance (secret).
    """

    values: pulumi.Output[dict[str, str]]
    current: pulumi.Output[str]
    standby: pulumi.Output[dict[str, str]]
    version: pulumi.Output[int]

    def __init__(
        self,
        name: str,
        *,
        version: int,
        accept: tuple[int, ...],
        extra: Mapping[str, Any] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the secret `name` at `version`; `accept` lists the older versions still valid.

        Args:
            name: of the secret.
            version: in use.
            accept: older versions that are still valid.
            extra: `compromised`; `in_advance`, for a secret that replicas both make and check; and what
                `providers._retirement` needs.
            opts: as always.
        """
        # Outputs that are no inputs are stored in plain unless they are named here.
        hidden = pulumi.ResourceOptions(additional_secret_outputs=["values", "current", "standby"])
        props = {
            "secret_name": name,
            "version": version,
            "accept": list(accept),
            **(extra or {}),
            **dict.fromkeys(("values", "current", "standby")),
        }
        super().__init__(GeneratedSecretProvider(), name, props, pulumi.ResourceOptions.merge(hidden, opts))


class GivenSecret(Resource, module="groundwork", name="GivenSecret"):
    """A value from the stack's encrypted configuration, with a version.

    Attributes:
        values: version → value, the current and the accepted ones (secret).
        current: the current version's value (secret).
    """

    values: pulumi.Output[dict[str, str]]
    current: pulumi.Output[str]
    version: pulumi.Output[int]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare a secret: `value`, `version`, `accept`, and what a generated one may have in addition."""
        hidden = pulumi.ResourceOptions(additional_secret_outputs=["values", "current", "value"])
        declared = {**props, "secret_name": name, **dict.fromkeys(("values", "current"))}
        super().__init__(GivenSecretProvider(), name, declared, pulumi.ResourceOptions.merge(hidden, opts))
