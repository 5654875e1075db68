"""What the platform keeps for a project: the keys below `groundwork:supabase` that are the Management API's.

Only what a stack names is written; the rest is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    Strict,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

import engines
from settings.keys import ApiKeys, FunctionSecret, Link
from settings.section import Section
from settings.values import ExactUrl, JsonObject, Text, freeze, like, secret

if TYPE_CHECKING:
    import pulumi


def _fields_of(section: str) -> PlainValidator:
    """Build the check of a section's fields, by the names and limits of the Management API."""

    def check(value: object) -> Mapping[str, Any] | None:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise PydanticCustomError("mapping_type", "must be a map of keys to values")
        # Loads the API's models, which a stack without such a section need not wait for.
        kind = engines.supabase.SECTIONS[section]
        try:
            fields = kind.of(value).values()
        except engines.supabase.InvalidSettingError as error:
            raise _by_field(section, error.problems) from None
        hidden = {name for name in fields.keys() & kind.secrets if fields[name] is not None}
        if problems := {name: text for name in sorted(hidden) if (text := _bad_secret(fields[name]))}:
            raise _by_field(section, problems)
        return freeze({**fields, **{name: secret(fields[name]) for name in hidden}})

    return PlainValidator(check)


def _by_field(section: str, problems: Mapping[str, str]) -> ValidationError:
    lines = [
        InitErrorDetails(type=PydanticCustomError("field", "{text}", {"text": text}), loc=(name,), input=None)
        for name, text in problems.items()
    ]
    return ValidationError.from_exception_data(section, lines, hide_input=True)


def _bad_secret(value: object) -> str | None:
    """Say what is wrong with a secret value; None: nothing."""
    try:
        secret(value)
    except ValueError as error:
        return str(error)
    return None


