"""What the agent asks of a language model, and how a model's failures read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from report import CheckFailedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


class ModelError(CheckFailedError):
    """The model did not answer; the text says why and holds neither key nor the server's own words."""


@dataclass(frozen=True)
class Turn:
    """One message of a conversation."""

    role: Literal["user", "assistant"]
    content: str


class Model(Protocol):
    """A language model that answers piece by piece."""

    def stream(self, system: str, turns: Sequence[Turn]) -> AsyncIterator[str]:
        """Yield the answer to the last turn in pieces; raises ModelError, also in the middle."""
        ...

    async def check(self) -> None:
        """Tell whether the model can be reached, spending no tokens; raises ModelError."""
        ...
