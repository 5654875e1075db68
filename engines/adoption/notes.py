"""What the one who adopts a project has to know beside the stack file."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Notes:
    """Collected while a project is described.

    Attributes:
        left: what the stack file leaves out, and why; it stays as it is on the platform.
        secrets: keys below `groundwork:supabase` whose values cannot be read, as paths.
        steps: what to do next, a line each.
    """

    left: list[str] = field(default_factory=list)
    secrets: list[tuple[str, ...]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def leave(self, what: str, why: str) -> None:
        """Note what is left out."""
        self.left.append(f"{what}: {why}")
