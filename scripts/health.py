"""Ask app and agent of a stack how they are. Reads `pulumi stack output --json` from standard input."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from engines import health
from engines.release.traffic import quantile


def text(report: health.Report) -> str:
    """Write a report for people, a line per check."""
    lines = [
        f"  {'ok ' if check.ok else 'BAD'}  {check.name:<20}"
        f"{check.error if not check.ok else f'{check.latency_ms or 0:.1f} ms'}"
        for check in report.checks
    ]
    traffic = [line for look in report.looks if (line := _traffic(look))]
    return "\n".join([f"{report.status} at {report.timestamp[:19]}Z", *lines, *traffic])


def _traffic(look: health.Look) -> str:
    """Say what one process of a service has counted since it started; of several, the one that answered."""
    counted = look.traffic
    if counted is None:
        return ""
    p95_s = quantile(counted, 0.95)
    speed = "" if p95_s is None else f", p95 {p95_s * 1000:.0f} ms"
    errors = f"{counted.errors} with 5xx ({counted.error_rate:.1%})"
    since = "" if look.age_s is None else f" in {look.age_s:.0f} s"
    return f"       {look.service + ' traffic':<20}{counted.requests} requests{since}, {errors}{speed}"


def main() -> int:
    """Print the report; the exit code says whether all is well."""
    outputs = json.load(sys.stdin)
    if "app_url" not in outputs:
        sys.stderr.write("this stack is not up: run scripts/up first\n")
        return 1
    report = health.check(health.Targets(app_url=outputs["app_url"], agent_url=outputs["agent_url"]))
    sys.stdout.write((json.dumps(asdict(report), indent=2) if "--json" in sys.argv else text(report)) + "\n")
    return 0 if report.status == "healthy" else 1


if __name__ == "__main__":
    sys.exit(main())
