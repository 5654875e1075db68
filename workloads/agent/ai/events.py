"""Server-sent events over HTTP, as both dialects stream them, and their failures in plain words.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from ai.model import ModelError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# Models think for a while before the first piece; a connection that opens slower than this is broken.
TIMEOUT = httpx.Timeout(60, connect=5)
CHECK_TIMEOUT = httpx.Timeout(2.5)
WORDS = {
    400: "refuses the request; check ai_model",
    401: "refuses the key; check the secret ai_api_key",
    403: "refuses the key; check the secret ai_api_key",
    404: "does not know the address or the model; check ai_base_url and ai_model",
    429: "is over its rate limit or out of quota",
}


def _host(url: str) -> str:
    return httpx.URL(url).netloc.decode()


def _refusal(response: httpx.Response) -> ModelError:
    words = WORDS.get(response.status_code, "failed")
    return ModelError(f"the AI service at {_host(str(response.url))} {words} (HTTP {response.status_code})")


@asynccontextmanager
async def _translated(url: str) -> AsyncIterator[None]:
    try:
        yield
    except httpx.TimeoutException:
        raise ModelError(f"the AI service at {_host(url)} did not answer in time") from None
    except (httpx.RequestError, httpx.InvalidURL):
        raise ModelError(f"the connection to the AI service at {_host(url)} failed or broke") from None


async def post(
    client: httpx.AsyncClient, url: str, headers: dict[str, str], body: dict[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    """Send a request and yield the JSON object of every event; `[DONE]` is skipped.

    Raises:
        ModelError: no connection, a refusal, a broken stream, or an event that is no JSON object.
    """
    async with (
        _translated(url),
        client.stream("POST", url, headers=headers, json=body, timeout=TIMEOUT) as response,
    ):
        if response.status_code != 200:
            raise _refusal(response)
        async for line in response.aiter_lines():
            if line.startswith("data:") and line.removeprefix("data:").strip() not in {"", "[DONE]"}:
                yield _parse(line.removeprefix("data:"), url)


def _parse(text: str, url: str) -> dict[str, Any]:
    try:
        event = json.loads(text)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise ModelError(f"the AI service at {_host(url)} sent an event that is no JSON object")
    return event


async def probe(client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> None:
    """Ask for the list of models, which is free; a server without one counts as reached.

    Raises:
        ModelError: no connection, a refused key, or a server error.
    """
    async with _translated(url):
        response = await client.get(url, headers=headers, timeout=CHECK_TIMEOUT)
    if response.status_code in {401, 403, 429} or response.status_code >= 500:
        raise _refusal(response)
