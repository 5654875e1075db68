"""Which fields of a project's settings a stack file names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engines.adoption.defaults import is_fresh
from engines.supabase import SECTIONS, InvalidSettingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engines.adoption.notes import Notes
    from engines.supabase import Settings


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
    chosen = {}
    for name, value in sorted(settings.values().items()):
        # Answers hold more than may be set, such as when a service was suspended.
        if name not in kind.names() or (not every and is_fresh(kind.section, name, value)):
            continue
        if name in kind.secrets:
            notes.secrets += [(kind.section, name)] if value else []
        elif refusal := _refusal(kind, name, value):
            notes.leave(f"supabase.{kind.section}.{name}", refusal)
        else:
            chosen[name] = value
    return chosen


def _refusal(kind: type[Settings], name: str, value: Any) -> str | None:
    """Say why a value that the platform shows could not be written; None: it could, or nothing is set."""
    try:
        kind.of({name: value})
    except InvalidSettingError:
        return "the platform shows a value that its own documents do not allow to be set"
    return None
