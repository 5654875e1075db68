"""One JSON line per event on standard output, without secrets, query strings or users' texts.

App and agent have the same module: each image is built from its own folder alone.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from psycopg import Error as DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from traffic import Traffic

LOG = logging.getLogger("access")
SHORTEST_SECRET = 4


def describe(error: BaseException) -> dict[str, Any]:
    """Say what failed and where; of a database error only its code and first line, for details quote rows."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    text = str(error)
    if isinstance(error, DatabaseError):
        text = f"{error.sqlstate}: {error.diag.message_primary}" if error.sqlstate else text
    return {
        "error": f"{type(error).__module__}.{type(error).__qualname__}",
        "reason": text,
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _password(url: str) -> str | None:
    try:
        return unquote(urlsplit(url).password or "") or None
    except ValueError:
        return None


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object; whatever equals a known secret becomes `[secret]`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Remember the secrets, and the passwords inside those which are URLs."""
        super().__init__()
        known = list(secrets)
        known += [password for url in known if (password := _password(url))]
        # As JSON writes them: quotes, backslashes and ends of lines look different in a record.
        shown = (json.dumps(one, ensure_ascii=False)[1:-1] for one in known)
        # The longest first, so that no part of one is left over; a very short one would only garble the log.
        self._secrets = sorted((one for one in shown if len(one) >= SHORTEST_SECRET), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """Give the line of one record."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1]:
            entry |= describe(record.exc_info[1])
        line = json.dumps(entry, ensure_ascii=False, default=str)
        for secret in self._secrets:
            line = line.replace(secret, "[secret]")
        return line


def configure(secrets: Iterable[str]) -> None:
    """Send every logger of the process, the server's included, through one JSON handler."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(secrets))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"  # it would log query strings; AccessLog speaks instead
    # Both tell of every single call.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("psycopg.pool").setLevel(logging.WARNING)


class AccessLog:
    """The outermost layer: logs and counts requests, and is the only place where unexpected errors end."""

    def __init__(self, app: ASGIApp, traffic: Traffic) -> None:
        """Wrap a whole application, and take what counts its requests."""
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and log it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        seen = _Seen()
        scope.setdefault("state", {})["request_id"] = request_id = uuid.uuid4().hex

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status, seen.wait_s = message["status"], time.perf_counter() - started
                message.setdefault("headers", []).append((b"x-request-id", request_id.encode()))
            await send(message)

        try:
            await self._app(scope, receive, observed)
        except Exception:
            # The application has answered 500 already; raising on would print a second, unfiltered text.
            seen.broken = True
            LOG.exception("unexpected error", extra={"fields": {"request_id": request_id}})
        finally:
            took = time.perf_counter() - started
            failed = seen.broken or seen.status >= 500
            self._traffic.add(scope["path"], took if seen.wait_s is None else seen.wait_s, failed=failed)
            LOG.info("request", extra={"fields": _fields(scope, seen.status, took)})


@dataclass
class _Seen:
    """What became of a request; `wait_s`: until its answer began, None: it never did."""

    status: int = 500
    wait_s: float | None = None
    broken: bool = False


def _fields(scope: MutableMapping[str, Any], status: int, took: float) -> dict[str, Any]:
    state = scope["state"]
    fields = {
        "request_id": state["request_id"],
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "duration_ms": round(took * 1000, 1),
    }
    # Which version a caller still uses: a rotation may retire the old one when it is seen no more.
    return fields | ({"secret_version": state["secret_version"]} if "secret_version" in state else {})
