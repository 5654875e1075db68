"""What a Swarm keeps for its containers: secrets, each under a name of its own."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, cast

import pulumi
import pulumi_docker as docker

from providers.names import ContentNames

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.host import Text


def named(
    name: str, prefix: str, contents: Mapping[str, Text], opts: pulumi.ResourceOptions
) -> dict[str, pulumi.Output[str]]:
    """Name contents of a service: a changed one gets a new name, for a Swarm changes nothing it stores."""
    digests = {key: pulumi.Output.secret(value).apply(_digest) for key, value in contents.items()}
    names = ContentNames(f"{name}-names", prefix=f"{prefix}-{name}", contents=digests, opts=opts).names
    return {key: _of(names, key) for key in contents}


def secrets(
    name: str,
    names: Mapping[str, pulumi.Output[str]],
    values: Mapping[str, Text],
    opts: pulumi.ResourceOptions,
) -> dict[str, docker.Secret]:
    """Store values; a changed one is stored beside the old one, which goes once no service holds it."""
    return {
        key: docker.Secret(
            f"{name}-{key}",
            name=names[key],
            data=pulumi.Output.secret(value).apply(encoded),
            opts=opts,
        )
        for key, value in values.items()
    }


def encoded(text: str) -> str:
    """Write a text as the engine takes it, in Base64."""
    return base64.b64encode(text.encode()).decode()


def _of(names: pulumi.Output[dict[str, str]], key: str) -> pulumi.Output[str]:
    return cast("pulumi.Output[str]", names.apply(lambda found: found[key]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
