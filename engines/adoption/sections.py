"""Which fields of a project's settings a stack file names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engines.adoption.defaults import FRESH, is_fresh
from engines.supabase import SECTIONS, InvalidSettingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engines.adoption.notes import Notes
    from engines.supabase import Settings

_REFUSED = "the platform shows a value that its own documents do not allow to be set"


def describe_sections(
    sections: Mapping[str, Settings], notes: Notes, *, every: bool = False
) -> dict[str, dict[str, Any]]:
    """Give the fields that somebody chose, by section, each as it is on the platform.

    Secret ones are noted, for the platform shows them masked only; and so is what the API would refuse.

    Args:
        sections: the settings as they are.
        notes: collects what is left out.
        every: name those too that are as in a new project.
    """
    described = {name: _fields(sections[name], notes, every=every) for name in SECTIONS if name in sections}
    return {name: fields for name, fields in described.items() if fields}


def _fields(settings: Settings, notes: Notes, *, every: bool) -> dict[str, Any]:
    kind = type(settings)
    chosen: dict[str, Any] = {}
    for name, value in sorted(settings.values().items()):
        # Answers hold more than may be set, such as when a service was suspended.
        if name in kind.names() and (every or not is_fresh(kind.section, name, value)):
            chosen |= _field(kind, name, value, notes, every=every)
    return chosen


def _field(kind: type[Settings], name: str, value: Any, notes: Notes, *, every: bool) -> dict[str, Any]:
    if isinstance(value, dict):
        return _group(kind, name, value, notes, every=every)
    if name in kind.secrets:
        notes.secrets += [(kind.section, name)] if value else []
        return {}
    if _may_be_set(kind, name, value):
        return {name: value}
    if value is not None:
        notes.leave(f"supabase.{kind.section}.{name}", _REFUSED)
    return {}


def _group(
    kind: type[Settings], name: str, members: dict[str, Any], notes: Notes, *, every: bool
) -> dict[str, Any]:
    """Choose among the members of a group, each of which may be set alone."""
    fresh = {} if every else FRESH[kind.section].get(name, {})
    changed = {
        member: value for member, value in members.items() if member not in fresh or fresh[member] != value
    }
    good = {member: value for member, value in changed.items() if _may_be_set(kind, name, {member: value})}
    for member in changed.keys() - good.keys():
        notes.leave(f"supabase.{kind.section}.{name}.{member}", _REFUSED)
    return {name: good} if good else {}


def _may_be_set(kind: type[Settings], name: str, value: Any) -> bool:
    try:
        kind.of({name: value})
    except InvalidSettingError:
        return False
    return True
