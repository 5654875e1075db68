"""What can go wrong with the Management API, by what the caller does next.

    SupabaseError
    ├── AuthError               401: the token is not valid
    ├── ForbiddenError          403: the token may not do this
    ├── NotFoundError           404: no such project or organization
    ├── ConflictError           409, or a name that fits several projects
    ├── RejectedError           400, 422 and other 4xx: the request is wrong; the server says why
    ├── RateLimitedError        429, after waiting for the limit to be lifted
    ├── UnavailableError        5xx, no connection, no answer in time, after repeats
    ├── UnexpectedAnswerError   an answer that is not the Management API's
    ├── InvalidSettingError     a setting that the Management API does not take; nothing was sent
    ├── FunctionFilesError      a function's folder is not there, cannot be read or is too large
    └── ProjectFailedError      the project is in a state from which it does not become healthy

No text holds a token, a password or a key.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from engines.errors import GroundworkError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Fate(Enum):
    """What became of a request that was not answered with success."""

    UNSENT = "it never reached the service"
    ANSWERED = "the service answered, so it is not at work on it any more"
    UNKNOWN = "nobody knows whether it was carried out"


class SupabaseError(GroundworkError):
    """The Management API did not do what was asked.

    Attributes:
        status: HTTP status of the answer; None: there was none.
        fate: what became of the request.
    """

    status: int | None = None
    fate: Fate = Fate.ANSWERED


class AuthError(SupabaseError):
    """The access token is missing, wrong or expired."""


class ForbiddenError(SupabaseError):
    """The access token has no right to do this."""


class NotFoundError(SupabaseError):
    """There is no such project or organization, or the token does not see it."""


class ConflictError(SupabaseError):
    """What exists contradicts what is asked."""


class RejectedError(SupabaseError):
    """The service refuses the request as it is."""


class RateLimitedError(SupabaseError):
    """Too many requests, even after waiting."""


class UnavailableError(SupabaseError):
    """The service cannot be reached or fails, even after repeats."""


class UnexpectedAnswerError(SupabaseError):
    """Something else answers than the Management API."""


class InvalidSettingError(SupabaseError):
    """Settings whose names or values are not what the service takes; the text names each, never a value.

    Attributes:
        problems: what is wrong, by the field's name.
    """

    def __init__(self, section: str, problems: Mapping[str, str]) -> None:
        """Keep the problems, and word them with their full names."""
        self.problems = dict(problems)
        super().__init__("; ".join(f"{section}.{name}: {text}" for name, text in problems.items()))


class FunctionFilesError(SupabaseError):
    """The files of a function cannot be deployed as they are."""


class ProjectFailedError(SupabaseError):
    """The project does not become healthy."""


_SETTING = "`groundwork:supabase.access_token`"
_BY_STATUS: dict[int, tuple[type[SupabaseError], str]] = {
    401: (AuthError, f"check {_SETTING}: it is missing, wrong or expired"),
    403: (ForbiddenError, f"the account of {_SETTING} needs the right to do this"),
    404: (NotFoundError, f"it does not exist, or the account of {_SETTING} does not see it"),
    409: (ConflictError, "change what exists, or what is asked for"),
    429: (
        RateLimitedError,
        "too many requests, of other programs with this token too; try again in a minute",
    ),
}


# Answers of something in front of the service, which may still be at work on the request.
_GATEWAY_GAVE_UP = frozenset({408, 502, 504, *range(520, 528)})


def from_status(status: int, text: str, *, advises: bool = True) -> SupabaseError:
    """Make the error of an HTTP status.

    Args:
        status: of the answer.
        text: what was done and what the server answered.
        advises: whether to say what to do about the access token.
    """
    error = _of_kind(status, text)
    if not advises and status in _BY_STATUS:
        error = type(error)(text)
    error.status = status
    error.fate = fate_of(status)
    return error


def fate_of(status: int) -> Fate:
    """Tell what became of a request that was answered with an HTTP status."""
    return Fate.UNKNOWN if status in _GATEWAY_GAVE_UP else Fate.ANSWERED


def _of_kind(status: int, text: str) -> SupabaseError:
    if status in _BY_STATUS:
        kind, advice = _BY_STATUS[status]
        return kind(f"{text}; {advice}")
    if status >= 500 or status in _GATEWAY_GAVE_UP:  # 544 is one of the platform's own
        return UnavailableError(f"{text}; the service fails, try again later")
    return RejectedError(text)
