"""The app's configuration: environment variables, and secrets as files in the folder SECRETS_DIR."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, BaseModel, ConfigDict, Json, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

import declared

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRETS_DIR = "SECRETS_DIR"
# RFC 7518 section 3.2: the key of HS256 is not shorter than its hash.
SHORTEST_KEY = 32


def _parsable(value: SecretStr) -> SecretStr:
    try:
        parts = conninfo_to_dict(value.get_secret_value())
    except ProgrammingError:
        parts = {}
    if "host" not in parts:
        # The driver's own text quotes the URL, password included.
        raise ValueError("expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    return value


def _versions(value: dict[str, SecretStr]) -> dict[str, SecretStr]:
    if not value:
        raise ValueError("expected at least one version")
    if not all(name.isdecimal() for name in value):
        raise ValueError('expected versions as whole numbers: {"1": "value"}')
    if not all(secret.get_secret_value() for secret in value.values()):
        raise ValueError("a version has an empty value")
    return value


def _current(value: dict[str, SecretStr]) -> dict[str, SecretStr]:
    if len(value) != 1:
        raise ValueError('expected the one current version: {"2": "value"}')
    return _versions(value)


class SessionKey(BaseModel):
    """The versions of the key: `use` signs, all are accepted, and a newer one may wait for its turn."""

    model_config = ConfigDict(frozen=True)

    use: str
    values: Annotated[dict[str, SecretStr], AfterValidator(_versions)]

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.use not in self.values:
            raise ValueError('expected the version in use among the values: {"use": "2", "values": {"2": …}}')
        if any(len(value.get_secret_value()) < SHORTEST_KEY for value in self.values.values()):
            raise ValueError(f"expected at least {SHORTEST_KEY} characters in each version")
        return self


def _without_slash(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("expected an address that starts with http:// or https://")
    return value.rstrip("/")


Url = Annotated[str, AfterValidator(_without_slash)]


class Settings(BaseSettings):
    """What the app must know; the names are the environment variables in lower case.

    Attributes:
        database_url: PostgreSQL URL of a login that is a member of app_runtime.
        agent_url: where the agent listens.
        agent_shared_secret: JSON object with the one current version, as in {"2": "value"}.
        supabase_url: the project's address, for the checks of auth and storage.
        supabase_anon_key: the project's public key.
        session_key: signs the session cookie and the forms: {"use": "2", "values": {"1": "old", "2": "new"}}.
        billing_webhook_secret: JSON object of every version that signs deliveries; None: there are none.
        mail_api_key: the mail provider's key; None: no mail is sent.
        demo_accounts: offer to continue as the demo user.
        environment: name of the stack, shown in /api/health and on the page.
        service_version: version of this code, shown there too.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    database_url: Annotated[SecretStr, AfterValidator(_parsable)]
    agent_url: Url
    agent_shared_secret: Annotated[Json[dict[str, SecretStr]], AfterValidator(_current)]
    supabase_url: Url
    supabase_anon_key: str
    session_key: Json[SessionKey]
    billing_webhook_secret: Annotated[Json[dict[str, SecretStr]], AfterValidator(_versions)] | None = None
    mail_api_key: SecretStr | None = None
    demo_accounts: bool = False
    environment: str = "local"
    service_version: str = "unknown"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let a secret's file win over a variable of the same name."""
        del dotenv_settings, file_secret_settings
        files = SecretsSettingsSource(settings_cls, secrets_dir=os.environ.get(SECRETS_DIR))
        return init_settings, files, env_settings

    def secret_values(self) -> list[str]:
        """List every secret value, for the log filter."""
        versioned = (self.agent_shared_secret, self.session_key.values, self.billing_webhook_secret or {})
        secrets = [secret for values in versioned for secret in values.values()]
        secrets += [self.database_url, *([self.mail_api_key] if self.mail_api_key else [])]
        return [secret.get_secret_value() for secret in secrets] + _declared().secrets


@cache
def _declared() -> declared.Declared:
    return declared.read(Path(__file__).parent, os.environ.get(SECRETS_DIR))


def variables() -> Mapping[str, declared.Value]:
    """Give the variables that the stack's settings declare for this service, by name and in their types."""
    return _declared().values


def _line(problem: dict[str, object]) -> str:
    place = ".".join(str(part) for part in problem["loc"]) if isinstance(problem["loc"], tuple) else ""
    text = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "missing" and "." not in place:
        text = f"missing; set the variable {place.upper()} or put a file {place} into {SECRETS_DIR}"
    return f"{place}: {text}" if place else text


def load() -> Settings:
    """Read the configuration.

    Raises:
        SystemExit: something is missing or wrong; the text has one line per problem and no values.
    """
    folder = os.environ.get(SECRETS_DIR)
    if folder and not Path(folder).is_dir():
        raise SystemExit(f"{SECRETS_DIR}: the folder {folder} does not exist")
    lines = list(_declared().problems)
    try:
        settings = Settings.model_validate({})
    except ValidationError as error:
        # Only place and rule: pydantic's own text quotes the input.
        lines += [_line(dict(problem)) for problem in error.errors(include_input=False, include_url=False)]
    if lines:
        raise SystemExit("\n".join(lines))
    return settings
