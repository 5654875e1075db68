"""What a stack tells others, secret values included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi

if TYPE_CHECKING:
    from collections.abc import Mapping


def publish(outputs: Mapping[str, Any]) -> None:
    """Export the outputs that a stack has, and keep the secret ones out of the SDK's debug messages.

    `register_resource_outputs` of the Pulumi SDK (3.259.0, runtime/resource.py) writes all of a stack's
    outputs to the debug channel, secret ones in plain. `--event-log` and `--debug` keep that channel.
    """
    pulumi.log.debug = _say_nothing
    for name, value in outputs.items():
        if value is not None:
            pulumi.export(name, value)


def _say_nothing(*_arguments: object, **_options: object) -> None:
    """Take the place of the SDK's debug messages."""
