"""Services that speak OpenAI's chat completions: OpenAI, and the many servers that copied its interface.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai import events
from ai.model import ModelError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import httpx

    from ai.model import Turn
    from ai.options import Options

DEFAULT_URL = "https://api.openai.com/v1"


class OpenAI:
    """A model behind POST {base}/chat/completions."""

    def __init__(self, client: httpx.AsyncClient, options: Options) -> None:
        """Remember where and what to ask."""
        self._client = client
        self._options = options
        self._base = (options.base_url or DEFAULT_URL).rstrip("/")
        self._headers = {"Authorization": f"Bearer {options.api_key}"} if options.api_key else {}

    async def stream(self, system: str, turns: Sequence[Turn]) -> AsyncIterator[str]:
        """Yield the pieces of the first choice."""
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        body = {
            "model": self._options.model,
            "messages": [{"role": "system", "content": system}, *messages],
            "max_completion_tokens": self._options.max_tokens,
            "stream": True,
        }
        finished = False
        async for event in events.post(self._client, f"{self._base}/chat/completions", self._headers, body):
            piece, ends = _read(event)
            finished = finished or ends
            if piece:
                yield piece
        if not finished:
            raise ModelError("the AI service ended its answer in the middle")

    async def check(self) -> None:
        """Ask for the list of models."""
        await events.probe(self._client, f"{self._base}/models", self._headers)


def _read(event: dict[str, Any]) -> tuple[str, bool]:
    """Take the piece of text out of an event, and whether it is the last one."""
    if "error" in event:
        raise ModelError("the AI service reported an error in the middle of its answer")
    # The closing usage event has no choice at all.
    choices = event.get("choices") or [{}]
    delta = choices[0].get("delta") or {}
    return delta.get("content") or "", bool(choices[0].get("finish_reason"))
