"""One HTTP session with the Management API: the token, repeats, and errors without secrets."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from engines.redaction import redact
from engines.supabase.errors import UnavailableError, UnexpectedAnswerError, from_status

if TYPE_CHECKING:
    from collections.abc import Callable

ATTEMPTS = 6
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
# The platform counts in windows of 60 seconds.
_LONGEST_LIMIT_S = 65.0


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        method: HTTP method.
        path: below the API's URL.
        action: what it does, for error texts: "listing the projects".
        body: sent as JSON.
        params: query parameters.
        repeatable: whether it may be sent again when nobody knows if it was carried out.
    """

    method: str
    path: str
    action: str
    body: dict[str, Any] | None = field(default=None, repr=False)
    params: dict[str, Any] | None = None
    repeatable: bool = True


class Session:
    """Sends calls, waits out limits and failures, and knows the secrets that no text may show."""

    def __init__(
        self, http: httpx.Client, secrets: set[str], pause: Callable[[float], None], attempts: int = ATTEMPTS
    ) -> None:
        """Use `http` (with its base URL and token); `pause` waits a number of seconds."""
        self._http = http
        self._pause = pause
        self._attempts = attempts
        self.secrets = secrets

    def send(self, call: Call) -> Any:
        """Send a call and give the answer's JSON; None for an empty one.

        Raises:
            SupabaseError: one of its kinds, by what went wrong last.
        """
        for attempt in range(self._attempts):
            answer = self._try(call)
            if isinstance(answer, httpx.Response) and answer.is_success:
                return self._read(call, answer)
            is_last = attempt == self._attempts - 1
            if is_last or not call.repeatable or not _is_passing(answer):
                break
            self._pause(_pause_s(answer, attempt))
        raise self._error(call, answer)

    def _try(self, call: Call) -> httpx.Response | httpx.TransportError:
        try:
            return self._http.request(call.method, call.path, json=call.body, params=call.params)
        except httpx.TransportError as error:
            return error
        except httpx.InvalidURL as error:
            return httpx.UnsupportedProtocol(str(error))

    def _read(self, call: Call, answer: httpx.Response) -> Any:
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError:
            raise self.unexpected(call, f"{answer.headers.get('content-type', 'no type')}") from None

    def unexpected(self, call: Call, what: str) -> UnexpectedAnswerError:
        """Make the error of an answer that the Management API would not give."""
        text = f"{call.action}: {self._http.base_url} answers unlike the Management API ({what})"
        return UnexpectedAnswerError(redact(f"{text}; check `groundwork:supabase.api_url`", self.secrets))

    def _error(self, call: Call, answer: httpx.Response | httpx.TransportError) -> Exception:
        if isinstance(answer, httpx.Response):
            text = f"{call.action} failed at {self._http.base_url}: {answer.status_code} {_message(answer)}"
            return from_status(answer.status_code, redact(text, self.secrets))
        reason = str(answer) or type(answer).__name__
        text = f"{call.action}: cannot reach {self._http.base_url} ({reason})"
        advice = "check `groundwork:supabase.api_url` and the network, then try again"
        return UnavailableError(redact(f"{text}; {advice}", self.secrets))


def _is_passing(answer: httpx.Response | httpx.TransportError) -> bool:
    """Tell whether a failure may be gone the next time."""
    if isinstance(answer, httpx.Response):
        return answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error
    return not isinstance(answer, httpx.UnsupportedProtocol)


def _pause_s(answer: httpx.Response | httpx.TransportError, attempt: int) -> float:
    """Give the seconds to wait: what the server says, else a random part of a growing time."""
    if isinstance(answer, httpx.Response):
        for header in ("retry-after", "x-ratelimit-reset"):
            text = answer.headers.get(header, "")
            if answer.status_code == httpx.codes.TOO_MANY_REQUESTS and text.isdecimal():
                return min(float(text), _LONGEST_LIMIT_S) + random.uniform(0, 1)  # noqa: S311 - spreads callers
    longest = min(_FIRST_PAUSE_S * 2.0**attempt, _LONGEST_PAUSE_S)
    return random.uniform(longest / 2, longest)  # noqa: S311 - spreads callers


def _message(answer: httpx.Response) -> str:
    """Give the server's own words, which it sends as `{"message": …}`."""
    try:
        message = answer.json()["message"]
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase
    return str(message)
