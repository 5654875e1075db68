"""Programs that cannot run: what a caller reads, and what is left."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from engines import processes
from engines.processes import ProcessError, Program
from tests.fix_processes import answering_pid, server, shell


class TestFailure:
    """What a caller reads when a program cannot be started."""

    def test_program_that_ends_is_quoted_without_secrets(self, home: Path) -> None:
        """The text has the program's last words, with every form of its secrets removed."""
        script = "echo token=hunter2 inner=s3cr3t-inner; echo the real reason; exit 3"
        program = shell(script, token="hunter2", keys=json.dumps({"1": "s3cr3t-inner"}))

        with pytest.raises(ProcessError) as caught:
            processes.start(home, program)

        text = str(caught.value)
        assert "script ends by itself again and again" in text
        assert "token=[secret] inner=[secret]" in text
        assert "the real reason" in text

    def test_new_program_that_fails_leaves_nothing(self, home: Path) -> None:
        """A first start that failed is undone: no definition, no secret, no supervisor."""
        with pytest.raises(ProcessError):
            processes.start(home, shell("exit 1", token="x"))

        assert [folder.name for folder in home.iterdir()] == ["logs"]

    def test_missing_command_is_named(self, home: Path) -> None:
        """A command that is not there is named with the system's reason."""
        program = Program("web", ("no-such-command",), Path("/"))

        with pytest.raises(
            ProcessError, match=r"cannot start web: .*no-such-command|cannot start web: .*No such"
        ):
            processes.start(home, program)

    def test_unhealthy_program_is_reported_at_the_deadline(self, home: Path) -> None:
        """The text says what the health URL answered."""
        program = server("web", "refuse")

        with pytest.raises(ProcessError, match=r"web is not healthy in time \(http://.* answers 503\)"):
            processes.start(home, program, timeout_s=2)

    def test_changed_program_that_fails_stays_defined(self, home: Path) -> None:
        """A bad update does not lose the program: the next good one brings it back."""
        program = server()
        processes.start(home, program)

        with pytest.raises(ProcessError):
            processes.start(home, replace(program, command=(*program.command, "refuse")), timeout_s=1)
        processes.start(home, program)

        assert answering_pid(program)

    def test_port_in_use_names_its_owner(self, home: Path, stranger: int) -> None:
        """A port of somebody else is refused before the start, even if he answers health questions."""
        program = replace(server(), health_url=f"http://127.0.0.1:{stranger}/")

        with pytest.raises(ProcessError) as caught:
            processes.start(home, program)

        assert f"port {stranger} is in use by " in str(caught.value)
        assert f"(pid {os.getpid()})" in str(caught.value)

    def test_folder_that_cannot_be_made_is_named(self, tmp_path: Path) -> None:
        """A home below a file is refused with its path."""
        (tmp_path / "file").write_text("")

        with pytest.raises(
            ProcessError, match=r"cannot use .*/file/home.*: Not a directory; check .*try again"
        ):
            processes.start(tmp_path / "file" / "home", shell("exit 0"))

    def test_full_disk_is_named(self, tmp_path: Path) -> None:
        """No room for the definition: the text says which disk, and what to do."""
        disk = tmp_path / "disk"
        disk.mkdir()
        mount = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False
        )
        if mount.returncode != 0:
            pytest.skip("needs the right to mount a small file system")
        try:
            with pytest.raises(ProcessError) as caught:
                processes.start(disk / "home", shell("exit 0", token="x" * 100_000))
        finally:
            subprocess.run(["umount", disk], check=True)

        assert f"cannot use {disk}" in str(caught.value)
        assert "the disk is full; make room" in str(caught.value)

    @pytest.mark.parametrize("name", ["", "a b", "../x", "-daemon", "A", "x\n"])
    def test_bad_name_is_refused(self, tmp_path: Path, name: str) -> None:
        """A name that could not be a file's name is refused."""
        with pytest.raises(ProcessError, match="is no name for a program"):
            processes.start(tmp_path, Program(name, ("true",), tmp_path))

    def test_bad_secret_name_is_refused(self, home: Path) -> None:
        """A secret's name cannot lead out of its folder."""
        with pytest.raises(ProcessError, match=r"'\.\./x' is no name for a secret's file"):
            processes.start(home, replace(shell("true"), secrets={"../x": "1"}))
