"""scripts/bootstrap on an imitated machine."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

from scripts.engine import build, release
from tests.scripts.machine import (
    ARCHIVE,
    DEADLINE_S,
    ROOT,
    VERSION,
    WHEEL,
    fake_go,
    kill,
    release_archive,
    require,
    until_line,
    wheel,
)

if TYPE_CHECKING:
    from tests.scripts.machine import Machine, ReleaseServer


class TestRelease:
    """The engine from the release archive."""

    @pytest.fixture(autouse=True)
    def _ready(self, machine: Machine) -> None:
        machine.have_virtualenv()
        machine.pin(release_archive())

    def test_a_pinned_archive_is_installed(self, machine: Machine, server: ReleaseServer) -> None:
        """The archive is downloaded, checked, and kept in the per-user cache under its version."""
        server.files[ARCHIVE] = release_archive()

        code, output = machine.bootstrap()

        assert code == 0, output
        assert server.requests == [f"/{ARCHIVE}"]
        assert f"Pulumi {VERSION} (release archive)" in output
        assert (machine.root / ".venv" / "engine").resolve() == machine.cache / f"pulumi-{VERSION}" / "bin"
        assert os.access(machine.cache / f"pulumi-{VERSION}" / "bin" / "pulumi-language-python", os.X_OK)

    def test_a_second_run_does_nothing(self, machine: Machine, server: ReleaseServer) -> None:
        """When all is there, nothing is asked, started or written, and nothing is said with --quiet."""
        server.files[ARCHIVE] = release_archive()
        machine.bootstrap()
        before, calls = machine.tree(), (machine.home / "calls").read_text()

        assert machine.bootstrap("--quiet") == (0, "")
        assert machine.tree() == before
        assert (machine.home / "calls").read_text() == calls
        assert len(server.requests) == 1

    def test_a_file_with_another_sum_is_refused(self, machine: Machine, server: ReleaseServer) -> None:
        """A changed archive is never used, nor worked around: the bootstrap stops and shows both sums."""
        fake_go(machine)
        changed = server.files[ARCHIVE] = release_archive("3.300.1")

        code, output = machine.bootstrap()

        assert code == 1
        assert "is not the archive that scripts/engine/sha256sums pins, and was not used" in output
        assert f"found  {hashlib.sha256(changed).hexdigest()}" in output
        assert [path.name for path in machine.cache.iterdir()] == ["lock"]
        assert not (machine.home / "go-calls").exists()

    def test_an_archive_with_another_version_inside_is_refused(
        self, machine: Machine, server: ReleaseServer
    ) -> None:
        """An engine must say that it is the version which was pinned."""
        server.files[ARCHIVE] = release_archive("3.301.0")
        machine.pin(server.files[ARCHIVE])

        code, output = machine.bootstrap()

        assert code == 1
        assert f"the engine that was made says it is 3.301.0, not {VERSION}" in output

    def test_two_at_once_download_once(self, machine: Machine, server: ReleaseServer) -> None:
        """The second bootstrap waits for the first, says so, and finds the work done."""
        server.files[ARCHIVE] = release_archive()
        server.gate.clear()

        with machine.start() as first:
            assert server.asked.wait(DEADLINE_S)
            with machine.start() as second:
                until_line(second, "another bootstrap is at work; waiting for it")
                server.gate.set()
                second.communicate(timeout=DEADLINE_S)
            first.communicate(timeout=DEADLINE_S)

        assert (first.returncode, second.returncode) == (0, 0)
        assert len(server.requests) == 1

    def test_killed_in_the_middle_it_starts_anew(self, machine: Machine, server: ReleaseServer) -> None:
        """A kill during the download leaves no engine; the next run makes one and clears the rest."""
        server.files[ARCHIVE] = release_archive()
        server.gate.clear()
        process = machine.start()
        assert server.asked.wait(DEADLINE_S)

        kill(process)
        assert not (machine.cache / f"pulumi-{VERSION}").exists()
        server.gate.set()
        code, _ = machine.bootstrap()

        assert code == 0
        assert sorted(path.name for path in machine.cache.iterdir()) == ["lock", f"pulumi-{VERSION}"]

    def test_the_cache_serves_a_second_clone(self, machine: Machine, server: ReleaseServer) -> None:
        """An engine in the cache is used without a question to the network."""
        machine.have_engine()

        code, _ = machine.bootstrap()

        assert (code, server.requests) == (0, [])

    def test_a_cache_that_cannot_be_written_is_named(self, machine: Machine) -> None:
        """The message says which folder is at fault."""
        (machine.home / ".cache").write_text("a file")

        code, output = machine.bootstrap()

        assert code == 1
        assert str(machine.home / ".cache" / "groundwork") in output
        assert "Traceback" not in output


class TestBuild:
    """The build from Go modules; `go` is an imitation (the real build takes minutes)."""

    @pytest.fixture(autouse=True)
    def _ready(self, machine: Machine) -> None:
        machine.have_virtualenv()

    def test_a_missing_archive_is_built_instead(self, machine: Machine, server: ReleaseServer) -> None:
        """What the server does not have is said with its answer, and built."""
        machine.pin(b"something")
        fake_go(machine)

        code, output = machine.bootstrap()

        assert code == 0, output
        assert server.requests == [f"/{ARCHIVE}"]
        assert "the release archive cannot be had; building instead" in output
        assert "404" in output
        assert "(built from Go modules)" in output
        programs = {path.name for path in (machine.root / ".venv" / "engine").iterdir()}
        assert programs == {"pulumi", "pulumi-language-python"} | {
            name.split("/")[-1] for name in build.HELPERS
        }

    def test_a_refused_connection_is_built_instead(self, machine: Machine) -> None:
        """A network without the release server is no dead end."""
        machine.pin(b"something")
        machine.environment["GROUNDWORK_PULUMI_RELEASES"] = "http://127.0.0.1:1"
        fake_go(machine)

        code, output = machine.bootstrap()

        assert code == 0
        assert "the release archive cannot be had; building instead" in output

    def test_a_platform_without_a_sum_is_built(self, machine: Machine, server: ReleaseServer) -> None:
        """Nothing is downloaded that cannot be checked."""
        (machine.root / "scripts" / "engine" / "sha256sums").write_text("")
        fake_go(machine)

        code, output = machine.bootstrap()

        assert (code, server.requests) == (0, [])
        assert f"no release archive is pinned for {release.this_platform()}; building instead" in output

    def test_a_build_that_fails_shows_why(self, machine: Machine) -> None:
        """The message has the end of Go's output, and nothing is left behind."""
        (machine.root / "scripts" / "engine" / "sha256sums").write_text("")
        machine.tool(
            "go", 'case "$1" in version) echo go version go1.26.8;; *) echo no space left >&2; exit 3;; esac'
        )

        code, output = machine.bootstrap()

        assert code == 1
        assert "building the engine failed" in output
        assert "no space left" in output
        assert [path.name for path in machine.cache.iterdir()] == ["lock"]


