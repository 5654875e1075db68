"""Programs are really started and ended; nothing is left behind."""

from __future__ import annotations

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from engines import processes, supervision
from engines.processes import ProcessError
from tests.fix_emulator import wait_until
from tests.fix_processes import alive, answering_pid, ask, daemon_pid, server, shell


class TestStart:
    """What a started program gets, and when it is started again."""

    def test_healthy_program_runs(self, home: Path) -> None:
        """After start the program answers, and the status names its process."""
        program = server()

        processes.start(home, program)

        found = processes.status(home, "web")
        assert found.running
        assert found.pid == ask(program)["pid"]
        assert "serving" in (home / "logs" / "web.log").read_text()

    def test_program_gets_its_environment_and_no_more(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Awkward values arrive unchanged, and nothing of the caller's environment comes along."""
        monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "canary-passphrase")
        values = {"AWKWARD": "a%b;c #d\n\"q' $HOME", "EMPTY": ""}
        program = replace(server(), environment=values)

        processes.start(home, program)

        environment = ask(program)["env"]
        assert isinstance(environment, dict)
        assert values.items() <= environment.items()
        assert not [key for key in environment if key.startswith("PULUMI")]
        daemon = Path(f"/proc/{daemon_pid(home)}/environ")
        assert not daemon.exists() or b"canary-passphrase" not in daemon.read_bytes()

    def test_secrets_are_private_files_and_nothing_else(self, home: Path) -> None:
        """A secret is in its file only: no argument, no configuration, no definition has it."""
        program = replace(server(), secrets={"token": "canary-token", "key": 'canary "key"\n'})

        processes.start(home, program)

        assert ask(program)["secrets"] == program.secrets
        files = [file for file in home.rglob("*") if file.is_file()]
        holding = {str(file.relative_to(home)) for file in files if b"canary" in file.read_bytes()}
        assert holding == {"secrets/web/token", "secrets/web/key"}
        assert stat.S_IMODE((home / "secrets/web/token").stat().st_mode) == 0o600
        assert stat.S_IMODE((home / "secrets/web").stat().st_mode) == 0o700
        arguments = subprocess.run(["ps", "axww", "-o", "args="], capture_output=True, text=True, check=True)
        assert "canary-token" not in arguments.stdout

    def test_same_definition_is_left_alone(self, home: Path) -> None:
        """Starting what runs already changes nothing."""
        program = server()
        processes.start(home, program)
        first = answering_pid(program)

        processes.start(home, program)

        assert answering_pid(program) == first

    @pytest.mark.parametrize(
        "change", [{"environment": {"A": "2"}}, {"secrets": {"token": "new"}}, {"directory": Path("/usr")}]
    )
    def test_changed_definition_is_a_restart(self, home: Path, change: dict[str, object]) -> None:
        """A change of environment, secrets or folder replaces the process."""
        program = replace(server(), secrets={"token": "old", "gone": "x"})
        processes.start(home, program)
        first = answering_pid(program)

        changed = replace(program, **change)  # type: ignore[arg-type]  # the parameters are typed by name only
        processes.start(home, changed)

        said = ask(changed)
        assert said["pid"] != first
        assert said["secrets"] == changed.secrets

    def test_changed_supervision_is_taken_over(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A newer version's way to supervise a program reaches a daemon that runs already."""
        program = server()
        processes.start(home, program)
        newer = supervision._PROGRAM_SECTION.replace("startretries=20", "startretries=7")
        monkeypatch.setattr(supervision, "_PROGRAM_SECTION", newer)

        processes.start(home, program)

        daemon = supervision.find(supervision.Home(home.resolve()))
        assert daemon is not None
        [info] = daemon.call("getAllConfigInfo")
        assert info["startretries"] == 7
        assert answering_pid(program)

    def test_restart_that_was_interrupted_is_made_up_for(self, home: Path) -> None:
        """New files of a caller that died before the restart do not pass for a running new version."""
        program = server()
        processes.start(home, program)
        first = answering_pid(program)
        changed = replace(program, environment={"A": "2"})
        processes._write_definition(supervision.Home(home.resolve()), changed)

        processes.start(home, changed)

        assert answering_pid(changed) != first

    def test_two_callers_at_once_make_one_daemon(self, home: Path) -> None:
        """Programs started at the same time share one supervisor."""
        programs = [server(f"web{number}") for number in range(4)]

        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda program: processes.start(home, program), programs))

        parents = {
            subprocess.run(
                ["ps", "-o", "ppid=", "-p", str(answering_pid(program))], capture_output=True, check=True
            ).stdout.strip()
            for program in programs
        }
        assert parents == {str(daemon_pid(home)).encode()}

    def test_two_callers_with_one_program_make_one_process(self, home: Path) -> None:
        """The same program started twice at the same time runs once."""
        program = server()

        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda _: processes.start(home, program), range(3)))

        listed = subprocess.run(["ps", "axww", "-o", "args="], capture_output=True, text=True, check=True)
        port = str(httpx.URL(str(program.health_url)).port)
        assert len([line for line in listed.stdout.splitlines() if line.endswith(f" {port}")]) == 1

    def test_starter_may_end_and_take_its_pipes_along(self, home: Path, tmp_path: Path) -> None:
        """A caller whose output is a pipe is not kept open by what it started, which outlives it."""
        program = server()
        text = (
            "import sys; from pathlib import Path; from engines import processes\n"
            f"processes.start(Path({str(home)!r}), processes.Program('web', {program.command!r}, Path('/'), "
            f"health_url={program.health_url!r}))\n"
        )
        script = tmp_path / "starter.py"
        script.write_text(text)

        # Returns when the pipes are closed by all who have them.
        subprocess.run(
            [sys.executable, script],
            env={"PYTHONPATH": str(Path.cwd())},
            capture_output=True,
            check=True,
            timeout=60,
        )

        assert processes.status(home, "web").running


