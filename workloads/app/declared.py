"""The variables that the stack's settings declare for this service, from the file `variables.json`.

{"variables": [{"name": "LIMIT", "type": "integer", "secret": false, "required": true, "default": null}]}

App and agent have the same module: each image is built from its own folder alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, FiniteFloat, TypeAdapter, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "variables.json"
Value = str | int | float | bool | None


def _address(value: str) -> str:
    parts = urlsplit(value)
    if not (parts.scheme and parts.netloc):
        raise ValueError("expected an address such as https://example.com")
    return value


TYPES: Mapping[str, TypeAdapter[Any]] = {
    "text": TypeAdapter(str),
    "integer": TypeAdapter(int),
    "number": TypeAdapter(FiniteFloat),
    "boolean": TypeAdapter(bool),
    "url": TypeAdapter(Annotated[str, AfterValidator(_address)]),
}


class Variable(BaseModel):
    """One variable: NAME in the environment, or a file `name` in the folder of secrets, which wins."""

    name: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
    type: Literal["text", "integer", "number", "boolean", "url"]
    secret: bool = False
    required: bool = False
    default: Value = None


class _File(BaseModel):
    variables: list[Variable]


@dataclass
class Declared:
    """What was found.

    Attributes:
        values: by name, of the declared type; None: not set, and not required.
        secrets: the texts that no log may show.
        problems: a line for each variable that is missing or wrong, without its value.
    """

    values: dict[str, Value] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list, repr=False)
    problems: list[str] = field(default_factory=list)


def read(folder: Path, secrets_dir: str | None) -> Declared:
    """Read the values of the variables that `folder` declares; without a file there are none."""
    found = Declared()
    for variable in _declarations(folder / FILE, found):
        try:
            text = _text(variable, secrets_dir)
            found.values[variable.name] = _value(variable, text)
        except (ValueError, OSError) as error:
            found.problems.append(f"{variable.name}: {_reason(error)}")
        else:
            found.secrets += [text] if variable.secret and text else []
    return found


def _declarations(file: Path, found: Declared) -> list[Variable]:
    try:
        return _File.model_validate_json(file.read_bytes()).variables
    except FileNotFoundError:
        return []
    except (ValidationError, OSError) as error:
        found.problems.append(f"{FILE}: {_reason(error)}")
        return []


def _text(variable: Variable, secrets_dir: str | None) -> str | None:
    """Give what is set; an empty text is none."""
    file = Path(secrets_dir) / variable.name.lower() if secrets_dir else None
    if file is not None and file.is_file():
        return file.read_text(encoding="utf-8").strip() or None
    return os.environ.get(variable.name) or None


def _value(variable: Variable, text: str | None) -> Value:
    given = variable.default if text is None else text
    if given is not None:
        value: Value = TYPES[variable.type].validate_python(given)
        return value
    if variable.required:
        raise ValueError(f"missing; set the variable or put a file {variable.name.lower()} into SECRETS_DIR")
    return None


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        # Only place and rule: pydantic's own text quotes the input.
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        rule = first["msg"].removeprefix("Value error, ")
        return f"{place}: {rule}" if place else rule
    return (error.strerror or "cannot be read") if isinstance(error, OSError) else str(error)
