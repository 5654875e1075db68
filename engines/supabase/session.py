"""One HTTP session with the Management API: repeats, limits, and errors and log records without secrets."""

from __future__ import annotations

import functools
import json
import logging
import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from pydantic import ValidationError

from engines.redaction import redact
from engines.supabase.errors import (
    Fate,
    NotFoundError,
    UnavailableError,
    UnexpectedAnswerError,
    fate_of,
    from_status,
)
from engines.supabase.limits import LONGEST_WAIT_S, retry_after_s, wait_asked_s

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping

    from engines.supabase.errors import SupabaseError
    from engines.supabase.limits import Limiter

T = TypeVar("T")

ATTEMPTS = 6
# Settings and lists have kilobytes; a function's files may have some megabytes.
LARGEST_ANSWER = 64 * 1024 * 1024
_LONGEST_MESSAGE = 500
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
# Faults before the first byte of a request was sent, and requests that cannot be sent at all.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_HOPELESS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)

_log = logging.getLogger("engines.supabase")


@functools.cache
def tls() -> ssl.SSLContext:
    """Give the certificates that the platform is known by; to read them takes longer than a request."""
    return httpx.create_ssl_context()


@dataclass(frozen=True)
class Form:
    """A body of several parts: files, each with its name and content, and fields."""

    files: tuple[tuple[str, bytes], ...] = field(repr=False)
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        method: HTTP method.
        path: below the API's URL.
        action: what it does, for error texts: "listing the projects".
        body: sent as JSON.
        form: sent instead of JSON.
        params: query parameters.
        accept: the kind of answer that is asked for; None: any.
        secrets: values of the body that no text may show.
        repeatable: whether it may be sent again when nobody knows if it was carried out.
        timeout_s: seconds without a byte after which it counts as lost; None: the session's.
    """

    method: str
    path: str
    action: str
    body: dict[str, Any] | list[Any] | None = field(default=None, repr=False)
    form: Form | None = None
    params: dict[str, Any] | None = None
    accept: str | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    repeatable: bool = True
    timeout_s: float | None = None


@dataclass(frozen=True)
class Reply:
    """An answer that arrived whole."""

    status: int
    headers: httpx.Headers
    content: bytes = field(repr=False)

    @property
    def is_success(self) -> bool:
        """Whether it says that the request was carried out."""
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Timing:
    """How a session waits.

    Attributes:
        pause: waits a number of seconds.
        clock: tells seconds from any beginning.
        timeout_s: seconds without a byte after which a request counts as lost.
        attempts: how often a request that may be repeated is tried.
        create_timeout_s: `timeout_s` for creating a project, whose machine is made before the answer.
    """

    pause: Callable[[float], None]
    clock: Callable[[], float]
    timeout_s: float
    attempts: int = ATTEMPTS
    create_timeout_s: float = 120.0


class Session:
    """Sends calls, waits out limits and failures, and knows the secrets that no text may show.

    Several threads may use it.

    Attributes:
        service: who answers, for error texts.
        uses_token: whether the service lets callers in by `groundwork:supabase.access_token`.
    """

    service = "the Management API"
    uses_token = True

    def __init__(self, http: httpx.Client, token: str, limiter: Limiter, timing: Timing) -> None:
        """Use `http`, which has the service's URL and the token."""
        self._http = http
        self._limiter = limiter
        self._timing = timing
        self._lock = threading.Lock()
        self._secrets = frozenset({token})

    @property
    def pause(self) -> Callable[[float], None]:
        """Wait a number of seconds."""
        return self._timing.pause

    @property
    def clock(self) -> Callable[[], float]:
        """Tell the seconds since any beginning."""
        return self._timing.clock

    @property
    def create_timeout_s(self) -> float:
        """Seconds without a byte after which creating a project counts as lost."""
        return self._timing.create_timeout_s

    def hide(self, secrets: Iterable[str | None]) -> None:
        """Let no error and no log record of this session show these values."""
        with self._lock:
            self._secrets |= {secret for secret in secrets if secret}

    def send(self, call: Call) -> Any:
        """Send a call and give the answer's JSON; None for an empty one.

        Raises:
            SupabaseError: one of its kinds, by what went wrong last.
        """
        reply = self.exchange(call)
        if not reply.content:
            return None
        try:
            return json.loads(reply.content)
        except ValueError:
            raise self.unexpected(call, reply.headers.get("content-type", "no type")) from None

    def read(self, call: Call, parse: Callable[[Any], T]) -> T:
        """Send a call and make a value of its answer.

        Raises:
            SupabaseError: one of its kinds; UnexpectedAnswerError when `parse` finds something else.
        """
        raw = self.send(call)
        try:
            return parse(raw)
        except ValidationError as error:
            # Where it is wrong, never the value: it may be a key.
            where = sorted({".".join(map(str, one["loc"])) for one in error.errors(include_input=False)})
            raise self.unexpected(call, f"wrong at {', '.join(where) or 'its top'}") from None
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            what = f"{type(error).__name__} {error}" if isinstance(error, KeyError) else type(error).__name__
            raise self.unexpected(call, what) from None

    def remove(self, call: Call) -> None:
        """Send a call that deletes; what is gone already is no error."""
        try:
            self.send(call)
        except NotFoundError:
            return

    def exchange(self, call: Call) -> Reply:
        """Send a call until it succeeds, or until it must not or need not be repeated.

        Raises:
            SupabaseError: one of its kinds, by what went wrong last.
        """
        self.hide(call.secrets)
        for attempt in range(self._timing.attempts):
            outcome = self._try(call)
            if isinstance(outcome, Reply) and outcome.is_success:
                return outcome
            is_last = attempt == self._timing.attempts - 1
            if is_last or not _is_passing(outcome) or not (call.repeatable or _is_unsent(outcome)):
                break
            if pause_s := _pause_s(outcome, attempt):
                self._timing.pause(pause_s)
        raise self._error(call, outcome)

    def _try(self, call: Call) -> Reply | httpx.TransportError:
        """Send a call once, within the limit."""
        entered_at = self._limiter.enter(call.path)
        status, headers = None, httpx.Headers()
        try:
            reply = self._transfer(call)
            status, headers = reply.status, reply.headers
        except httpx.TransportError as error:
            reason = redact(str(error) or type(error).__name__, self._secrets)
            _log.debug("%s %s: %s", call.method, call.path, reason)
            return error
        except httpx.InvalidURL as error:
            return httpx.UnsupportedProtocol(str(error))
        except httpx.DecodingError:
            raise self.unexpected(call, "its compression is broken") from None
        finally:
            self._limiter.leave(call.path, status, headers, entered_at)
        _log.debug("%s %s: %d", call.method, call.path, reply.status)
        return reply

    def _transfer(self, call: Call) -> Reply:
        timeout_s = call.timeout_s or self._timing.timeout_s
        started = self._timing.clock()
        body: dict[str, Any] = {"json": call.body}
        if call.form:
            files = [("file", (name, content)) for name, content in call.form.files]
            body = {"files": files, "data": dict(call.form.fields)}
        if call.accept:
            body["headers"] = {"accept": call.accept}
        timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0))
        with self._http.stream(call.method, call.path, params=call.params, timeout=timeout, **body) as answer:
            content = bytearray()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > LARGEST_ANSWER:
                    raise self.unexpected(call, f"more than {LARGEST_ANSWER >> 20} MiB")
                if self._timing.clock() - started > 2 * timeout_s:
                    raise httpx.ReadTimeout(f"the answer is not complete after {2 * timeout_s:g} s")
            return Reply(answer.status_code, answer.headers, bytes(content))

    def unexpected(self, call: Call, what: str) -> UnexpectedAnswerError:
        """Make the error of an answer that the service would not give."""
        shown = redact(what, self._secrets)
        text = f"{call.action}: {self._http.base_url} answers unlike {self.service} ({shown})"
        error = UnexpectedAnswerError(f"{text}; check `groundwork:supabase.api_url`")
        error.fate = Fate.UNKNOWN
        return error

    def _error(self, call: Call, outcome: Reply | httpx.TransportError) -> SupabaseError:
        if isinstance(outcome, Reply):
            if outcome.status < 400:
                return self.unexpected(call, f"status {outcome.status}")
            words = redact(_message(outcome), self._secrets)
            shown = words if len(words) <= _LONGEST_MESSAGE else f"{words[:_LONGEST_MESSAGE]}…"
            text = f"{call.action} failed at {self._http.base_url}: {outcome.status} {shown}".rstrip()
            text += _doubt(call, fate_of(outcome.status))
            return from_status(outcome.status, text, advises=self.uses_token)
        reason = redact(str(outcome) or type(outcome).__name__, self._secrets)
        text = f"{call.action}: cannot reach {self._http.base_url} ({reason})"
        advice = "check `groundwork:supabase.api_url` and the network, then try again"
        fate = Fate.UNSENT if _is_unsent(outcome) else Fate.UNKNOWN
        error = UnavailableError(f"{text}{_doubt(call, fate)}; {advice}")
        error.fate = fate
        return error


