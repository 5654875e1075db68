"""`python -m scripts.engine`: what scripts/bootstrap does once it has found a Python that will do."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scripts.engine import engine, virtualenv
from scripts.engine.console import SetupError, say

ROOT = Path(__file__).resolve().parents[2]
_ORIGINS = {"path": "from PATH", "release": "release archive", "build": "built from Go modules"}


def main() -> int:
    """Set up what is missing, and give the exit code."""
    parser = argparse.ArgumentParser(
        "scripts/bootstrap", description="Set up the virtualenv and the Pulumi engine."
    )
    parser.add_argument("--dev", action="store_true", help="install the tools of tests and checks, too")
    parser.add_argument("--quiet", action="store_true", help="say nothing when everything is there")
    options = parser.parse_args()
    try:
        virtualenv.provide(ROOT, dev=options.dev)
        found = engine.provide(ROOT)
    except (SetupError, OSError) as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("stopped; run it again to go on")
        return 130
    if not options.quiet:
        python = ".".join(map(str, sys.version_info[:3]))
        say(f"ready: Python {python}, Pulumi {found.version} ({_ORIGINS[found.origin]})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
