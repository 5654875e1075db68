"""Brings a project's signing keys into the states that a stack wants, in an order that keeps tokens good.

Keys have no names on the platform: a stack's names are tied to ids. What an interrupted run made is
recognized by its algorithm and state, so that no second key is made for the same name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from engines.supabase.errors import ConflictError, RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from engines.supabase.client import ManagementClient
    from engines.supabase.signing_keys import Algorithm, SigningKey, State

LEGACY = "legacy"
_SHARED_SECRET = "HS256"  # noqa: S105 - an algorithm
_STANDBY, _IN_USE, _PREVIOUS, _REVOKED = "standby", "in_use", "previously_used", "revoked"
# From each state, those that a stack may ask for next.
_NEXT = {
    _STANDBY: {_STANDBY, _IN_USE, _REVOKED},
    _IN_USE: {_IN_USE, _PREVIOUS, _REVOKED},
    _PREVIOUS: {_PREVIOUS, _IN_USE, _REVOKED},
    _REVOKED: {_REVOKED, _STANDBY, _IN_USE},
}
# States in which a key that is to be in a state may be found after an interruption, the likeliest first.
_FOUND_AS = {
    _STANDBY: (_STANDBY,),
    _IN_USE: (_IN_USE, _STANDBY),
    _PREVIOUS: (_PREVIOUS,),
    _REVOKED: (_REVOKED,),
}


@dataclass(frozen=True)
class WantedKey:
    """A key as a stack wants it: an algorithm of the API's, and one of the four states."""

    algorithm: str
    status: str


def complaints(old: Mapping[str, WantedKey], new: Mapping[str, WantedKey]) -> dict[str, str]:
    """Say what cannot be, by the name of the key and its part; empty: all can be."""
    found = dict(_about_use(old, new))
    for name, key in new.items():
        found |= dict(_about_key(name, key, old.get(name)))
    return found


def _about_use(old: Mapping[str, WantedKey], new: Mapping[str, WantedKey]) -> Iterator[tuple[str, str]]:
    using = [name for name, key in new.items() if key.status == _IN_USE]
    used = [name for name, key in old.items() if key.status == _IN_USE]
    if len(using) > 1:
        text = f"{' and '.join(using)} are all in_use, but one key signs at a time; keep one"
        yield f"{using[1]}.status", text
    if used and not using:
        text = "it is in_use, and stays so until another key is; make another one in_use in the same change"
        yield f"{used[0]}.status", text


def _about_key(name: str, key: WantedKey, old: WantedKey | None) -> Iterator[tuple[str, str]]:
    if name == LEGACY and key.algorithm != _SHARED_SECRET:
        yield f"{name}.algorithm", f"the legacy secret signs with {_SHARED_SECRET}; set that, or another name"
    if old is None and key.status == _REVOKED:
        yield f"{name}.status", "a key that is not there yet cannot be revoked; leave it out"
    if old is None and name == LEGACY and key.status == _STANDBY:
        yield f"{name}.status", "the legacy secret signs from the moment it is taken over; it cannot stand by"
    if old and old.algorithm != key.algorithm:
        text = f"a key keeps its algorithm, {old.algorithm}; add one with another name for {key.algorithm}"
        yield f"{name}.algorithm", text
    if old and key.status not in _NEXT.get(old.status, {key.status}):
        yield f"{name}.status", f"a key that is {old.status} cannot become {key.status}"


def bring(
    client: ManagementClient,
    ref: str,
    wanted: Mapping[str, WantedKey],
    ids: Mapping[str, str],
    report: Callable[[str], None],
) -> dict[str, str]:
    """Make what is missing, then change states: in standby, in use, and only then revoked.

    Args:
        client: what to ask.
        ref: the project.
        wanted: the keys by the stack's names.
        ids: the platform's ids by these names, as far as they are known.
        report: is told each step.

    Returns:
        The platform's ids, by name.

    Raises:
        SupabaseError: one of its kinds; ConflictError when a key cannot come into its state.
    """
    live = {key.id: key for key in client.signing_keys.all(ref)}
    found = {name: ids[name] for name in wanted if ids.get(name) in live}
    for name in sorted(wanted.keys() - found.keys(), key=lambda name: (name != LEGACY, name)):
        # A key that had another name in the stack is not the new one: who renames a key wants another.
        taken = {*ids.values(), *found.values()}
        found[name] = _recognized(client, ref, (name, wanted[name]), taken) or _made(
            client, ref, (name, wanted[name]), report
        )
    states = {key.id: key.status for key in client.signing_keys.all(ref)}
    for name, status in steps(wanted, {name: states[found[name]] for name in wanted}):
        report(f"signing key {name}: {status}")
        client.signing_keys.change(ref, found[name], cast("State", status))
    return found