_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]i?B|B)")
_POWERS = {"B": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def _bytes(value: object) -> object:
    """Turn a size such as "5MB" (millions) or "5MiB" (powers of 1024) into bytes."""
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        message = 'must be a size such as "5MB" or "5MiB", or a number of bytes'
        raise ValueError(message)
    return round(float(match[1]) * (1024 if "i" in match[2] else 1000) ** _POWERS[match[2][0]])


def _identifier(value: str) -> str:
    """Accept what PostgreSQL keeps as a name as it is: it cuts what is longer."""
    if not 1 <= len(value.encode()) <= 63 or "\0" in value:
        message = "must be named by 1 to 63 bytes"
        raise ValueError(message)
    return value


AddonType = Literal[
    "compute_instance", "pitr", "ipv4", "custom_domain", "auth_mfa_phone", "auth_mfa_web_authn", "log_drain"
]  # fmt: skip
Names = Annotated[tuple[Text, ...], Strict(strict=False)]
Slug = Annotated[str, like("[A-Za-z][A-Za-z0-9_-]*", "of letters, digits, - and _, a letter first")]
SecretName = Annotated[
    str,
    like("(?!SUPABASE_).{1,256}", "up to 256 letters, without SUPABASE_ in front, which is the platform's"),
]
ThingName = Annotated[str, like("[A-Za-z0-9_-]{1,64}", "up to 64 letters, digits, - and _")]
Domain = Annotated[
    str, like(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", "a host name such as api.example.com")
]


FileName = Annotated[
    str, like(r"(?!/)(?!(?:.*/)?\.\.(?:/|$))[^\\]{1,256}", "a path inside the folder, without .. in it")
]
# YAML reads an unquoted true as no text.
Condition = Annotated[
    str,
    BeforeValidator(lambda value: str(value).lower() if isinstance(value, bool) else value),
    Field(max_length=8192),
    like(r"(?s).*\S.*", "an SQL condition"),
]
PolicyName = Annotated[str, AfterValidator(_identifier)]
FileSize = Annotated[int, BeforeValidator(_bytes), Field(ge=1, le=536_870_912_000)]
MimeTypes = Annotated[
    tuple[
        Annotated[str, like(r"[\w.+-]+/(?:\*|[\w.+-]+)(?:;.*)?", "a type such as image/png or image/*")], ...
    ],
    Strict(strict=False),
]
Variant = Annotated[str, like("[a-z0-9_]{2,64}", "a variant of the platform's such as ci_small")]


class EdgeFunction(Section):
    """`groundwork:supabase.functions.<slug>`: an edge function, deployed from a folder."""

    dir: Text
    """Folder of its files, relative to Pulumi.yaml."""
    entrypoint: FileName = "index.ts"
    """File that starts it, inside the folder."""
    import_map: FileName | None = None
    """Import map or deno.json, inside the folder; absent, there is none."""
    verify_jwt: bool = True
    """Refuse calls without a valid token before they reach the function."""
    static_patterns: Names = ()
    """Which files are data that the function reads, such as `*.html`."""


class Policy(Section):
    """`groundwork:supabase.buckets.<name>.policies.<name>`: who may do what with a bucket's files.

    A condition that does not name `bucket_id` itself holds in the bucket only.
    """

    command: Literal["all", "select", "insert", "update", "delete"] = "all"
    """What it allows."""
    roles: Names = ("authenticated",)
    """Whom it allows it."""
    using: Condition | None = None
    """SQL condition on files that are there; absent, that they are in the bucket."""
    check: Condition | None = None
    """SQL condition on files as they are written; absent, as using."""

    @model_validator(mode="after")
    def _has_use(self) -> Policy:
        """Refuse conditions that PostgreSQL has no use for, and a policy for nobody."""
        if self.command == "insert" and self.using:
            message = "must have check in place of using: a file that is made was not there before"
            raise ValueError(message)
        if self.command in {"select", "delete"} and self.check:
            message = f"must have using in place of check: {self.command} writes no file"
            raise ValueError(message)
        if not self.roles:
            message = "must name at least one of roles, such as authenticated or anon"
            raise ValueError(message)
        return self


class Bucket(Section):
    """`groundwork:supabase.buckets.<name>`: a bucket of the project's storage."""

    public: bool = False
    """Whether its files are read without a login."""
    file_size_limit: FileSize | None = None
    """Largest file, such as "5MB" or in bytes; absent, left alone; null, the project's limit."""
    allowed_mime_types: MimeTypes | None = None
    """Types of files that it takes, such as image/png or image/*; absent, left alone; null, all."""
    policies: Annotated[Mapping[PolicyName, Policy], AfterValidator(freeze)] = Field(default_factory=dict)
    """Policies by name, which is one for all buckets."""

    @property
    def settings(self) -> dict[str, Any]:
        """What is set, as inputs of a resource can hold it: 0 and [] where null says that there is none."""
        types = list(self.allowed_mime_types or ())
        limits = {"file_size_limit": self.file_size_limit or 0, "allowed_mime_types": types}
        named = {name: value for name, value in limits.items() if name in self.model_fields_set}
        return {"public": self.public, **named}


class SigningKey(Section):
    """`groundwork:supabase.signing_keys.<name>`: a key that signs the project's tokens."""

    algorithm: Literal["ES256", "RS256", "EdDSA", "HS256"] = "ES256"
    """How it signs."""
    status: Literal["standby", "in_use", "previously_used", "revoked"] = "standby"
    """standby: known, signs nothing yet; in_use: signs; previously_used: its tokens are good; revoked."""


class ThirdParty(Section):
    """`groundwork:supabase.third_party.<name>`: another issuer whose tokens are good; one of the three."""

    oidc_issuer_url: ExactUrl | None = None
    """Address of an OpenID Connect issuer, letter by letter as its tokens say it."""
    jwks_url: ExactUrl | None = None
    """Address of its keys."""
    custom_jwks: JsonObject | None = None
    """The keys themselves."""

    @model_validator(mode="after")
    def _one_source(self) -> ThirdParty:
        if sum(value is not None for value in (self.oidc_issuer_url, self.jwks_url, self.custom_jwks)) != 1:
            message = "must have one of oidc_issuer_url, jwks_url and custom_jwks"
            raise ValueError(message)
        return self


Fields = Mapping[str, Any] | None


class Cloud(Section):
    """The keys of `groundwork:supabase` that are settings of the platform."""

    auth: Annotated[Fields, _fields_of("auth")] = None
    """Sign-up, providers, mails, passwords, sessions, rate limits: fields of config/auth."""
    postgrest: Annotated[Fields, _fields_of("postgrest")] = None
    """The REST API: fields of postgrest."""
    postgres: Annotated[Fields, _fields_of("postgres")] = None
    """PostgreSQL's parameters: fields of config/database/postgres."""
    pooler: Annotated[Fields, _fields_of("pooler")] = None
    """The connection pooler: fields of config/database/pooler."""
    storage: Annotated[Fields, _fields_of("storage")] = None
    """The storage service: fields of config/storage."""
    realtime: Annotated[Fields, _fields_of("realtime")] = None
    """The realtime service: fields of config/realtime."""
    ssl: Annotated[Fields, _fields_of("ssl")] = None
    """Whether the database wants TLS: fields of ssl-enforcement."""
    network: Annotated[Fields, _fields_of("network")] = None
    """From where the database is reached: fields of network-restrictions."""
    restart_database: bool = False
    """Restart PostgreSQL at once when a parameter that changes needs it."""
    addons: Annotated[Mapping[AddonType, Variant | None], AfterValidator(freeze)] = Field(
        default_factory=dict
    )
    """Variants of what is bought, by type, such as compute_instance: ci_small; null gives it up."""
    custom_hostname: Domain | None = None
    """The project's own host name."""
    function_secrets: Annotated[Mapping[SecretName, FunctionSecret], AfterValidator(freeze)] = Field(
        default_factory=dict
    )
    """What edge functions see as environment variables, by name: encrypted, or {from: SECRET}."""
    functions: Annotated[Mapping[Slug, EdgeFunction], AfterValidator(freeze)] = Field(default_factory=dict)
    """Edge functions by slug."""
    buckets: Annotated[Mapping[ThingName, Bucket], AfterValidator(freeze)] = Field(default_factory=dict)
    """Buckets by name."""
    api_keys: ApiKeys = Field(default_factory=dict)
    """API keys by name."""
    signing_keys: Annotated[Mapping[ThingName, SigningKey], AfterValidator(freeze)] = Field(
        default_factory=dict
    )
    """Signing keys by a name of the stack's own."""
    third_party: Annotated[Mapping[ThingName, ThirdParty], AfterValidator(freeze)] = Field(
        default_factory=dict
    )
    """Other issuers by a name of the stack's own."""

    @property
    def function_texts(self) -> dict[str, pulumi.Output[str]]:
        """What edge functions are told by the stack file, by name."""
        return {name: value for name, value in self.function_secrets.items() if not isinstance(value, Link)}

    @property
    def function_links(self) -> dict[str, str]:
        """Which secrets of the stack's own edge functions are told, by the functions' names for them."""
        found = self.function_secrets.items()
        return {name: value.source for name, value in found if isinstance(value, Link)}

    @field_validator("buckets")
    @classmethod
    def _own_policies(cls, value: Mapping[str, Bucket]) -> Mapping[str, Bucket]:
        """Refuse a name that two buckets give a policy: all policies on files are in one table."""
        names = [name for bucket in value.values() for name in bucket.policies]
        if double := sorted({name for name in names if names.count(name) > 1}):
            message = f"must give each policy a name of its own; used twice: {', '.join(double)}"
            raise ValueError(message)
        return value

    @field_validator("signing_keys")
    @classmethod
    def _one_in_use(cls, value: Mapping[str, SigningKey]) -> Mapping[str, SigningKey]:
        """Refuse what no project can have."""
        using = sorted(name for name, key in value.items() if key.status == "in_use")
        if len(using) > 1:
            message = f"must have one key in_use, because one signs at a time; {' and '.join(using)} are"
            raise ValueError(message)
        if "legacy" in value and value["legacy"].algorithm != "HS256":
            message = "must give the key legacy, which is the old JWT secret, the algorithm HS256"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _domain_is_bought(self) -> Cloud:
        """Refuse a host name whose add-on is given up."""
        if self.custom_hostname and "custom_domain" in self.addons and not self.addons["custom_domain"]:
            message = "must not have custom_hostname while addons.custom_domain is null"
            raise ValueError(message)
        return self
