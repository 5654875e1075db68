"""What answers and settings have in common: read with tolerance, written exactly and sparsely.

The service adds fields and states at any time, so an answer may hold more than a model names, and states are
texts. A change sends only the fields that were set; what is not set stays as it is.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError

from engines.supabase.errors import InvalidSettingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_PROJECTS = "/v1/projects"


def project_path(ref: str, *parts: str) -> str:
    """Give the path of a project, or of something below it, such as `config/auth`."""
    return "/".join((_PROJECTS, quote(ref, safe=""), *parts))


def segment(name: str) -> str:
    """Spell a name so that it is one part of a path."""
    return quote(name, safe="")


class Answer(BaseModel):
    """A value of an answer; fields that it does not name are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Part(BaseModel):
    """A group of fields within settings; the service wants all of its required ones together."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)


class Settings(BaseModel):
    """A section of a project's settings: the fields that are set, under the API's own names.

    Attributes:
        section: its name in a stack's configuration.
        secrets: names of the fields whose values are secret; the service shows them masked.
    """

    # Names that no field has are kept when an answer is read, and refused in `of`.
    model_config = ConfigDict(frozen=True, strict=True, extra="allow", defer_build=True)

    section: ClassVar[str]
    secrets: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Check values that a stack sets; whole floats count as integers, for JSON has one kind of number.

        Raises:
            InvalidSettingError: a name or a value is not what the API takes; each one is named.
        """
        problems = {name: cls._unknown(name) for name in values if name not in cls.names()}
        try:
            settings = cls.model_validate(_whole_numbers(dict(values)))
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            problems |= {".".join(map(str, one["loc"])): one["msg"] for one in found}
        if problems:
            raise InvalidSettingError(cls.section, problems)
        return settings

    @classmethod
    def read(cls, raw: Any) -> Self:
        """Take what the service answers as it is; raises TypeError when that is no object."""
        if not isinstance(raw, dict):
            raise TypeError
        try:
            return cls.model_validate(raw)
        except ValidationError:
            # A newer service may answer other types or limits; what it says is what is there.
            return cls.model_construct(None, **raw)

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """Let repr and str show the known fields that are set, and no secret."""
        for name, value in self.values().items():
            if name in self.names():
                yield name, "[secret]" if value and name in self.secrets else value

    def values(self) -> dict[str, Any]:
        """Give the fields that are set, as the API spells them."""
        set_ = {
            name: field for name, field in type(self).model_fields.items() if name in self.model_fields_set
        }
        fields = {field.alias or name: _plain(getattr(self, name)) for name, field in set_.items()}
        return {**fields, **(self.model_extra or {})}

    def secret_values(self) -> tuple[str, ...]:
        """Give the secret values that are set."""
        return tuple(str(value) for name, value in self.values().items() if name in self.secrets and value)

    @classmethod
    def names(cls) -> frozenset[str]:
        """Give the names of all fields, as the API spells them."""
        return frozenset(field.alias or name for name, field in cls.model_fields.items())

    @classmethod
    def _unknown(cls, name: str) -> str:
        close = difflib.get_close_matches(name, cls.names(), 1)
        advice = f"; did you mean {close[0]}?" if close else ""
        return f"the API has no such field{advice}"


def _plain(value: Any) -> Any:
    return value.model_dump(by_alias=True, exclude_unset=True) if isinstance(value, Part) else value


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole_numbers(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
