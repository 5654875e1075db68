"""Makes a thing once, whatever happens to the request that makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from engines.supabase.errors import Fate, RateLimitedError, UnavailableError, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.supabase.session import Call, Session

T = TypeVar("T")

_ATTEMPTS = 3
_LOOK_PAUSE_S = 2.0
# A service that lost its caller may still be at work for this long.
_PATIENT_LOOKS = 20


def create_once(session: Session, call: Call, parse: Callable[[Any], T], find: Callable[[], T | None]) -> T:
    """Send a call that creates something, and never create a second one.

    When a request fails, what it may have made is looked for with `find`. It is sent again only when the
    service answered without making it; when nobody knows its fate, that is said, after a patient look.

    Args:
        session: what carries the requests.
        call: the request, not `repeatable`.
        parse: makes the value of the answer.
        find: gives what the request would have made, if it is there; None: it is not.

    Raises:
        SupabaseError: it could not be created, or nobody knows whether it was.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return session.read(call, parse)
        except (UnavailableError, RateLimitedError, UnexpectedAnswerError) as error:
            made = None if error.fate is Fate.UNSENT else _look(session, find, error.fate)
            if made is not None:
                return made
            if error.fate is Fate.UNKNOWN:
                raise _lost(call, error) from None
            if error.fate is Fate.UNSENT or attempt == _ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def _look(session: Session, find: Callable[[], T | None], fate: Fate) -> T | None:
    for _ in range(_PATIENT_LOOKS if fate is Fate.UNKNOWN else 1):
        session.pause(_LOOK_PAUSE_S)
        made = find()
        if made is not None:
            return made
    return None


def _lost(call: Call, error: UnavailableError | RateLimitedError | UnexpectedAnswerError) -> UnavailableError:
    seconds = _PATIENT_LOOKS * _LOOK_PAUSE_S
    lost = UnavailableError(
        f"{error}. Nobody knows whether {call.action} took place, and nothing was found for {seconds:g} s; "
        "look at the platform's page, then run the update again: it takes over what it finds"
    )
    lost.status, lost.fate = error.status, Fate.UNKNOWN
    return lost
