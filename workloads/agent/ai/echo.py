"""The model of stacks without an account: it repeats, word by word and always the same way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from ai.model import Turn

WORD_PAUSE_S = 0.01


class Echo:
    """Answers `You said: …` with the words of the last turn."""

    async def stream(self, system: str, turns: Sequence[Turn]) -> AsyncIterator[str]:
        """Yield one word at a time, with a pause, as a real model would."""
        del system
        for position, word in enumerate(["You", "said:", *turns[-1].content.split()]):
            await asyncio.sleep(WORD_PAUSE_S)
            yield f" {word}" if position else word

    async def check(self) -> None:
        """Succeed: nothing has to be reached."""
