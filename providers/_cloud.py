"""What the providers of the platform's things share: the client, one look at a project for all, fingerprints.

The engine asks one process for everything of an operation, in four threads. What is read of a project is read
once for all of its resources, in one round of concurrent requests, and forgotten when something is written.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from typing import TYPE_CHECKING, Any

import engines
from providers._crud import EngineProvider, Props, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REACH = ("api_url", "access_token", "project_ref")
# Stands in place of a fingerprint when the platform shows another secret than after the last update.
STRANGER = "changed on the platform"
# States of a project whose database and services do not answer.
ASLEEP = frozenset({"INACTIVE", "PAUSING"})
_GLANCE_S = 5.0
# Has a rate limit of its own, ten requests a minute; whoever has a host name asks for it alone.
_ALONE = "hostname"


class CloudProvider(EngineProvider):
    """A provider of something that the platform keeps for a project.

    Its inputs have `api_url`, `access_token` and `project_ref`, which say how to reach it.
    """

    soft = frozenset({*REACH, "fingerprint_key"})


def client(props: Props, timing: engines.supabase.Timing | None = None) -> engines.supabase.ManagementClient:
    """Open the client that a resource's properties describe; use it in a `with` statement."""
    return engines.supabase.ManagementClient(props["api_url"], props["access_token"], timing=timing)


def is_reachable(props: Props) -> bool:
    """Tell whether it is known yet how to reach the project."""
    return not any(unknown(props[name]) for name in REACH)


def fingerprint(key: str, value: str) -> str:
    """Give a text that tells a secret from others, and tells nothing about it without the key (RFC 2104)."""
    return hmac.new(key.encode(), value.encode(), hashlib.sha256).hexdigest()[:16]


def fingerprints(props: Props, values: Mapping[str, Any]) -> dict[str, str]:
    """Fingerprint the values that are known, with the stack's key; without it, nothing can be said."""
    key = props.get("fingerprint_key")
    if not isinstance(key, str):
        return {}
    return {name: fingerprint(key, value) for name, value in values.items() if isinstance(value, str)}


_ALL: list[Once] = []


class Once:
    """Remembers what a function gave, per project, until `forget` is told that something is written."""

    def __init__(self, read: Callable[[Props], Any]) -> None:
        """Take the function; it gets a resource's properties."""
        self._read = read
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._found: dict[tuple[str, str], Any] = {}
        _ALL.append(self)

    def __call__(self, props: Props) -> Any:
        """Give what is known; of several threads that ask at once, one reads."""
        key = (props["api_url"], props["project_ref"])
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._found:
                self._found[key] = self._read(props)
            return self._found[key]

    def forget(self, props: Props) -> None:
        """Read a project anew the next time."""
        self._found.pop((props["api_url"], props["project_ref"]), None)


def _read_all(props: Props) -> Mapping[str, Any]:
    wanted = [part for part in engines.supabase.PARTS if part != _ALONE]
    with client(props) as opened:
        return engines.supabase.read_project(opened, props["project_ref"], wanted)


def _read_overview(props: Props) -> Mapping[str, Mapping[str, Any]]:
    # One try: a preview must not wait for an API that is not there, or has no such route.
    timing = engines.supabase.default_timing(timeout_s=_GLANCE_S, attempts=1)
    try:
        with client(props, timing) as opened:
            return opened.overview.read(props["project_ref"])
    except engines.supabase.SupabaseError:
        return {}


_look = Once(_read_all)
_glance = Once(_read_overview)


def look(props: Props, part: str) -> Any:
    """Give one part of a project as it is now, by the names of `engines.supabase.PARTS`.

    Raises:
        SupabaseError: why this part could not be read.
    """
    found = _look(props)[part]
    if isinstance(found, engines.supabase.SupabaseError):
        raise found
    return found


def glance(props: Props, section: str) -> Mapping[str, Any]:
    """Give what one request tells of a section's settings; empty where it tells nothing."""
    found: Mapping[str, Any] = _glance(props).get(section, {}) if is_reachable(props) else {}
    return found


def forget(props: Props) -> None:
    """Forget what was read of a project, because it is about to change."""
    for one in _ALL:
        one.forget(props)
