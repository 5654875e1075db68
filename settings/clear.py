"""Which secrets a stack file holds in clear: with it they are in git, before anything else happens."""

from __future__ import annotations

from collections import abc
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

import pulumi
import yaml
from pydantic import BaseModel

from settings.problems import NAMESPACE, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def stack_file(stack: str) -> Mapping[str, Any]:
    """
    Read the configuration of a stack as it is written: encrypted values are maps with the key `secure`.

    Nothing comes of a file that is not there or cannot be read: the configuration may come from elsewhere.
    """
    try:
        found = yaml.safe_load(Path(f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"]
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def in_clear(model: type[BaseModel], written: Mapping[str, Any]) -> Iterator[Problem]:
    """
    Report what is declared as a secret and stands there for everybody to read.

    Args:
        model: the settings; a secret is what is typed as an output.
        written: what `stack_file` gives.
    """
    for name, field in model.model_fields.items():
        yield from _below(field.annotation, written.get(f"{NAMESPACE}:{name}"), name)


def is_encrypted(value: object) -> bool:
    """Say whether it is an encrypted value of a stack file."""
    return isinstance(value, dict) and value.keys() == {"secure"}


def _below(kind: Any, value: object, path: str) -> Iterator[Problem]:
    """Look at a value of a declared type, and at all that it holds."""
    if value in (None, "") or is_encrypted(value):
        return
    if get_origin(kind) is not pulumi.Output:
        for part, item, name in _parts(kind, value):
            yield from _below(part, item, f"{path}{name}")
    elif not isinstance(value, dict):
        yield Problem(path, f"is secret and must be encrypted; replace it, and set it by {_how(path)}")


def _parts(kind: Any, value: object) -> Iterator[tuple[Any, object, str]]:
    """Give what a value may hold by its type: declared type, value, and what the path to it ends with."""
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from (
            (field.annotation, value.get(name), f".{name}") for name, field in kind.model_fields.items()
        )
    elif isinstance(value, dict) and get_origin(kind) is abc.Mapping:
        yield from ((get_args(kind)[1], item, f".{name}") for name, item in value.items())
    else:
        yield from ((part, value, "") for part in get_args(kind))


def _how(path: str) -> str:
    return f"`pulumi config set --secret --path {NAMESPACE}:{path}`"
