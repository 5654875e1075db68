"""What callers feel of releases: 200 requests a second through app, agent and database, on a Swarm of one.

Each request goes caller → proxy → app → proxy → agent → database and back. While they keep coming, one
after another: a new image of both services, a rotation of every secret, an expand and a contract migration, a
killed replica of the app and then of the agent, an image that does not start, and the retirement of what was
rotated. Aims: no request fails in any of them; p99 within twice that of the quiet time at the beginning; the
old secret is refused within 5 s of its retirement. Needs a Docker engine, as the tests do
(docs/docker-tests.md).

All of it shares one machine. What would be elsewhere, the update and the building of images, may take only
what the product leaves; and containers get the processor by their number: where cgroups of version 1 hold all
of them in one, the kernel would give that one no more than the load generator alone.

usage: scripts/bench benchmarks/release.py [RATE]
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import httpx
from pulumi import automation as auto

from engines import content
from tests import load
from tests.docker import base
from tests.docker.fix_docker import address_of_this_machine
from tests.fix_program import remove_copies
from tests.polling import until
from tests.release.fix_release import GIVEN, Release, running_release
from tests.up.fix_local import exported, resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTAINERS = Path("/sys/fs/cgroup/cpu/docker/cpu.shares")
# Of one process or group of processes: the kernel's default.
SHARES = 1024
# The product has five, and twice its services while they are exchanged.
MOST_CONTAINERS = 10
RATE = 200
WARM_S = 10
QUIET_S = 20
PLANTED = 'raise SystemExit("planted")\n'
SECRET = "agent_shared_secret"  # noqa: S105 - a name


class Story:
    """What happens to the product, step by step."""

    def __init__(self, release: Release) -> None:
        """Take the product, healthy and quiet."""
        self._release = release
        self._old = ""
        self.refused_after = 0.0

    def quiet(self) -> None:
        """Change nothing."""
        time.sleep(QUIET_S)

    def change(self) -> None:
        """Change both services, and build their images: here for want of a machine that builds."""
        for name in ("app", "agent"):
            self._release.edit(f"workloads/{name}/main.py", '"""', f'"""{name}: new. ')
            self._build(name)

    def _build(self, name: str) -> None:
        """Build an image as the update will: that finds it built."""
        folder = self._release.folder / "workloads" / name
        given = {"VERSION": content.digest([folder]), "COMMIT": content.commit(folder), "BASE": base.BASE}
        self._release.docker.images.build(path=str(folder), buildargs=given)

    def rotate(self) -> None:
        """Raise the version of every secret."""
        versions = self._release.outputs()["secret_versions"]
        values = resource(exported(self._release), SECRET)["outputs"]["values"]["plaintext"]
        self._old = json.loads(values)[str(versions[SECRET])]
        for name in versions.keys() - set(GIVEN):
            self._release.set(f"secrets.{name}.version", str(versions[name] + 1))
        for name in GIVEN:
            self._release.give(name, versions[name] + 1)
        self._release.up()

    def migrate(self) -> None:
        """Widen a table, and narrow it behind the gate."""
        folder = self._release.folder / "migrations"
        (folder / "090_wide.sql").write_text("create table private.wide (old int, new int);\n")
        text = "-- groundwork: phase=contract\nalter table private.wide drop column old;\n"
        (folder / "091_narrow.sql").write_text(text)
        self._release.up()

    def kill(self) -> None:
        """Kill a replica, of one service after the other, and wait each time until the new one is well."""
        for name in ("app", "agent"):
            self._kill_one(name)

    def _kill_one(self, name: str) -> None:
        before = self._well(name)
        victim = min(before)
        self._release.docker.containers.get(victim).kill()
        until(lambda: victim not in self._well(name), 120, what="its end")
        until(lambda: len(self._well(name)) == len(before), 120, what="a new replica")

    def _well(self, name: str) -> set[str]:
        return {one.id for one in self._release.containers(name) if one.health == "healthy"}

    def break_app(self) -> None:
        """Make the app end when it starts, and build its image."""
        self._release.edit("workloads/app/main.py", "api = FastAPI(", f"{PLANTED}api = FastAPI(")
        self._build("app")

    def fail(self) -> None:
        """Roll out an image that does not start; the Swarm turns it back."""
        try:
            self._release.up()
        except auto.CommandError as error:
            if "non-zero exit" not in str(error):
                raise
            self._release.edit("workloads/app/main.py", PLANTED, "")
        else:
            raise AssertionError("an image that does not start was rolled out")

    def retire(self) -> None:
        """Accept the new versions only, and ask with the old one from the end of the update on."""
        self._release.set(f"secrets.{SECRET}.accept", "[]")
        until(self._may_retire, 60, what="the old version to be out of use")
        ended = time.monotonic()
        url = f"{self._release.outputs()['agent_url']}/probe"
        headers = {"authorization": f"Bearer {self._old}"}
        answers = [httpx.get(url, headers=headers).status_code for _ in range(20)]
        while set(answers[-20:]) != {401}:
            answers.append(httpx.get(url, headers=headers).status_code)
        self.refused_after = time.monotonic() - ended

    def _may_retire(self) -> bool:
        try:
            self._release.up()
        except auto.CommandError as error:
            if "retire" not in str(error) and "in use" not in str(error):
                raise
            return False
        return True


def tell(running: load.Load, steps: dict[str, Callable[[], object]]) -> None:
    """Run the steps under the load and print what callers felt in each."""
    spans: dict[str, tuple[float, float]] = {}
    for name, step in steps.items():
        since = time.monotonic()
        step()
        spans[name] = (since, time.monotonic())
    running.stop()
    quiet = running.phase(*spans["quiet"]).p99
    print(f"{'step':22} {'seconds':>8} {'requests':>9} {'failed':>7} {'p99 ms':>8} {'x quiet':>8}")
    for name, (since, end) in spans.items():
        felt = running.phase(since, end)
        answers = sorted({shot.answer for shot in felt.failed})
        print(
            f"{name:22} {end - since:8.1f} {felt.requests:9} {len(felt.failed):7} "
            f"{felt.p99 * 1000:8.1f} {felt.p99 / quiet:8.2f}  {' '.join(answers)}"
        )


@contextlib.contextmanager
def copies_removed() -> Iterator[None]:
    """Leave no copy of the program behind."""
    try:
        yield
    finally:
        remove_copies()


@contextlib.contextmanager
def weighed() -> Iterator[None]:
    """Give containers shares by their number, where there is such a group."""
    before = CONTAINERS.read_text() if CONTAINERS.exists() else ""
    if before:
        CONTAINERS.write_text(str(SHARES * MOST_CONTAINERS))
    try:
        yield
    finally:
        if before:
            CONTAINERS.write_text(before)


def main(rate: int) -> None:
    """Bring the product up, tell its story, and take it down."""
    client = docker.from_env()
    running = running_release(client, base.ensure(client), address_of_this_machine(client))
    with copies_removed(), weighed(), running as release:
        # The tests ask more often, so that they take less time; here it is as by default.
        release.set("host.docker.check_interval", "5s")
        release.up()
        story = Story(release)
        with load.running(release.probe, rate) as asking:
            until(asking.shots, what="a first answer")
            # Connections, prepared statements and caches of the new containers.
            time.sleep(WARM_S)
            # Updates come from elsewhere than the Swarm: here they may take only what the product leaves.
            os.nice(19)
            steps: dict[str, Callable[[], object]] = {
                "quiet": story.quiet,
                "images built here": story.change,
                "new image": release.up,
                "every secret rotated": story.rotate,
                "expand and contract": story.migrate,
                "replicas killed": story.kill,
                "another built": story.break_app,
                "image that fails": story.fail,
                "retirement": story.retire,
            }
            tell(asking, steps)
        print(f"the old secret was refused {story.refused_after:.2f} s after the update ended (aim: 5)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RATE)