class TestStop:
    """What ends, and what stays."""

    def test_last_stop_ends_all(self, home: Path) -> None:
        """With the last program the supervisor goes, and all files but the logs."""
        one, two = server("one"), server("two")
        processes.start(home, one)
        processes.start(home, two)
        daemon = daemon_pid(home)

        processes.stop(home, "one")
        after_one = (processes.status(home, "one").running, processes.status(home, "two").running)
        processes.stop(home, "two")

        assert after_one == (False, True)
        assert answering_pid(one) is None
        wait_until(lambda: not alive(daemon), "the supervisor's end")
        assert [folder.name for folder in home.iterdir()] == ["logs"]

    def test_whole_group_ends(self, home: Path) -> None:
        """A child that a program leaves behind is ended with it."""
        processes.start(home, shell("sleep 4711 & echo child $!; wait"))
        log = home / "logs" / "script.log"
        child = int(wait_until(log.read_text, "output").split()[1])

        processes.stop(home, "script")

        wait_until(lambda: not alive(child), "the child's end")

    def test_wipe_deletes_inside_only(self, home: Path, tmp_path: Path) -> None:
        """Data is deleted when asked for, and never outside of the home."""
        (home / "data").mkdir(parents=True)
        (home / "data" / "file").write_text("x")
        (tmp_path / "precious").write_text("x")

        processes.stop(home, "web", wipe=(home / "data", home / "missing"))
        with pytest.raises(ProcessError, match=r"precious is not inside .*, so it is not deleted"):
            processes.stop(home, "web", wipe=(home / ".." / "precious",))

        assert not (home / "data").exists()
        assert (tmp_path / "precious").exists()

    def test_wipe_does_not_follow_links(self, home: Path, tmp_path: Path) -> None:
        """A link is deleted, what it points to is not."""
        home.mkdir()
        (tmp_path / "precious").mkdir()
        (home / "link").symlink_to(tmp_path / "precious")

        processes.stop(home, "web", wipe=(home / "link",))

        assert not (home / "link").is_symlink()
        assert (tmp_path / "precious").exists()

    def test_stop_of_nothing_is_nothing(self, tmp_path: Path) -> None:
        """A home that never was is not made by stop or status."""
        processes.stop(tmp_path / "home", "web")

        assert not processes.status(tmp_path / "home", "web").running
        assert not (tmp_path / "home").exists()

    def test_start_after_stop_works(self, home: Path) -> None:
        """A home can be used again."""
        program = server()
        processes.start(home, program)
        processes.stop(home, "web")

        processes.start(home, program)

        assert processes.status(home, "web").running
