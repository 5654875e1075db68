"""The settings of a stack, and how they are read from Pulumi."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env, is_config_secret
from pydantic import AfterValidator, Field, PlainValidator, ValidationError

from settings import clear, delivery, rules
from settings.delivery import Delivery
from settings.hosting import Host, HostFromText
from settings.problems import NAMESPACE, Problem, SettingsError, explain, unknown_key
from settings.section import Section
from settings.sections import (
    Agent,
    App,
    Backup,
    CronJob,
    Health,
    Migrations,
    Secrets,
    Supabase,
)
from settings.values import freeze, like

JobName = Annotated[
    str, like("[a-z][a-z0-9_-]{0,49}", "named by a-z, 0-9, - and _ (up to 50), a letter first")
]
Jobs = Annotated[Mapping[JobName, CronJob], AfterValidator(freeze)]

# Keys that hold text as it is; every other key holds JSON, and `host` either.
_TEXT_KEYS = frozenset({"environment", "organization", "project_name"})
# Pulumi.yaml must give every key a default (a key without one is required), and an empty one means "absent".
_ABSENT: tuple[Any, ...] = ("", {})


class Settings(Section):
    """One stack's configuration: everything that a stack may decide, validated and frozen."""

    environment: Annotated[str, like("[a-z][a-z0-9-]{0,31}", "up to 32 of a-z, 0-9 and -, a letter first")]
    """Name that services report and resources carry; absent, the stack's name."""
    organization: Annotated[
        str, like("[A-Za-z0-9_-]+", "the slug in the dashboard's address, of letters, digits, - and _")
    ] = "groundwork"
    """Slug of the Supabase organization."""
    project_name: Annotated[str, Field(min_length=1, max_length=256)]
    """Name of the Supabase project; absent, groundwork-ENVIRONMENT."""
    supabase: Supabase = Field(default_factory=Supabase)
    """The Supabase project."""
    host: HostFromText = Field(default_factory=Host)
    """What runs the app and the agent."""
    app: App = Field(default_factory=App)
    """The web application."""
    agent: Agent = Field(default_factory=Agent)
    """The agent service."""
    migrations: Migrations = Field(default_factory=Migrations)
    """Which SQL files, and how they are applied."""
    cron: Jobs = Field(default_factory=dict)
    """Jobs by name."""
    health: Health = Field(default_factory=Health)
    """The gate at the end of an update."""
    backup: Backup | None = None
    """Where backups go; absent, none are made."""
    secrets: Secrets = Field(default_factory=Secrets)
    """Versions of generated secrets, values of given ones."""
    variables: Annotated[Delivery, PlainValidator(delivery.read)] = Delivery()
    """What services get beyond that, by the declarations in settings/variables.py."""

    @classmethod
    def load(cls, config: pulumi.Config | None = None) -> Self:
        """
        Read and check the configuration of the stack that is running.

        Raises:
            SettingsError: naming every key that is wrong, what is wrong, and what is allowed.

        """
        values, problems = _read(config or pulumi.Config(NAMESPACE))
        stack = pulumi.get_stack()
        environment = values.setdefault("environment", stack)
        values.setdefault("project_name", f"{NAMESPACE}-{environment}")
        # A stack that sets none is told which ones it must set.
        variables = values.setdefault("variables", {})
        sections = dict(_valid_sections(cls, values, problems))
        problems += rules.broken(sections)
        written = clear.stack_file(stack)
        problems += clear.in_clear(sections, written)
        problems += delivery.misplaced(_encrypted(written, variables))
        if problems:
            raise SettingsError(stack, problems)
        return cls.model_construct(**sections)


def _read(config: pulumi.Config) -> tuple[dict[str, Any], list[Problem]]:
    """Read all keys of the namespace, secrets in plain; report those that cannot be read or do not exist."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for key in _present(config):
        if key not in Settings.model_fields:
            problems.append(unknown_key(key, Settings.model_fields))
            continue
        try:
            value = _value(key, config.get(key) or "")
        except ValueError:
            problems.append(Problem(key, "must be a map of keys to values"))
            continue
        if value not in _ABSENT:
            values[key] = value
    return values, problems


def _present(config: pulumi.Config) -> list[str]:
    """List the keys that the stack sets in the namespace."""
    prefix = f"{config.name}:"
    return sorted(
        key.removeprefix(prefix) for key in {**get_config_env(), **CONFIG.get()} if key.startswith(prefix)
    )


def _value(key: str, text: str) -> Any:
    """Decode what Pulumi hands over as text."""
    if key in _TEXT_KEYS or not text or (key == "host" and not text.startswith("{")):
        return text
    return json.loads(text)


def _valid_sections(
    model: type[Settings], values: Mapping[str, Any], problems: list[Problem]
) -> Iterator[tuple[str, Any]]:
    """Validate each section by itself, so that one mistake hides no other; yield the valid ones."""
    for name in model.model_fields:
        alone = {"environment": "x", "project_name": "x"} | ({name: values[name]} if name in values else {})
        try:
            yield name, getattr(model.model_validate(alone), name)
        except ValidationError as error:
            problems += explain(model, error)


def _encrypted(written: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, bool]:
    """Tell of the variables that are set whether the stack has them encrypted, where that can be known."""
    key = f"{NAMESPACE}:{delivery.SECTION}"
    if not is_config_secret(key):
        return dict.fromkeys(variables, False)
    # Pulumi calls the map secret as a whole once one value in it is; only the stack file tells which.
    lines = written.get(key)
    if not isinstance(lines, dict):
        return {}
    return {name: clear.is_encrypted(value) for name, value in lines.items()}
