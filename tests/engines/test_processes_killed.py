"""Programs and supervisors killed in every order come back, and only once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from engines import launcher, processes, supervision
from tests.fix_emulator import wait_until
from tests.fix_processes import alive, answering_pid, daemon_pid, server


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
