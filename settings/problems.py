"""How a problem of the configuration is worded."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import pulumi
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

NAMESPACE = "groundwork"

_BETTER_WORDS = {
    "missing": "is needed",
    "model_type": "must be a map of keys to values",
    "mapping_type": "must be a map of keys to values",
    "dict_type": "must be a map of keys to values",
    "string_type": "must be text; put quotes around it",
    "int_type": "must be a whole number, without quotes",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the key below the namespace, and what to do about it."""

    key: str
    text: str

    def __str__(self) -> str:
        """Give the full key and the text."""
        return f"{NAMESPACE}:{self.key}: {self.text}"


class SettingsError(pulumi.RunError):
    """The configuration of a stack cannot be used; Pulumi shows the text without a stack trace."""

    def __init__(self, stack: str, problems: Iterable[Problem]) -> None:
        """Keep the problems, and word them one a line."""
        self.problems = tuple(problems)
        count = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
        lines = [
            f'the configuration of stack "{stack}" (Pulumi.{stack}.yaml) has {count}:',
            *map(str, self.problems),
        ]
        super().__init__("\n  ".join(lines))


def unknown_key(key: str, known: Iterable[str]) -> Problem:
    """Say that a key does not exist, and which one may be meant."""
    known = sorted(known)
    close = difflib.get_close_matches(key.rpartition(".")[2], known, n=1)
    hint = f'did you mean "{close[0]}"?' if close else f"known here: {', '.join(known)}"
    return Problem(key, f"is not a known key; {hint}")


def explain(root: type[BaseModel], error: ValidationError) -> Iterator[Problem]:
    """Word what pydantic found, never with the value: it may be a secret."""
    for detail in error.errors(include_input=False, include_url=False):
        path = tuple(part for part in detail["loc"] if part != "[key]")
        key = ".".join(map(str, path))
        if detail["type"] == "extra_forbidden":
            yield unknown_key(key, _fields_at(root, path[:-1]))
        else:
            yield Problem(key, _words(detail))


def _words(detail: ErrorDetails) -> str:
    """Turn one message of pydantic into the style of ours."""
    text = _BETTER_WORDS.get(detail["type"], detail["msg"])
    for before, after in (
        ("Value error, ", ""),
        ("Input should be ", "must be "),
        ("String should ", "must "),
    ):
        text = text.removeprefix(before) if not after else text.replace(before, after)
    return text


def _fields_at(root: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """List the keys that the model at a path has."""
    model: type[BaseModel] | None = root
    for part in path:
        # A part that is no field is the free name of a map's entry; its model was found one step earlier.
        if model and part in model.model_fields:
            model = _model_in(model.model_fields[str(part)].annotation)
    return list(model.model_fields) if model else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Find the model inside an annotation such as `Given | None` or a map of jobs."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for inner in get_args(annotation) if (model := _model_in(inner))), None)
