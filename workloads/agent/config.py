"""The agent's configuration: environment variables, and secrets as files in the folder SECRETS_DIR."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, Json, SecretStr, ValidationError, model_validator
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


class Settings(BaseSettings):
    """What the agent must know; the names are the environment variables in lower case.

    Attributes:
        database_url: PostgreSQL URL of a login that is a member of agent_runtime.
        agent_shared_secret: JSON object of every accepted version, as in {"2": "new", "1": "old"}.
        ai_provider: which dialect answers; `echo` needs no account.
        ai_base_url: where the provider listens; None: its public address.
        ai_model: the provider's name of the model.
        ai_api_key: the provider's key; servers on the own network may need none.
        environment: name of the stack, shown in /health.
        service_version: version of this code, shown in /health.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    database_url: Annotated[SecretStr, AfterValidator(_parsable)]
    agent_shared_secret: Annotated[Json[dict[str, SecretStr]], AfterValidator(_versions)]
    ai_provider: Literal["echo", "openai", "anthropic"] = "echo"
    ai_base_url: str | None = None
    ai_model: str | None = None
    ai_api_key: SecretStr | None = None
    environment: str = "local"
    service_version: str = "unknown"

    @model_validator(mode="after")
    def _model_is_named(self) -> Self:
        if self.ai_provider != "echo" and not self.ai_model:
            raise ValueError(f"ai_model: missing; the provider {self.ai_provider} needs the name of a model")
        return self

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
        single = [self.database_url, *([self.ai_api_key] if self.ai_api_key else [])]
        known = [secret.get_secret_value() for secret in (*single, *self.agent_shared_secret.values())]
        return known + _declared().secrets


@cache
def _declared() -> declared.Declared:
    return declared.read(Path(__file__).parent, os.environ.get(SECRETS_DIR))


def variables() -> Mapping[str, declared.Value]:
    """Give the variables that the stack's settings declare for this service, by name and in their types."""
    return _declared().values


def whole_number(name: str) -> int:
    """Give a declared variable of the type integer."""
    value = variables()[name]
    assert isinstance(value, int)  # noqa: S101 - `load` has read it by that type
    return value


def _line(problem: dict[str, object]) -> str:
    place = ".".join(str(part) for part in problem["loc"]) if isinstance(problem["loc"], tuple) else ""
    text = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "missing":
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
