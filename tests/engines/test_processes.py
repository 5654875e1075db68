"""Programs are really started, killed, restarted and ended; nothing is left behind."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from engines import launcher, processes, supervision
from engines.processes import ProcessError, Program
from tests.fix_emulator import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

# Serves its own pid, environment and secrets; an argument `refuse` makes it answer 503.
SERVER = """
import http.server, json, os, pathlib, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        secrets = {p.name: p.read_text() for p in pathlib.Path(os.environ["SECRETS_DIR"]).iterdir()}
        body = json.dumps({"pid": os.getpid(), "env": dict(os.environ), "secrets": secrets}).encode()
        self.send_response(503 if "refuse" in sys.argv else 200)
        self.end_headers()
        self.wfile.write(body)
print("serving", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Give a home folder with an awkward name, and end whatever runs there afterwards."""
    folder = tmp_path / "it's 100%s #1; a home"
    yield folder
    for name in supervision.Home(folder).programs():
        processes.stop(folder, name)
    assert not (folder / "run").exists()
    assert not list(Path(tempfile.gettempdir()).glob(supervision.socket_folder_name(folder.resolve())))


def server(name: str = "web", *extra: str) -> Program:
    """Define a server on a free port."""
    port = processes.free_port()
    command = (sys.executable, "-c", SERVER, str(port), *extra)
    return Program(name, command, Path("/"), health_url=f"http://127.0.0.1:{port}/")


def shell(script: str, **secrets: str) -> Program:
    """Define a shell script without a health URL."""
    return Program("script", ("/bin/sh", "-c", script), Path("/"), secrets=secrets)


def ask(program: Program) -> dict[str, object]:
    """Read what a server says about itself."""
    answer: dict[str, object] = httpx.get(str(program.health_url), trust_env=False).json()
    return answer


def answering_pid(program: Program) -> object:
    """Give the pid of the process that answers; None while none does."""
    try:
        return ask(program)["pid"]
    except httpx.HTTPError:
        return None


def alive(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


def daemon_pid(home: Path) -> int:
    """Give the supervisor's pid."""
    found = launcher.holder(launcher.lock_file(home / "run", launcher.DAEMON))
    assert found is not None
    return found.pid


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

    def test_port_in_use_names_its_owner(self, home: Path) -> None:
        """A port of somebody else is refused before the start, even if he answers health questions."""
        other = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
        thread = threading.Thread(target=other.serve_forever, args=[0.02])
        thread.start()
        program = replace(server(), health_url=f"http://127.0.0.1:{other.server_port}/")

        with pytest.raises(ProcessError) as caught:
            processes.start(home, program)
        other.shutdown()
        thread.join()
        other.server_close()

        assert f"port {other.server_port} is in use by " in str(caught.value)
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


class TestKill:
    """Processes killed in every order come back, and only once."""

    def test_killed_program_comes_back(self, home: Path) -> None:
        """A program that dies by SIGKILL is started again."""
        program = server()
        processes.start(home, program)
        first = answering_pid(program)
        assert isinstance(first, int)

        os.kill(first, signal.SIGKILL)

        wait_until(lambda: answering_pid(program) not in {None, first}, "another process")
        wait_until(lambda: processes.status(home, "web").running, "the status")

    def test_killed_daemon_leaves_no_second_program(self, home: Path) -> None:
        """After the supervisor's death the next start replaces what it left."""
        program = server()
        processes.start(home, program)
        first = answering_pid(program)
        assert isinstance(first, int)
        os.kill(daemon_pid(home), signal.SIGKILL)
        wait_until(lambda: supervision.find(supervision.Home(home.resolve())) is None, "its end")

        left = processes.status(home, "web")
        port = processes.port_for(home, "web", httpx.URL(str(program.health_url)).port)
        processes.start(home, program)

        assert (left.running, left.pid) == (False, first)
        assert "runs unattended" in left.detail
        assert port == httpx.URL(str(program.health_url)).port
        assert answering_pid(program) != first
        assert not alive(first)

    def test_killed_daemon_does_not_hinder_stop(self, home: Path) -> None:
        """A program without its supervisor is ended as well."""
        program = server()
        processes.start(home, program)
        first = answering_pid(program)
        assert isinstance(first, int)
        os.kill(daemon_pid(home), signal.SIGKILL)

        processes.stop(home, "web")

        assert not alive(first)
        assert not (home / "run").exists()

    def test_files_of_a_reboot_do_not_count(self, home: Path) -> None:
        """Sockets, locks and process numbers of the past neither pass for life nor hinder a start."""
        program = server()
        processes.start(home, program)
        for name in (launcher.DAEMON, "web"):
            found = launcher.holder(launcher.lock_file(home / "run", name))
            assert found is not None
            os.kill(found.pid, signal.SIGKILL)
        # The numbers now belong to somebody else, as they may after a reboot.
        bystander = subprocess.Popen(["sleep", "600"], start_new_session=True)
        text = json.dumps({"pid": bystander.pid, "definition": ""})
        wait_until(lambda: not processes.status(home, "web").running, "the end")
        for name in (launcher.DAEMON, "web"):
            launcher.lock_file(home / "run", name).write_text(text)

        was = processes.status(home, "web")
        processes.start(home, program)

        assert not was.running
        assert processes.status(home, "web").running
        assert bystander.poll() is None
        bystander.kill()
        bystander.wait()

    def test_lost_socket_is_healed(self, home: Path) -> None:
        """A daemon whose socket was swept away is replaced, its programs with it."""
        program = server()
        processes.start(home, program)
        old = daemon_pid(home)
        daemon = supervision.find(supervision.Home(home.resolve()))
        assert daemon is not None
        Path(daemon.socket).unlink()

        processes.start(home, program)

        assert daemon_pid(home) != old
        assert processes.status(home, "web").running

    def test_deleted_home_leaves_no_second_program(self, home: Path) -> None:
        """Whoever deletes the folder of a running home loses no program: the next start ends it."""
        program = server()
        processes.start(home, program)
        first = answering_pid(program)
        assert isinstance(first, int)
        shutil.rmtree(home)

        processes.start(home, program)

        assert not alive(first)
        assert processes.status(home, "web").running

    def test_hung_daemon_is_replaced(self, home: Path) -> None:
        """A supervisor that does not answer does not hinder the next start."""
        program = server()
        processes.start(home, program)
        old = daemon_pid(home)
        os.kill(old, signal.SIGSTOP)

        was = processes.status(home, "web")
        processes.start(home, program)

        assert "does not answer" in was.detail
        assert daemon_pid(home) != old
        assert processes.status(home, "web").running

    def test_program_that_ignores_the_polite_signal_is_killed(self, tmp_path: Path) -> None:
        """SIGKILL follows when SIGTERM is not obeyed."""
        lock = tmp_path / "x.lock"
        text = (
            "import signal, sys, time; sys.path.insert(0, '.'); from pathlib import Path\n"
            "from engines import launcher\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            f"launcher.hold(Path({str(lock)!r}), 'd')\n"
            "time.sleep(600)\n"
        )
        stubborn = subprocess.Popen([sys.executable, "-c", text], start_new_session=True)
        wait_until(lambda: launcher.holder(lock), "the lock to be taken")

        gone = launcher.end_holder(lock, term_timeout_s=0.2)

        assert gone
        assert stubborn.wait(timeout=10) == -signal.SIGKILL


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