def let_go(client: ManagementClient, ref: str, ids: Mapping[str, str], report: Callable[[str], None]) -> None:
    """Delete those keys that are revoked; any other stays as it is, for its tokens may be good."""
    live = {key.id: key.status for key in client.signing_keys.all(ref)} if ids else {}
    for name, key_id in ids.items():
        if live.get(key_id) == _REVOKED:
            try:
                client.signing_keys.delete(ref, key_id)
            except RejectedError as error:
                report(f"signing key {name} stays revoked and is not deleted: {error}")
        elif key_id in live:
            report(f"signing key {name} stays {live[key_id]}, and is no longer looked at")


def _recognized(
    client: ManagementClient, ref: str, named: tuple[str, WantedKey], taken: Collection[str]
) -> str | None:
    """Find a key that is as wanted and belongs to no other name; None: it has to be made."""
    name, key = named
    legacy = client.signing_keys.legacy(ref) if key.algorithm == _SHARED_SECRET else None
    if name == LEGACY:
        return legacy.id if legacy else None
    others = {*taken, legacy.id if legacy else ""}
    free = [
        one
        for one in client.signing_keys.all(ref)
        if one.id not in others and one.algorithm == key.algorithm and one.status in _FOUND_AS[key.status]
    ]
    free.sort(key=lambda one: _FOUND_AS[key.status].index(one.status))
    return free[0].id if free else None


def _made(
    client: ManagementClient, ref: str, named: tuple[str, WantedKey], report: Callable[[str], None]
) -> str:
    name, key = named
    if name == LEGACY:
        report("taking over the legacy JWT secret as a signing key")
        return client.signing_keys.take_over_legacy(ref).id
    if key.status not in {_STANDBY, _IN_USE}:
        raise ConflictError(
            f"groundwork:supabase.signing_keys.{name}.status: project {ref} has no {key.algorithm} key that "
            f"is {key.status}, and none can be made so; make one standby or in_use first, or leave it out"
        )
    report(f"creating the signing key {name}")
    known = [one.id for one in client.signing_keys.all(ref)]
    made: SigningKey = client.signing_keys.create(ref, cast("Algorithm", key.algorithm), known=known)
    return made.id


def steps(wanted: Mapping[str, WantedKey], states: Mapping[str, str]) -> list[tuple[str, str]]:
    """Give the changes of state in their order, as names and states.

    Raises:
        ConflictError: a key cannot come into its state from the one that it is in.
    """
    now = dict(states)
    changes: list[tuple[str, str]] = []
    for status, may_change in _STAGES:
        for name, key in wanted.items():
            if may_change(key.status, now[name]):
                changes.append((name, status))
                now = _after(now, name, status)
    for name, key in wanted.items():
        if now[name] != key.status:
            raise ConflictError(_stuck(name, states[name], key.status))
    return changes


def _after(states: dict[str, str], name: str, status: str) -> dict[str, str]:
    """Give the states after a change; the key that was in use before becomes a previous one."""
    former = {one: _PREVIOUS for one, now in states.items() if status == now == _IN_USE}
    return {**states, **former, name: status}


def _stuck(name: str, now: str, to: str) -> str:
    return (
        f"groundwork:supabase.signing_keys.{name}.status: the key is {now} on the platform, and cannot "
        f"become {to}; run `pulumi refresh` to see the states, then set one that follows"
    )


# What is done one after the other, and for which wanted and present states.
_STAGES: tuple[tuple[str, Callable[[str, str], bool]], ...] = (
    (_STANDBY, lambda to, now: to in {_STANDBY, _IN_USE} and now == _REVOKED),
    (_IN_USE, lambda to, now: to == _IN_USE != now),
    (_REVOKED, lambda to, now: to == _REVOKED and now in {_STANDBY, _PREVIOUS}),
)
