"""pg_net's worker, as a client of the project's database: sends the queued requests and stores the answers.

As pg_net 0.20 does it (README and behaviour of supabase/pg_net): requests are taken from the queue and
committed before they are sent, so a crash loses them rather than sends them twice; answers are kept for
`pg_net.ttl`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import time
from dataclasses import dataclass

import httpx
import psycopg
from psycopg.rows import class_row

APPLICATION_NAME = "pg_net worker"
CHANNEL = "pg_net"
# Without a wake-up: how soon a row is found that somebody put into the queue by hand, or a new extension is.
POLL_S = 1.0
LAST_PORT = 65535
_USER_AGENT = "pg_net/0.20.0"
_log = logging.getLogger(__name__)
# httpx logs every URL, and a URL's query may hold a secret.
logging.getLogger("httpx").setLevel(logging.WARNING)

_TAKE = b"""
with taken as (
    select id from net.http_request_queue order by id
    limit coalesce(nullif(current_setting('pg_net.batch_size', true), ''), '200')::int
    for update skip locked
)
delete from net.http_request_queue as q using taken where q.id = taken.id
returning q.id, q.method, q.url, q.timeout_milliseconds as timeout_ms, q.body,
    array(select array[key, value] from jsonb_each_text(q.headers)) as headers
"""
_STORE = b"""
insert into net._http_response (id, status_code, content_type, headers, content, timed_out, error_msg)
values (%(id)s, %(status_code)s, %(content_type)s, %(headers)s, %(content)s, %(timed_out)s, %(error_msg)s)
"""
_EXPIRE = b"""
delete from net._http_response
where created < now() - coalesce(nullif(current_setting('pg_net.ttl', true), ''), '6 hours')::interval
"""


class RestartError(Exception):
    """Somebody called net.worker_restart()."""


@dataclass(frozen=True)
class Request:
    """A row of the queue. `headers` are pairs of name and value; `timeout_ms` covers the whole exchange."""

    id: int
    method: str
    url: str
    timeout_ms: int
    body: bytes | None
    headers: list[list[str]]


@dataclass(frozen=True)
class Answer:
    """What is stored about a request: an HTTP answer, or why there is none."""

    status_code: int | None = None
    content_type: str | None = None
    headers: str | None = None
    content: str | None = None
    timed_out: bool = False
    error_msg: str | None = None


class Sender:
    """Sends what is queued in one database while the session lives."""

    def __init__(self, session: psycopg.AsyncConnection) -> None:
        """Remember where the queue is.

        Args:
            session: an autocommit session of the role `postgres` (`pg_net.username` on the platform).
        """
        self.session = session

    async def run(self) -> None:
        """Send requests as they are committed, for ever.

        Raises:
            psycopg.Error: the session broke.
            RestartError: the worker shall begin anew.
        """
        await self.session.execute(f"listen {CHANNEL}".encode())
        # No proxy of the environment: the queue's URLs are for this process, as for a server's.
        async with httpx.AsyncClient(trust_env=False, timeout=None, follow_redirects=True) as client:  # noqa: S113 - each request has its own time limit
            while True:
                if not await self._send_batch(client):
                    await self._wait()

    async def _send_batch(self, client: httpx.AsyncClient) -> bool:
        """Send a batch, if the extension is there; tell whether there was anything to do."""
        if not await self._is_installed():
            return False
        await self.session.execute(_EXPIRE)
        requests = await self._take()
        await asyncio.gather(*(self._handle(client, request) for request in requests))
        return bool(requests)

    async def _is_installed(self) -> bool:
        query = "select to_regclass('net.http_request_queue') is not null"
        row = await (await self.session.execute(query)).fetchone()
        return row is not None and row[0] is True

    async def _take(self) -> list[Request]:
        async with self.session.cursor(row_factory=class_row(Request)) as cursor:
            await cursor.execute(_TAKE)
            return await cursor.fetchall()

    async def _wait(self) -> None:
        async for notice in self.session.notifies(timeout=POLL_S, stop_after=1):
            if notice.payload == "restart":
                raise RestartError

    async def _handle(self, client: httpx.AsyncClient, request: Request) -> None:
        answer = await send(client, request)
        try:
            await self.session.execute(_STORE, {"id": request.id, **vars(answer)})
        except psycopg.Error:
            if self.session.closed:
                raise
            # A trigger of the project's own on the table, for one: the other answers are still wanted.
            _log.warning("the answer to request %d could not be stored", request.id, exc_info=True)


async def send(client: httpx.AsyncClient, request: Request) -> Answer:
    """Send one request; whatever goes wrong becomes the answer's `error_msg`, in curl's words if any."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(request.timeout_ms / 1000 if request.timeout_ms > 0 else None):
            return _answer(await client.send(_build(request), stream=False))
    except TimeoutError:
        spent = (time.monotonic() - started) * 1000
        message = f"Timeout of {request.timeout_ms} ms reached. Total time: {spent:f} ms"
        return Answer(timed_out=True, error_msg=message)
    except Exception as error:  # noqa: BLE001 - a request that breaks a library must not end the worker
        return Answer(error_msg=_reason(error))


def _build(request: Request) -> httpx.Request:
    given = [(name.encode(), value.encode()) for name, value in request.headers]
    named = {name.lower() for name, _ in given}
    own = [(b"accept", b"*/*"), (b"user-agent", _USER_AGENT.encode())]
    headers = [*given, *(pair for pair in own if pair[0] not in named)]
    url = httpx.URL(request.url)
    if (url.port or 0) > LAST_PORT:
        raise httpx.InvalidURL("no such port")
    return httpx.Request(request.method.upper(), url, headers=headers, content=request.body)


def _answer(response: httpx.Response) -> Answer:
    # PostgreSQL's text holds no zero byte and only valid UTF-8.
    headers = {
        name.decode("latin-1"): value.decode("latin-1").replace("\0", "")
        for name, value in response.headers.raw
    }
    text = response.content.decode("utf-8", "replace").replace("\0", "")
    return Answer(
        status_code=response.status_code,
        content_type=response.headers.get("content-type"),
        headers=json.dumps(headers),
        content=text or None,
    )


def _reason(error: Exception) -> str:
    """Name an error as curl_easy_strerror() would (libcurl-errors(3))."""
    causes = list(_causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "Could not resolve hostname"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "SSL peer certificate or SSH remote key was not OK"
    for kind, text in _REASONS.items():
        if isinstance(error, kind):
            return text
    return f"{type(error).__name__}: {error}"


_REASONS: dict[type[Exception], str] = {
    httpx.ConnectError: "Could not connect to server",
    httpx.UnsupportedProtocol: "Unsupported protocol",
    httpx.InvalidURL: "URL using bad/illegal format or missing URL",
    httpx.TooManyRedirects: "Number of redirects hit maximum amount",
    httpx.RemoteProtocolError: "Server returned nothing (no headers, no data)",
    httpx.ReadError: "Failure when receiving data from the peer",
    httpx.WriteError: "Failed sending data to the peer",
}


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
