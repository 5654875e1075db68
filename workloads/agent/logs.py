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
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from psycopg import Error as DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
        # The longest first, so that no part of one is left over; a very short one would only garble the log.
        self._secrets = sorted((one for one in known if len(one) >= SHORTEST_SECRET), key=len, reverse=True)

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
    """The outermost layer: one line per request, and the only place where an unexpected error ends."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap a whole application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and log it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, seen = time.perf_counter(), {"status": 500}
        scope.setdefault("state", {})["request_id"] = request_id = uuid.uuid4().hex

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                message.setdefault("headers", []).append((b"x-request-id", request_id.encode()))
            await send(message)

        try:
            await self._app(scope, receive, observed)
        except Exception:
            # The application has answered 500 already; raising on would print a second, unfiltered text.
            LOG.exception("unexpected error", extra={"fields": {"request_id": request_id}})
        finally:
            LOG.info("request", extra={"fields": _fields(scope, seen["status"], started)})


def _fields(scope: MutableMapping[str, Any], status: int, started: float) -> dict[str, Any]:
    state = scope["state"]
    fields = {
        "request_id": state["request_id"],
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "duration_ms": round((time.perf_counter() - started) * 1000, 1),
    }
    # Which version a caller still uses: a rotation may retire the old one when it is seen no more.
    return fields | ({"secret_version": state["secret_version"]} if "secret_version" in state else {})
