"""What both HTTP dialects are configured with."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Options:
    """Where a model is and how it is asked.

    Attributes:
        model: the provider's name of the model.
        base_url: None: the provider's public address.
        api_key: empty: none is sent.
        max_tokens: upper limit of one reply.
    """

    model: str
    base_url: str | None
    api_key: str = field(repr=False)
    max_tokens: int
