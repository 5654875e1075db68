"""A restore point before something is changed that cannot be undone otherwise."""

from __future__ import annotations

import time
from itertools import chain, count
from typing import TYPE_CHECKING

from engines.supabase.errors import SupabaseError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.supabase.backups import RestorePoint
    from engines.supabase.client import ManagementClient

# Of the Management API's body (V1RestorePointPostBody).
_LONGEST_NAME = 20
_PENDING, _AVAILABLE = "PENDING", "AVAILABLE"
_POLL_S = 2.0
_LONGEST_WAIT_S = 900.0
_ADVICE = (
    "nothing was migrated. Try again, or make a backup yourself and set groundwork:backup.before_migrations "
    "to none for this update"
)


def keep_restore_point(
    client: ManagementClient, ref: str, label: str, *, pause: Callable[[float], None] = time.sleep
) -> RestorePoint:
    """Have the platform make a restore point, and wait until it can be used.

    One that is being made under the name already is waited for: an update that was killed has begun it.

    Args:
        client: of the Management API.
        ref: the project.
        label: what it is named after: the stack, a hyphen and a version; the stack's name may be cut.
        pause: waits a number of seconds.

    Raises:
        SupabaseError: the platform refuses or fails; the text says what to do.
    """
    try:
        name, found = _free(client, ref, label)
        found = found or client.backups.make_restore_point(ref, name)
        waits = int(_LONGEST_WAIT_S / _POLL_S)
        while found.status == _PENDING and (waits := waits - 1):
            pause(_POLL_S)
            found = client.backups.restore_point(ref, name) or found
    except SupabaseError as error:
        raise type(error)(f"{error}; {_ADVICE}") from error
    if found.status != _AVAILABLE:
        raise UnavailableError(f"the restore point {name} of project {ref} is {found.status}; {_ADVICE}")
    return found


def _free(client: ManagementClient, ref: str, label: str) -> tuple[str, RestorePoint | None]:
    """Find a name that no finished restore point has; give it, and the unfinished one that has it."""
    for suffix in chain([""], (f".{number}" for number in count(2))):
        name = _named(label, suffix)
        found = client.backups.restore_point(ref, name)
        if found is None or found.status == _PENDING:
            return name, found
    raise AssertionError("numbers do not end")


def _named(label: str, suffix: str) -> str:
    """Cut the stack's name, so that all fits."""
    stack, _, version = label.rpartition("-")
    end = f"-{version}{suffix}"[-_LONGEST_NAME:]
    return f"{stack[: _LONGEST_NAME - len(end)]}{end}"
