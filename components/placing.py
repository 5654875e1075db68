"""Which host a stack has: the one place that knows all kinds of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from components.host import Host, HostArgs


def place(args: HostArgs) -> Host:
    """Declare the host that the stack asks for."""
    # Loaded on demand: the Docker SDK alone takes longer to import than everything else here.
    if args.spec.kind != "process":
        from components import swarm  # noqa: PLC0415

        return swarm.SwarmHost("host", args)
    from components import process  # noqa: PLC0415

    return process.ProcessHost("host", args)
