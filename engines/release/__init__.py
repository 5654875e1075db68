"""Whether a release works: what is seen of it, what that means, and the way back.

`traffic` and `verdict` are arithmetic and rules without I/O; `watch` asks the services, `gate` does it all.
What needs an HTTP client is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from engines.release.gate import Passed, Release, ReleaseError, prove
    from engines.release.verdict import Policy
    from engines.release.watch import Times

__all__ = ["Passed", "Policy", "Release", "ReleaseError", "Times", "prove"]

_LATER: Final = {
    "Passed": "gate",
    "Policy": "verdict",
    "Release": "gate",
    "ReleaseError": "gate",
    "Times": "watch",
    "prove": "gate",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