def _doubt(call: Call, fate: Fate) -> str:
    return "" if call.repeatable or fate is not Fate.UNKNOWN else f"; {fate.value}"


def _is_passing(outcome: Reply | httpx.TransportError) -> bool:
    """Tell whether a failure may be gone the next time."""
    if isinstance(outcome, Reply):
        return outcome.status in {408, 429} or outcome.status >= 500
    return not isinstance(outcome, _HOPELESS)


def _is_unsent(outcome: Reply | httpx.TransportError) -> bool:
    return isinstance(outcome, (*_UNSENT, *_HOPELESS))


def _pause_s(outcome: Reply | httpx.TransportError, attempt: int) -> float:
    """Give the seconds to wait: what the server says, else a random part of a growing time.

    0 means that the limiter knows how long, and waits.
    """
    longest = min(_FIRST_PAUSE_S * 2.0**attempt, _LONGEST_PAUSE_S)
    spread = random.uniform(longest / 2, longest)  # noqa: S311 - spreads callers
    if not isinstance(outcome, Reply):
        return spread
    if outcome.status == 429:
        return 0 if wait_asked_s(outcome.headers) else spread
    # The limit's headers tell of the limit, not of this failure.
    return min(retry_after_s(outcome.headers) or 0, LONGEST_WAIT_S) + spread


def _message(reply: Reply) -> str:
    """Give the server's own words, which it sends as `{"message": …}`, at times with issues in a list."""
    phrase = httpx.codes.get_reason_phrase(reply.status)
    try:
        answer = json.loads(reply.content)
    except ValueError:
        return phrase
    body = answer.get("error", answer) if isinstance(answer, dict) else {}
    message = body.get("message") if isinstance(body, dict) else body
    if isinstance(message, list):
        message = "; ".join(map(str, message))
    return str(message) if message else phrase
