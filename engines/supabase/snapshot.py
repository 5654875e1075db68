"""Everything that a stack may set of a project, read in one round of concurrent requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from engines.supabase.client import CONNECTIONS
from engines.supabase.configuration import SECTIONS
from engines.supabase.errors import SupabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from engines.supabase.client import ManagementClient

T = TypeVar("T")


def read_together(readers: Mapping[str, Callable[[], T]]) -> dict[str, T | SupabaseError]:
    """Run readers at the same time and give what each one found, or why it found nothing.

    Any other error than a SupabaseError ends the whole.
    """
    with ThreadPoolExecutor(max_workers=max(1, min(CONNECTIONS, len(readers)))) as pool:
        futures = {name: pool.submit(_caught, reader) for name, reader in readers.items()}
        return {name: future.result() for name, future in futures.items()}


def _caught(reader: Callable[[], T]) -> T | SupabaseError:
    try:
        return reader()
    except SupabaseError as error:
        return error


def read_project(
    client: ManagementClient, ref: str, parts: Collection[str] | None = None
) -> dict[str, Any | SupabaseError]:
    """Read a project's state, its settings by section, and what else it has, at the same time.

    A part that the plan or the token does not allow is an error of its own and leaves the others alone.

    Args:
        client: what to ask.
        ref: the project.
        parts: names of the parts, by `PARTS`; None: all of them.

    Raises:
        KeyError: there is no such part.
    """
    wanted = PARTS if parts is None else {name: PARTS[name] for name in parts}
    return read_together({name: partial(read, client, ref) for name, read in wanted.items()})


def _section(name: str) -> Callable[[ManagementClient, str], Any]:
    return lambda client, ref: client.configuration.read(ref, SECTIONS[name])


PARTS: dict[str, Callable[[ManagementClient, str], Any]] = {
    "project": lambda client, ref: client.projects.get(ref),
    "keys": lambda client, ref: client.keys.all(ref),
    "legacy_keys": lambda client, ref: client.keys.legacy_enabled(ref),
    "signing_keys": lambda client, ref: client.signing_keys.all(ref),
    "third_parties": lambda client, ref: client.third_parties.all(ref),
    "function_secrets": lambda client, ref: client.function_secrets.digests(ref),
    "functions": lambda client, ref: client.functions.all(ref),
    "buckets": lambda client, ref: client.buckets.all(ref),
    "addons": lambda client, ref: client.addons.all(ref),
    "hostname": lambda client, ref: client.hostnames.get(ref),
    **{name: _section(name) for name in SECTIONS},
}
