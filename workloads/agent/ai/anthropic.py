"""Services that speak Anthropic's messages interface.

https://docs.anthropic.com/en/api/messages-streaming
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai import events
from ai.model import ModelError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import httpx

    from ai.model import Turn
    from ai.options import Options

DEFAULT_URL = "https://api.anthropic.com"
API_VERSION = "2023-06-01"


class Anthropic:
    """A model behind POST {base}/v1/messages."""

    def __init__(self, client: httpx.AsyncClient, options: Options) -> None:
        """Remember where and what to ask."""
        self._client = client
        self._options = options
        self._base = (options.base_url or DEFAULT_URL).rstrip("/")
        self._headers = {"x-api-key": options.api_key, "anthropic-version": API_VERSION}

    async def stream(self, system: str, turns: Sequence[Turn]) -> AsyncIterator[str]:
        """Yield the pieces of the text blocks."""
        body = {
            "model": self._options.model,
            "system": system,
            "messages": [{"role": turn.role, "content": turn.content} for turn in turns],
            "max_tokens": self._options.max_tokens,
            "stream": True,
        }
        async for event in events.post(self._client, f"{self._base}/v1/messages", self._headers, body):
            if event.get("type") == "error":
                raise ModelError("the AI service reported an error in the middle of its answer")
            if event.get("type") == "message_stop":
                return
            piece = (event.get("delta") or {}).get("text")
            if piece:
                yield piece
        raise ModelError("the AI service ended its answer in the middle")

    async def check(self) -> None:
        """Ask for the list of models."""
        await events.probe(self._client, f"{self._base}/v1/models", self._headers)
