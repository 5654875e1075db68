"""The named things that the platform keeps for a project: add-ons, functions, buckets, keys, issuers.

They have no component of their own: `configuration.Platform` and `configuration.Services` declare them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from providers.addons import Addons
from providers.api_keys import ApiKey
from providers.buckets import Bucket
from providers.function_secrets import FunctionSecrets
from providers.functions import EdgeFunction
from providers.hostname import CustomHostname
from providers.signing_keys import SigningKeys
from providers.third_party import ThirdParty

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pulumi

    from components._base import Component
    from components.supabase import Project


class AddonsSpec(Protocol):
    """What a stack says of what is bought."""

    @property
    def addons(self) -> Mapping[Any, str | None]:
        """Variants by type; None gives one up."""


class FunctionSpec(Protocol):
    """What a stack says of an edge function."""

    @property
    def dir(self) -> str:
        """Folder of its files."""

    @property
    def entrypoint(self) -> str:
        """File that starts it."""

    @property
    def import_map(self) -> str | None:
        """Import map; None: there is none."""

    @property
    def verify_jwt(self) -> bool:
        """Whether calls need a valid token."""

    @property
    def static_patterns(self) -> Sequence[str]:
        """Which files are data."""


class PolicySpec(Protocol):
    """What a stack says of who may do what with a bucket's files."""

    @property
    def command(self) -> str:
        """What it allows."""

    @property
    def roles(self) -> Sequence[str]:
        """Whom."""

    @property
    def using(self) -> str | None:
        """Condition on files that are there."""

    @property
    def check(self) -> str | None:
        """Condition on files as they are written."""


class BucketSpec(Protocol):
    """What a stack says of a bucket."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Its settings, as far as the stack names them."""

    @property
    def policies(self) -> Mapping[str, Any]:
        """A PolicySpec by name."""


class KeySpec(Protocol):
    """What a stack says of an API key."""

    @property
    def type(self) -> str:
        """`publishable` or `secret`."""

    @property
    def description(self) -> str | None:
        """What it is for."""

    @property
    def version(self) -> int:
        """Version in use."""

    def named(self, name: str) -> Mapping[int, str]:
        """Give the versions that are keys of their own, and what the platform calls them."""


class ThingsSpec(Protocol):
    """What a stack says of the named things around its database."""

    @property
    def function_texts(self) -> Mapping[str, pulumi.Output[str]]:
        """Values that edge functions are told, by name."""

    @property
    def function_links(self) -> Mapping[str, str]:
        """Which secrets of the stack's own they are told, by name."""

    @property
    def functions(self) -> Mapping[str, Any]:
        """A FunctionSpec by slug."""

    @property
    def buckets(self) -> Mapping[str, Any]:
        """A BucketSpec by name."""

    @property
    def api_keys(self) -> Mapping[str, Any]:
        """A KeySpec by name."""

    @property
    def signing_keys(self) -> Mapping[str, Any]:
        """`algorithm` and `status` by name."""

    @property
    def third_party(self) -> Mapping[str, Any]:
        """One of three sources by name."""

    @property
    def custom_hostname(self) -> str | None:
        """The project's own host name."""


@dataclass
class Things:
    """What others may want to know of the named things.

    Attributes:
        api_keys: keys in use by name (secret).
        hostname_records: what DNS has to hold for the project's own host name.
    """

    api_keys: dict[str, pulumi.Output[str]] = field(default_factory=dict)
    hostname_records: pulumi.Output[dict[str, str]] | None = None


class _Declaring:
    """Declares children of one component in one project."""

    def __init__(self, parent: Component, project: Project) -> None:
        self._parent = parent
        self._project = project

    def __call__(self, kind: Callable[..., Any], role: str, **props: Any) -> Any:
        """Declare a resource; what is None is left out."""
        name = f"supabase-{role}"
        given = {key: value for key, value in props.items() if value is not None}
        log_urn = self._parent.log_urn(kind.__name__, name)
        inputs = {**given, **self._project.management, "log_urn": log_urn}
        return kind(name, inputs, self._parent.under(self._project.inside()))


def declare_addons(
    parent: Component, addons: Mapping[Any, str | None], project: Project
) -> pulumi.Resource | None:
    """Declare what is bought; None: the stack names nothing."""
    if not addons:
        return None
    variants = {str(kind): variant or "" for kind, variant in addons.items()}
    made: pulumi.Resource = _Declaring(parent, project)(Addons, "addons", addons=variants)
    return made


def declare_things(
    parent: Component, spec: ThingsSpec, fingerprint_key: pulumi.Output[str], project: Project
) -> Things:
    """Declare what the stack names."""
    declare, things = _Declaring(parent, project), Things()
    if spec.function_texts or spec.function_links:
        told = {"values": dict(spec.function_texts), "others": sorted(spec.function_links)}
        declare(FunctionSecrets, "function-secrets", **told, fingerprint_key=fingerprint_key)
    for slug, function in spec.functions.items():
        declare(EdgeFunction, f"function-{slug}", slug=slug, **_function(function))
    for name, bucket in spec.buckets.items():
        policies = {policy: _policy(one) for policy, one in bucket.policies.items()}
        declare(Bucket, f"bucket-{name}", bucket=name, policies=policies, **bucket.settings)
    _declare_keys(declare, spec, things)
    for name, issuer in spec.third_party.items():
        declare(ThirdParty, f"third-party-{name}", issuer_name=name, **_issuer(issuer))
    if spec.custom_hostname:
        hostname = declare(CustomHostname, "hostname", hostname=spec.custom_hostname)
        things.hostname_records = hostname.records
    return things


def declare_links(
    parent: Component,
    spec: ThingsSpec,
    values: Mapping[str, pulumi.Output[str]],
    fingerprint_key: pulumi.Output[str],
    project: Project,
) -> None:
    """Declare what edge functions are told of the stack's own secrets; a name may move to a text and back."""
    if spec.function_texts or spec.function_links:
        told = {"values": dict(values), "others": sorted(spec.function_texts)}
        declare = _Declaring(parent, project)
        declare(FunctionSecrets, "linked-function-secrets", **told, fingerprint_key=fingerprint_key)


def _declare_keys(declare: _Declaring, spec: ThingsSpec, things: Things) -> None:
    for name, key in spec.api_keys.items():
        made = {
            version: declare(
                ApiKey, f"api-key-{called}", key_name=called, key_type=key.type, description=key.description
            )
            for version, called in key.named(name).items()
        }
        things.api_keys[name] = made[key.version].api_key
    if spec.signing_keys:
        states = {
            name: {"algorithm": key.algorithm, "status": key.status}
            for name, key in spec.signing_keys.items()
        }
        declare(SigningKeys, "signing-keys", keys=states)


def _function(spec: FunctionSpec) -> dict[str, Any]:
    return {
        "dir": spec.dir,
        "entrypoint": spec.entrypoint,
        "import_map": spec.import_map,
        "verify_jwt": spec.verify_jwt,
        "static_patterns": list(spec.static_patterns) or None,
    }


def _policy(spec: PolicySpec) -> dict[str, Any]:
    conditions = {"using": spec.using, "check": spec.check}
    given = {name: text for name, text in conditions.items() if text is not None}
    return {"command": spec.command, "roles": list(spec.roles), **given}


def _issuer(spec: Any) -> dict[str, Any]:
    keys = None if spec.custom_jwks is None else dict(spec.custom_jwks)
    return {"oidc_issuer_url": spec.oidc_issuer_url, "jwks_url": spec.jwks_url, "custom_jwks": keys}
