"""What the product says about its verification, in `checks/rules.toml`. Pure but for reading the file."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from engines.migrations.errors import FolderError
from engines.migrations.files.backfill import PART, name_parts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE: Final = "rules.toml"
_ASIDE: Final = re.compile(r"\..*|README.*|.*\.md", re.DOTALL)
SHRINK_PERCENT: Final = 10.0
_TABLE: Final = re.compile(rf"{PART}\.{PART}")
_COLUMN: Final = re.compile(PART)


@dataclass(frozen=True)
class Rules:
    """The rules; without the file these are the defaults.

    Attributes:
        exposed: schemas that clients reach through the API.
        without_rls: tables of these schemas that are open on purpose, as schema and name.
        shrink_percent: how many percent of a table's rows a run may lose.
        shrink: the same for single tables.
        not_null: columns by table that hold no NULL.
    """

    exposed: tuple[str, ...] = ("public",)
    without_rls: frozenset[tuple[str, str]] = frozenset()
    shrink_percent: float = SHRINK_PERCENT
    shrink: dict[tuple[str, str], float] = field(default_factory=dict)
    not_null: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)


def read_rules(checks: Path) -> Rules:
    """Read the rules of a folder of checks.

    Raises:
        FolderError: lists what in the folder would never be looked at, every key that is unknown and every
            value that is not what it must be.
    """
    path = checks / FILE
    problems = _strangers(checks)
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        given = {}
    except (OSError, ValueError) as error:  # TOML and UTF-8 errors are ValueErrors
        raise FolderError(str(checks), [*problems, f"{FILE}: {error}"]) from None
    values = {key: _value(key, given[key], problems) for key in given}
    if problems:
        raise FolderError(str(checks), problems)
    return Rules(**values)


def _strangers(checks: Path) -> list[str]:
    """Say of each entry that is neither a check nor the rules, though somebody may take it for one."""
    try:
        entries = sorted(checks.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FolderError(str(checks), [f"the folder cannot be read: {error.strerror}"]) from None
    problems = ((entry.name, _stranger(entry)) for entry in entries if not _ASIDE.fullmatch(entry.name))
    return [f"{name}: {problem}" for name, problem in problems if problem]


def _stranger(entry: Path) -> str | None:
    if entry.suffix != ".sql" and entry.name != FILE:
        return f"would never be looked at: beside {FILE} there are checks, named *.sql in lower case"
    if not entry.is_file():
        return "is no file; a check is a file, or a link to one"
    return None


def _value(key: str, value: Any, problems: list[str]) -> Any:
    """Read one value; what is wrong with it is added to the problems."""
    reader = _READERS.get(key)
    if reader is None:
        problems.append(f"{FILE}: `{key}` is not known; there are {', '.join(_READERS)}")
        return None
    try:
        return reader(value)
    except ValueError as error:
        problems.append(f"{FILE}: `{key}` {error}")
        return None


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError('must be a list of names, such as ["public"]')
    return tuple(value)


def _table(value: str) -> tuple[str, str]:
    if not _TABLE.fullmatch(value):
        raise ValueError(f'must name tables with their schema, such as "public.accounts", not "{value}"')
    schema, name = name_parts(value)
    return schema, name


def _percent(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise ValueError(f"must be a number from 0 to 100, not {value!r}")
    return float(value)


def _tables(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError('must be a table of TOML, such as {"public.accounts" = …}')  # noqa: TRY004  # as above
    return value


def _columns(value: Any) -> tuple[str, ...]:
    columns = _names(value)
    wrong = [column for column in columns if not _COLUMN.fullmatch(column)]
    if wrong or not columns:
        raise ValueError(f"must list columns of a table, not {list(columns)}")
    return tuple(name_parts(column)[0] for column in columns)


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "exposed": _names,
    "without_rls": lambda value: frozenset(_table(name) for name in _names(value)),
    "shrink_percent": _percent,
    "shrink": lambda value: {_table(name): _percent(most) for name, most in _tables(value).items()},
    "not_null": lambda value: {_table(name): _columns(of) for name, of in _tables(value).items()},
}