class TestPath:
    """A pulumi that the user has installed."""

    @pytest.fixture(autouse=True)
    def _ready(self, machine: Machine) -> None:
        machine.have_virtualenv()
        machine.pin(b"something")
        machine.have_engine()

    def test_a_new_one_is_used(self, machine: Machine) -> None:
        """An engine on PATH goes before everything else."""
        machine.tool("pulumi", "echo v3.400.0")
        machine.tool("pulumi-language-python", "")

        assert "Pulumi 3.400.0 (from PATH)" in machine.bootstrap()[1]

    @pytest.mark.parametrize(
        ("version", "reason"),
        [
            ("v3.100.0", "its version is 3.100.0, and 3.2"),
            ("v4.0.0", "its version is 4.0.0, and 3.2"),
            ("", "its version is unknown"),
            ("v3.400.0", "pulumi-language-python, which comes with it, is not there"),
        ],
    )
    def test_an_unsuitable_one_is_not_used(self, machine: Machine, version: str, reason: str) -> None:
        """An old, foreign, broken or incomplete engine is passed over, with the reason."""
        machine.tool("pulumi", f"echo {version}")

        _, output = machine.bootstrap()

        assert f"{machine.tools / 'pulumi'} is not used: {reason}" in output
        assert f"Pulumi {VERSION}" in output


