"""Makes a thing once, whatever happens to the request that makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from engines.supabase.errors import (
    Fate,
    RateLimitedError,
    SupabaseError,
    UnavailableError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.supabase.session import Call, Session

T = TypeVar("T")

_ATTEMPTS = 3
_LOOK_PAUSE_S = 2.0
# A service that lost its caller may still be at work for this long.
_PATIENCE_S = 40.0
_TAKES_OVER = "then run the update again: it takes over what it finds"
_MAKES_ANOTHER = "and remove what you find before you run the update again, which cannot tell it from others"


def create_once(
    session: Session,
    call: Call,
    parse: Callable[[Any], T],
    find: Callable[[], T | None],
    *,
    is_taken_over: bool = True,
) -> T:
    """Send a call that creates something, and never create a second one.

    When a request fails, what it may have made is looked for with `find`. It is sent again only when the
    service answered without making it; when nobody knows its fate, that is said, after a patient look.

    Args:
        session: what carries the requests.
        call: the request, not `repeatable`.
        parse: makes the value of the answer.
        find: gives what the request would have made, if it is there; None: it is not.
        is_taken_over: whether the next run finds what this one lost.

    Raises:
        SupabaseError: it could not be created, or nobody knows whether it was.
    """
    advice = _TAKES_OVER if is_taken_over else _MAKES_ANOTHER
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return session.read(call, parse)
        except (UnavailableError, RateLimitedError, UnexpectedAnswerError) as error:
            if error.fate is Fate.UNSENT:
                raise
            made = _look(session, find, _Lost(call, error, advice))
            if made is not None:
                return made
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


class _Lost:
    """A creation that failed."""

    def __init__(self, call: Call, error: SupabaseError, advice: str) -> None:
        """Take what failed, how, and what to do when nobody knows more."""
        self.fate = error.fate
        self._text = f"{error}. Nobody knows whether {call.action} took place"
        self._status = error.status
        self._advice = f"look at the platform's page, {advice}"

    def error(self, found: str) -> UnavailableError:
        """Make the error of a creation whose fate is unknown; `found` says what a look gave."""
        lost = UnavailableError(f"{self._text}, and {found}; {self._advice}")
        lost.status, lost.fate = self._status, Fate.UNKNOWN
        return lost


def _look(session: Session, find: Callable[[], T | None], lost: _Lost) -> T | None:
    """Look for what a creation may have made: once after an answer, else as long as it may be under way.

    Raises:
        UnavailableError: nobody knows whether it was made.
    """
    started = session.clock()
    for _ in range(int(_PATIENCE_S / _LOOK_PAUSE_S) if lost.fate is Fate.UNKNOWN else 1):
        session.pause(_LOOK_PAUSE_S)
        try:
            made = find()
        except SupabaseError as error:
            raise lost.error(f"the look for it failed: {error}") from None
        if made is not None:
            return made
        if session.clock() - started >= _PATIENCE_S:
            break
    if lost.fate is Fate.UNKNOWN:
        raise lost.error(f"nothing was found for {session.clock() - started:.0f} s")
    return None
