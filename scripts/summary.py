"""Say where a stack's parts listen. Reads `pulumi stack output --json` from standard input."""

from __future__ import annotations

import json
import sys


def summary(outputs: dict[str, object], stack: str) -> str:
    """Write the short list that ends `scripts/up`."""
    rows = [
        ("App", outputs["app_url"]),
        ("Agent", outputs["agent_url"]),
        ("Supabase API", outputs["supabase_url"]),
        ("Health", f"scripts/health {stack}"),
        ("Logs", outputs["logs"]),
        ("Stop", f"scripts/pulumi destroy --stack {stack}"),
    ]
    return "\n".join(f"  {name:<14}{value}" for name, value in rows)


if __name__ == "__main__":
    sys.stdout.write(f"\n{summary(json.load(sys.stdin), sys.argv[1])}\n")
