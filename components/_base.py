"""What all components share: the token, names and options of children, the log address of dynamic ones."""

from __future__ import annotations

from typing import Any

import pulumi

_DYNAMIC = "pulumi-python:dynamic/groundwork"


class Component(pulumi.ComponentResource):
    """A group of resources under one name.

    Attributes:
        token: `groundwork:<module>:<Type>`; stored in every state, so it changes only with an alias.
    """

    token: str = ""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the component; its children follow."""
        super().__init__(self.token, name, None, opts)
        self._name = name
        self._after = pulumi.ResourceOptions(depends_on=opts.depends_on if opts else None)

    def named(self, role: str) -> str:
        """Name a child."""
        return f"{self._name}-{role}"

    def under(self, *more: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions:
        """Give the options of a child: this parent, what it depends on, and whatever else is asked for."""
        options = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=self), self._after)
        for other in more:
            options = pulumi.ResourceOptions.merge(options, other)
        return options

    def log_urn(self, kind: str, name: str) -> str:
        """Say where a dynamic child's messages belong; a dynamic provider is not told its own URN."""
        stack, project = pulumi.get_stack(), pulumi.get_project()
        return f"urn:pulumi:{stack}::{project}::{self.token}${_DYNAMIC}:{kind}::{name}"

    def finish(self, **outputs: Any) -> None:
        """Publish the outputs; the last thing a constructor does."""
        self.register_outputs(outputs)
