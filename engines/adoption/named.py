"""What a project has by name, as a stack file says it: add-ons, functions, buckets, keys, issuers."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from engines.adoption import conditions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from engines.adoption.catalog import Bucket, Policy
    from engines.adoption.notes import Notes
    from engines.adoption.reading import Live
    from engines.supabase import ApiKey, SigningKey, ThirdParty

Things = dict[str, Any]

_PLATFORM_KEY: Final = "default"
_PLATFORM_SECRET: Final = "SUPABASE_"  # noqa: S105 - the beginning of names, no secret
_LEGACY: Final = "legacy"
_REVOKED: Final = "revoked"


def describe_named(live: Live, notes: Notes, *, every: bool) -> Things:
    """Give everything that has a name; parts that nothing is in are left out."""
    notes.secrets += [("function_secrets", name) for name in live.secrets if _is_own(name)]
    things: Things = {
        "addons": {one.type: one.variant for one in live.addons.selected} if live.addons else {},
        "custom_hostname": live.hostname.custom_hostname if live.hostname else "",
        "buckets": _buckets(live.buckets, live.catalog.policies, notes),
        "api_keys": _api_keys(live.keys, notes, every=every),
        "signing_keys": _signing_keys(live.signing_keys, live.legacy_key, notes),
        "third_party": _third_parties(live.third_parties),
    }
    return {name: thing for name, thing in things.items() if thing}


def _is_own(name: str) -> bool:
    return not name.startswith(_PLATFORM_SECRET)


def _buckets(buckets: Sequence[Bucket], policies: Sequence[Policy], notes: Notes) -> Things:
    by_bucket: dict[str, Things] = {}
    names = {one.name for one in buckets}
    for policy in policies:
        bucket, described = _policy(policy)
        if bucket in names and described:
            by_bucket.setdefault(str(bucket), {})[policy.name] = described
        else:
            why = "it is not about one bucket only, or restricts others; keep it in a migration"
            notes.leave(f"policy {policy.name!r} on storage.objects", why)
    for one in buckets:
        if one.type != "STANDARD":
            notes.leave(f"bucket {one.name}", f"it is of the kind {one.type}, which holds no files")
    return {one.name: _bucket(one, by_bucket) for one in buckets if one.type == "STANDARD"}


def _bucket(bucket: Bucket, policies: Mapping[str, Things]) -> Things:
    described: Things = {"public": bucket.public}
    if bucket.file_size_limit is not None:
        described["file_size_limit"] = bucket.file_size_limit
    if bucket.allowed_mime_types is not None:
        described["allowed_mime_types"] = list(bucket.allowed_mime_types)
    if bucket.name in policies:
        described["policies"] = policies[bucket.name]
    return described


def _policy(policy: Policy) -> tuple[str | None, Things]:
    """Give the one bucket that a policy is about, and what it says; nothing when it is about none or more."""
    texts = {"using": policy.using, "check": policy.check}
    parts = {name: conditions.split(text) for name, text in texts.items() if text is not None}
    buckets = {bucket for bucket, _ in parts.values()}
    if not policy.is_permissive or len(buckets) != 1:
        return None, {}
    rest = {name: text for name, (_, text) in parts.items() if text is not None}
    # Beside another condition, a check has to be said: without it, that condition would be the check, too.
    if "using" in parts and "check" in parts:
        rest.setdefault("check", str(texts["check"]))
    return buckets.pop(), {"command": policy.command, "roles": list(policy.roles), **rest}


def _api_keys(keys: Iterable[ApiKey], notes: Notes, *, every: bool) -> Things:
    """Describe keys of the new kinds; the platform itself makes those named `default`."""
    described: Things = {}
    for key in keys:
        if key.type not in {"publishable", "secret"} or (key.name == _PLATFORM_KEY and not every):
            continue
        if key.name in described:
            notes.leave(f"{key.type} API key {key.name}", "another key has this name")
            continue
        about = {"description": key.description} if key.description else {}
        described[key.name] = {"type": key.type, **about}
    return described


def _signing_keys(keys: Sequence[SigningKey], legacy: str | None, notes: Notes) -> Things:
    """Describe signing keys by names of their own: the algorithm's, with a number from the second on."""
    described: Things = {}
    seen: Counter[str] = Counter()
    for key in keys:
        if key.status == _REVOKED:
            notes.leave(f"signing key {key.id}", "it is revoked")
            continue
        name = key.algorithm.lower()
        seen[name] += 1
        name = f"{name}_{seen[name]}" if seen[name] > 1 else name
        described[_LEGACY if key.id == legacy else name] = {"algorithm": key.algorithm, "status": key.status}
    return described


def _third_parties(issuers: Iterable[ThirdParty]) -> Things:
    """Describe issuers, each named after its host."""
    described: Things = {}
    for one in issuers:
        source = one.source()
        address = source.get("oidc_issuer_url") or source.get("jwks_url") or "//keys"
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", urlsplit(address).hostname or "issuer")[:56]
        taken = sum(other == name or other.startswith(f"{name}_") for other in described)
        described[f"{name}_{taken + 1}" if taken else name] = source
    return described
