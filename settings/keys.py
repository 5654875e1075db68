"""API keys with versions, and how edge functions are told a secret of the stack's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pulumi
from pydantic import AfterValidator, PlainValidator, field_validator

from settings.section import Section
from settings.values import Text, Version, Versions, below, freeze, like, secret

# The platform's limit on the name of an API key.
_KEY_NAME_LENGTH = 64


KeyName = Annotated[str, like("[a-z_][a-z0-9_]{3,63}", "4 to 64 of a-z, 0-9 and _, no digit first")]


@dataclass(frozen=True)
class Link:
    """A secret of the stack's own, by its name: one of `secrets`, or `api_keys.NAME`."""

    source: str


def _secret_or_link(value: object) -> pulumi.Output[str] | Link:
    """Read a secret text, or `{from: NAME}`."""
    if not isinstance(value, dict):
        return secret(value)
    source = value.get("from")
    if value.keys() != {"from"} or not isinstance(source, str):
        message = 'must be a secret text, or a map with the one key "from", as in {from: agent_shared_secret}'
        raise ValueError(message)
    return Link(source)


FunctionSecret = Annotated[pulumi.Output[str] | Link, PlainValidator(_secret_or_link)]


class ApiKey(Section):
    """`groundwork:supabase.api_keys.<name>`: an API key of its own; raise `version` to rotate it."""

    type: Literal["publishable", "secret"]
    """publishable for front ends, secret for servers."""
    description: Text | None = None
    """What it is for."""
    version: Version = 1
    """Version in use; the key of version 2 is named `NAME_v2`."""
    accept: Versions = None
    """Older versions that stay; absent, the previous one; [] deletes it."""

    @property
    def versions(self) -> tuple[int, ...]:
        """All versions that are keys of the project, newest first."""
        chosen = (self.version - 1,) if self.accept is None else self.accept
        return (self.version, *sorted({one for one in chosen if one >= 1}, reverse=True))

    @field_validator("accept")
    @classmethod
    def _older(cls, value: tuple[int, ...] | None, info: Any) -> tuple[int, ...] | None:
        """Refuse accepted versions that do not exist yet."""
        return below(value, info.data.get("version", 0))

    def named(self, name: str) -> dict[int, str]:
        """Give what the platform calls each version of the key `name`."""
        return {version: name if version == 1 else f"{name}_v{version}" for version in self.versions}


def _own_names(value: Mapping[str, ApiKey]) -> Mapping[str, ApiKey]:
    """Refuse versions whose keys would have no name of their own on the platform."""
    names = [one for name, key in value.items() for one in key.named(name).values()]
    if double := sorted({name for name in names if names.count(name) > 1}):
        message = f"must not name a key as a version of another is named: {', '.join(double)}"
        raise ValueError(message)
    if long := sorted(name for name in names if len(name) > _KEY_NAME_LENGTH):
        message = f"must leave room for the version in names of up to 64 letters: {', '.join(long)}"
        raise ValueError(message)
    return freeze(value)


ApiKeys = Annotated[Mapping[KeyName, ApiKey], AfterValidator(_own_names)]
