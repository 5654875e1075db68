"""What the platform keeps for a project: the keys below `groundwork:supabase` that are the Management API's.

Only what a stack names is written; the rest is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, Strict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

import engines
from settings.section import Section
from settings.values import JsonObject, Secret, Text, Url, freeze, like, secret


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
            raise _by_field(section, error) from None
        return freeze(
            {name: _guarded(value, is_secret=name in kind.secrets) for name, value in fields.items()}
        )

    return PlainValidator(check)


def _by_field(section: str, error: engines.supabase.InvalidSettingError) -> ValidationError:
    lines = [
        InitErrorDetails(type=PydanticCustomError("field", "{text}", {"text": text}), loc=(name,), input=None)
        for name, text in error.problems.items()
    ]
    return ValidationError.from_exception_data(section, lines, hide_input=True)


def _guarded(value: object, *, is_secret: bool) -> object:
    return secret(value) if is_secret and value is not None else value


AddonType = Literal[
    "compute_instance", "pitr", "ipv4", "custom_domain", "auth_mfa_phone", "auth_mfa_web_authn", "log_drain"
]  # fmt: skip
Names = Annotated[tuple[Text, ...], Strict(strict=False)]
KeyName = Annotated[str, like("[a-z_][a-z0-9_]{3,63}", "4 to 64 of a-z, 0-9 and _, no digit first")]
Slug = Annotated[str, like("[A-Za-z][A-Za-z0-9_-]*", "of letters, digits, - and _, a letter first")]
SecretName = Annotated[
    str,
    like("(?!SUPABASE_).{1,256}", "up to 256 letters, without SUPABASE_ in front, which is the platform's"),
]
ThingName = Annotated[str, like("[A-Za-z0-9_-]{1,64}", "up to 64 letters, digits, - and _")]
Domain = Annotated[
    str, like(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", "a host name such as api.example.com")
]


class EdgeFunction(Section):
    """`groundwork:supabase.functions.<slug>`: an edge function, deployed from a folder."""

    dir: Text
    """Folder of its files, relative to Pulumi.yaml."""
    entrypoint: Text = "index.ts"
    """File that starts it, inside the folder."""
    import_map: Text | None = None
    """Import map or deno.json, inside the folder; absent, there is none."""
    verify_jwt: bool = True
    """Refuse calls without a valid token before they reach the function."""
    static_patterns: Names = ()
    """Which files are data that the function reads, such as `*.html`."""


class Policy(Section):
    """`groundwork:supabase.buckets.<name>.policies.<name>`: who may do what with a bucket's files."""

    command: Literal["all", "select", "insert", "update", "delete"] = "all"
    """What it allows."""
    roles: Names = ("authenticated",)
    """Whom it allows it."""
    using: Text | None = None
    """SQL condition on files that are there, besides that they are in the bucket; absent, none."""
    check: Text | None = None
    """SQL condition on files as they are written, besides that they are in the bucket; absent, as using."""


class Bucket(Section):
    """`groundwork:supabase.buckets.<name>`: a bucket of the project's storage."""

    public: bool = False
    """Whether its files are read without a login."""
    file_size_limit: Annotated[int, Field(ge=1, le=536_870_912_000)] | None = None
    """Largest file in bytes; absent, the project's limit."""
    allowed_mime_types: Names | None = None
    """Types of files that it takes, such as image/png or image/*; absent, all."""
    policies: Annotated[Mapping[Text, Policy], AfterValidator(freeze)] = Field(default_factory=dict)
    """Policies by name."""


class ApiKey(Section):
    """`groundwork:supabase.api_keys.<name>`: an API key of its own."""

    type: Literal["publishable", "secret"]
    """publishable for front ends, secret for servers."""
    description: Text | None = None
    """What it is for."""


class SigningKey(Section):
    """`groundwork:supabase.signing_keys.<name>`: a key that signs the project's tokens."""

    algorithm: Literal["ES256", "RS256", "EdDSA", "HS256"] = "ES256"
    """How it signs."""
    status: Literal["standby", "in_use", "previously_used", "revoked"] = "standby"
    """standby: known, signs nothing yet; in_use: signs; previously_used: its tokens are good; revoked."""


class ThirdParty(Section):
    """`groundwork:supabase.third_party.<name>`: another issuer whose tokens are good; one of the three."""

    oidc_issuer_url: Url | None = None
    """Address of an OpenID Connect issuer."""
    jwks_url: Url | None = None
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
    addons: Annotated[Mapping[AddonType, Text | None], AfterValidator(freeze)] = Field(default_factory=dict)
    """Variants of what is bought, by type, such as compute_instance: ci_small; null gives it up."""
    custom_hostname: Domain | None = None
    """The project's own host name."""
    function_secrets: Annotated[Mapping[SecretName, Secret], AfterValidator(freeze)] = Field(
        default_factory=dict
    )
    """What edge functions see as environment variables, by name; encrypted."""
    functions: Annotated[Mapping[Slug, EdgeFunction], AfterValidator(freeze)] = Field(default_factory=dict)
    """Edge functions by slug."""
    buckets: Annotated[Mapping[ThingName, Bucket], AfterValidator(freeze)] = Field(default_factory=dict)
    """Buckets by name."""
    api_keys: Annotated[Mapping[KeyName, ApiKey], AfterValidator(freeze)] = Field(default_factory=dict)
    """API keys by name."""
    signing_keys: Annotated[Mapping[ThingName, SigningKey], AfterValidator(freeze)] = Field(
        default_factory=dict
    )
    """Signing keys by a name of the stack's own."""
    third_party: Annotated[Mapping[ThingName, ThirdParty], AfterValidator(freeze)] = Field(
        default_factory=dict
    )
    """Other issuers by a name of the stack's own."""
