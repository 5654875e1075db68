"""What is known of a secret, who has to hold what of it, and how that compares with what was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from engines.errors import GroundworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

UNKNOWN: Final = "unknown"
MISSING: Final = "missing"
REFUSED: Final = "refused"

Versions = tuple[str, ...]
Matrix = dict[str, dict[str, str]]
# (secret, place) → what was found there, once per answer: replicas may differ.
Found = dict[tuple[str, str], list[Versions]]


class ParityError(GroundworkError):
    """Places disagree about a secret; the text names secret, place, what was found and what is wanted."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """A secret, and who has to hold what of it.

    Attributes:
        current: version in use.
        values: accepted values by version, the current one among them.
        standby: the next version's value, where it is known in advance.
        presents: places that hold the current version only, such as `app`, `cron` or `functions.TOKEN`.
        checks: places that hold every accepted version, and nothing else.
        listed_as: what services call it, where that is another name.
        login: base name of the two roles whose password it is.
    """

    current: str
    values: Mapping[str, str] = field(repr=False)
    standby: Mapping[str, str] = field(default_factory=dict, repr=False)
    presents: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    listed_as: str | None = None
    login: str | None = None

    def wanted(self) -> dict[str, Versions]:
        """Give the versions that each place has to hold, newest first."""
        every = newest_first({*self.values, *self.standby})
        return {**dict.fromkeys(self.checks, every), **dict.fromkeys(self.presents, (self.current,))}

    def version_of(self, proves: Callable[[str], bool]) -> str:
        """Find the version whose value proves to be the one that a place holds; `unknown` if none does."""
        every = {**self.standby, **self.values}
        return next((version for version, value in every.items() if proves(value)), UNKNOWN)


Secrets = dict[str, Known]


def newest_first(versions: Iterable[str]) -> Versions:
    """Sort versions; what is no number comes last."""
    return tuple(sorted(versions, key=lambda one: int(one) if one.isdecimal() else -1, reverse=True))


def mismatches(known: Secrets, found: Found, places: Collection[str] | None = None) -> list[str]:
    """Name secret, place, what was found and what is wanted, wherever these differ.

    Args:
        known: the secrets by name.
        found: what places hold.
        places: which to judge; None: all.
    """
    return [
        f"{name}: {place} holds {_shown(held)}, wanted is {_shown(wanted)}"
        for name, secret in known.items()
        for place, wanted in secret.wanted().items()
        if places is None or place in places
        for held in dict.fromkeys(_at(found, name, place))
        if held != wanted
    ]


def matrix(known: Secrets, found: Found) -> Matrix:
    """Give what each place holds of each secret; where replicas differ, all of it."""
    return {
        name: {
            place: " or ".join(dict.fromkeys(map(_shown, _at(found, name, place))))
            for place in secret.wanted()
        }
        for name, secret in known.items()
        if secret.wanted()
    }


def _at(found: Found, name: str, place: str) -> list[Versions]:
    return found.get((name, place)) or [()]


def _shown(held: Versions) -> str:
    return ", ".join(held) or MISSING
