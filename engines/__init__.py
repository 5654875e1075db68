"""What does the work: plain Python on PostgreSQL, HTTP and processes, usable without Pulumi.

`import engines` loads nothing; `engines.cron` loads that engine when it is first used (PEP 562). Pulumi runs
the program and the providers in processes of their own, and the program need not wait for database drivers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import ModuleType

    from engines import (
        cron,
        health,
        logins,
        migrations,
        parity,
        postgres,
        processes,
        product,
        release,
        supabase,
        usage,
        vault,
    )

__all__ = [
    "cron",
    "health",
    "logins",
    "migrations",
    "parity",
    "postgres",
    "processes",
    "product",
    "release",
    "supabase",
    "usage",
    "vault",
]

_ENGINES: Final = frozenset(__all__)


def __getattr__(name: str) -> ModuleType:
    """Import an engine when it is first used."""
    if name not in _ENGINES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
