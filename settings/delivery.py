"""The values of a stack's variables: checked, and given to the services that the declarations name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi  # noqa: TC002 - pydantic evaluates the annotations of Delivery
from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from settings.kinds import written
from settings.problems import NAMESPACE, Problem, unknown_key
from settings.values import freeze, secret
from settings.variables import CATALOGUE, Variable

SECTION = "variables"
_DECLARED = "variables are declared in settings/variables.py (docs/variables.md)"


@dataclass(frozen=True)
class Delivery:
    """`groundwork:variables`: what each service gets.

    Attributes:
        plain: service → name in the environment → value, defaults included.
        hidden: service → name of a secret's file → value.
    """

    plain: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    hidden: Mapping[str, Mapping[str, pulumi.Output[str]]] = field(default_factory=dict)

    def environment(self, service: str) -> Mapping[str, str]:
        """Give the plain variables of a service by name."""
        return self.plain.get(service, {})

    def secrets(self, service: str) -> Mapping[str, pulumi.Output[str]]:
        """Give the secret variables of a service by the names of their files."""
        return self.hidden.get(service, {})


def read(given: object, catalogue: tuple[Variable, ...] = CATALOGUE) -> Delivery:
    """
    Check the values of a stack by the declarations, and sort them by service.

    Args:
        given: values by name as in a stack file, or what was read of them before.
        catalogue: the declarations.

    Raises:
        ValidationError: naming each variable that is unknown, missing or of another kind, never with a value.
        PydanticCustomError: if it is no map.
    """
    if isinstance(given, Delivery):
        return given
    if not isinstance(given, Mapping):
        raise PydanticCustomError("mapping_type", "must be a map of keys to values")
    ours = {one.name: one for one in catalogue if one.source == "stack"}
    problems = {name: _stranger(name, catalogue) for name in sorted(given.keys() - ours.keys())}
    values: dict[str, str] = {}
    for name, variable in ours.items():
        try:
            values |= _value(variable, given)
        except ValueError as error:
            problems[name] = str(error)
    if problems:
        raise _by_name(problems)
    return _sorted(values, ours)


def misplaced(
    encrypted: Mapping[str, bool], catalogue: tuple[Variable, ...] = CATALOGUE
) -> Iterator[Problem]:
    """
    Report secrets that a stack holds in clear, and encrypted values that would be shown.

    Args:
        encrypted: name → whether the stack file has it encrypted; only of those where that is known.
        catalogue: the declarations.
    """
    for one in (one for one in catalogue if one.source == "stack"):
        if encrypted.get(one.name, one.secret) == one.secret:
            continue
        if one.secret:
            text = f"is secret and must be encrypted; replace the value, and set it by {_command(one)}"
        else:
            text = (
                "is encrypted, but not declared as secret, so diffs would show it; declare it with "
                f"secret=True in settings/variables.py, or set it by {_command(one)}"
            )
        yield Problem(f"{SECTION}.{one.name}", text)


def _value(variable: Variable, given: Mapping[str, object]) -> dict[str, str]:
    """Give the value of one variable, if it has one."""
    if variable.name in given:
        text = written(variable.kind, given[variable.name])
        if variable.secret:
            secret(text)  # refuses placeholders and blanks around
        return {variable.name: text}
    if variable.needed:
        message = f"is needed by {' and '.join(variable.services)}; set it by {_command(variable)}"
        raise ValueError(message)
    return {variable.name: variable.default} if variable.default is not None else {}


def _sorted(values: Mapping[str, str], catalogue: Mapping[str, Variable]) -> Delivery:
    plain: dict[str, dict[str, str]] = {}
    hidden: dict[str, dict[str, pulumi.Output[str]]] = {}
    for name, text in values.items():
        variable = catalogue[name]
        for service in variable.services:
            if variable.secret:
                hidden.setdefault(service, {})[variable.file] = secret(text)
            else:
                plain.setdefault(service, {})[name] = text
    return Delivery(_frozen(plain), _frozen(hidden))


def _frozen(values: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    return freeze({service: freeze(inner) for service, inner in values.items()})


def _stranger(name: str, catalogue: tuple[Variable, ...]) -> str:
    """Say why a stack cannot set a variable of this name."""
    if name.upper() in {one.name for one in catalogue if one.source == "groundwork"}:
        return "is set by Groundwork itself; docs/variables.md says from what"
    known = [one.name for one in catalogue if one.source == "stack"]
    return f"{unknown_key(name.upper(), known).text}; {_DECLARED}"


def _command(variable: Variable) -> str:
    how = "--secret" if variable.secret else "--plaintext"
    return f"`pulumi config set {how} --path {NAMESPACE}:{SECTION}.{variable.name}`"


def _by_name(problems: Mapping[str, str]) -> ValidationError:
    lines = [
        InitErrorDetails(
            type=PydanticCustomError("variable", "{text}", {"text": text}), loc=(name,), input=None
        )
        for name, text in problems.items()
    ]
    return ValidationError.from_exception_data(SECTION, lines, hide_input=True)