class TestVirtualenv:
    """The virtualenv from hash-pinned requirements."""

    @pytest.fixture(autouse=True)
    def _ready(self, machine: Machine) -> None:
        machine.pin(b"something")
        machine.have_engine()

    def test_requirements_are_installed_once(self, machine: Machine, server: ReleaseServer) -> None:
        """A lock file is installed when it is new or has changed; --dev adds the second one."""
        server.files[WHEEL] = wheel()
        require(machine, server, wheel())

        code, output = machine.bootstrap("--dev")
        assert code == 0, output
        assert "installing requirements.txt into .venv" in output
        assert "installing requirements-dev.txt into .venv" in output
        assert next((machine.root / ".venv").rglob("tiny.py"))

        (machine.root / "requirements-dev.txt").write_text("# changed\n")
        _, output = machine.bootstrap("--dev")
        assert "installing requirements-dev.txt" in output
        assert "installing requirements.txt" not in output

    def test_a_wrong_hash_is_refused(self, machine: Machine, server: ReleaseServer) -> None:
        """A package that is not the locked one is not installed, and the next run tries again."""
        server.files[WHEEL] = wheel()
        require(machine, server, b"another")

        code, output = machine.bootstrap()

        assert code == 1
        assert "DO NOT MATCH THE HASHES" in output
        assert not list((machine.root / ".venv").rglob("tiny.py"))
        assert machine.bootstrap()[0] == 1

    def test_killed_in_the_middle_it_starts_anew(self, machine: Machine, server: ReleaseServer) -> None:
        """A kill during the installation is noticed: the next run makes the virtualenv from nothing."""
        server.files[WHEEL] = wheel()
        require(machine, server, wheel())
        server.gate.clear()
        process = machine.start()
        assert server.asked.wait(DEADLINE_S)
        kill(process)
        (machine.root / ".venv" / "half-made").touch()

        server.gate.set()
        code, output = machine.bootstrap()

        assert code == 0, output
        assert not (machine.root / ".venv" / "half-made").exists()
        assert next((machine.root / ".venv").rglob("tiny.py"))


class TestPython:
    """Finding a Python that will do."""

    def test_an_old_python_is_named(self, machine: Machine) -> None:
        """Without Python 3.11, the message says what was found and how to get one."""
        del machine.environment["PYTHON"]
        machine.tool("python3", "echo 3.9.2; exit 1")

        code, output = machine.bootstrap()

        assert code == 1
        assert "Python 3.11 or newer is needed; python3 is 3.9.2;" in output
        assert "apt-get install python3 python3-venv" in output

    def test_no_python_is_said(self, machine: Machine) -> None:
        """Without any Python, the message is the same, without a version."""
        del machine.environment["PYTHON"]

        assert machine.bootstrap()[1].startswith("bootstrap: Python 3.11 or newer is needed; none was found.")

    def test_a_newer_one_beside_an_old_one_is_found(self, machine: Machine) -> None:
        """An old `python3` does not hide a newer one of another name."""
        del machine.environment["PYTHON"]
        machine.tool("python3", "echo 3.9.2; exit 1")
        (machine.tools / "python3.12").symlink_to(sys.executable)
        machine.have_virtualenv()
        machine.pin(b"something")
        machine.have_engine()

        assert machine.bootstrap()[0] == 0


class TestPins:
    """The pinned versions of this repository."""

    def test_the_build_has_the_version_of_the_sdk(self) -> None:
        """Engine and SDK go together."""
        sdk = re.search(r"^pulumi==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)

        assert sdk is not None
        assert build.version(ROOT / "scripts" / "engine") == sdk[1]

    def test_every_line_of_sums_is_understood(self) -> None:
        """A line that the bootstrap cannot read would silently be no pin at all."""
        sums = ROOT / "scripts" / "engine" / "sha256sums"

        assert len(release.archives(sums)) == len(sums.read_text().splitlines())
        assert {"linux-x64", "linux-arm64", "darwin-arm64"} <= set(release.archives(sums))
