"""Which secrets a stack file holds in clear: with it they are in git, before anything else happens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
import yaml
from pydantic import BaseModel

from settings.problems import NAMESPACE, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator


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


def in_clear(read: Mapping[str, Any], written: Mapping[str, Any]) -> Iterator[Problem]:
    """
    Report what was read as a secret and stands there for everybody to see.

    Args:
        read: valid sections of the settings, by name; a secret is an output in them.
        written: what `stack_file` gives.
    """
    for name, value in read.items():
        yield from _below(value, written.get(f"{NAMESPACE}:{name}"), name)


def is_encrypted(value: object) -> bool:
    """Say whether it is an encrypted value of a stack file."""
    return isinstance(value, dict) and value.keys() == {"secure"}


def _below(value: object, written: object, path: str) -> Iterator[Problem]:
    """Look at a value beside what is written for it, and at all that it holds."""
    if written in (None, "") or is_encrypted(written):
        return
    if isinstance(value, pulumi.Output):
        yield Problem(path, f"is secret and must be encrypted; replace it, and set it by {_how(path)}")
        return
    items = value.items() if isinstance(value, Mapping) else value if isinstance(value, BaseModel) else ()
    for name, item in items:
        below = written.get(name) if isinstance(written, dict) else None
        yield from _below(item, below, f"{path}.{name}")


def _how(path: str) -> str:
    return f"`pulumi config set --secret --path {NAMESPACE}:{path}`"
