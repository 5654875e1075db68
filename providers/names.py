"""Names of things that cannot change: each new content gets a new name, which says nothing about it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CreateResult, Resource, UpdateResult

from providers._crud import EngineProvider, Props

if TYPE_CHECKING:
    from collections.abc import Mapping

# Docker's limit for the names of secrets and configs.
_LONGEST = 64
_BYTES = 6


class ContentNamesProvider(EngineProvider):
    """Keeps the name of what stays as it is, and makes one for what is new or changed."""

    def create(self, props: Props) -> CreateResult:
        """Name everything."""
        return CreateResult(props["prefix"], _outputs(props, {}))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Name what changed."""
        same = {
            key: olds["names"][key]
            for key, digest in news["contents"].items()
            if olds["prefix"] == news["prefix"] and olds["contents"].get(key) == digest
        }
        return UpdateResult(_outputs(news, same))


def _outputs(props: Props, kept: Mapping[str, str]) -> dict[str, Any]:
    names = {key: kept.get(key) or _fresh(f"{props['prefix']}-{key}") for key in props["contents"]}
    return {**props, "names": names}


def _fresh(readable: str) -> str:
    """Make a name that nobody had; of a long one, the end of what can be read is cut off."""
    suffix = secrets.token_hex(_BYTES)
    return f"{readable[: _LONGEST - len(suffix) - 1].rstrip('-_.')}-{suffix}"


class ContentNames(Resource, module="groundwork", name="ContentNames"):
    """Names by content.

    A name ends in random digits, not in a digest: names are public, and a digest of a value that can be
    guessed gives it away. And content that comes back after a change gets a new name again: what had the old
    one may still be there, for a release that was rolled back holds on to it.

    Attributes:
        names: key → name, at most 64 characters.
    """

    names: pulumi.Output[dict[str, str]]

    def __init__(
        self,
        name: str,
        *,
        prefix: str,
        contents: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the names below `prefix` of what `contents` tells by digests (secret ones stay so)."""
        props = {"prefix": prefix, "contents": dict(contents), "names": None}
        super().__init__(ContentNamesProvider(), name, props, opts)
