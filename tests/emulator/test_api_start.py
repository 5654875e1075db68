"""Starting and ending: what is refused, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from emulator import options
from emulator.__main__ import _listen
from tests.fix_emulator import DEADLINE_S, ROOT, Emulator, processes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the emulator until it ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "emulator", *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def refusal(data: Path, *arguments: str) -> str:
    """Run an emulator that is to refuse to start; give its one line."""
    done = run("--data", str(data), *arguments, GROUNDWORK_EMULATOR_TOKEN="canary-token")
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_no_token_is_refused(tmp_path: Path) -> None:
    """An API that everybody may use is never started."""
    done = run("--data", str(tmp_path / "data"))

    assert done.returncode == 1
    assert done.stderr.startswith("emulator: no access token: set GROUNDWORK_EMULATOR_TOKEN")
    assert not (tmp_path / "data").exists()


def test_unreadable_token_file_is_named(tmp_path: Path) -> None:
    """The message names the file that holds no token."""
    done = run("--data", str(tmp_path), GROUNDWORK_EMULATOR_TOKEN_FILE=str(tmp_path / "none"))

    assert done.returncode == 1
    assert f"cannot read {tmp_path / 'none'}: No such file or directory" in done.stderr


def test_port_in_use_is_refused(tmp_path: Path) -> None:
    """The message names host and port, and no server is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refusal(tmp_path / "data", "--port", str(port))

    assert line == f"emulator: cannot listen on 127.0.0.1:{port}: Address already in use"


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """The message names the folder and the system's reason."""
    (tmp_path / "file").write_text("")

    assert refusal(tmp_path / "file").startswith(
        f"emulator: cannot use the data folder {tmp_path / 'file'}: "
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 64 KiB, where that is allowed."""
    folder = tmp_path / "small"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_is_refused(small_disk: Path) -> None:
    """A full disk shows at start, not in the middle of a request."""
    line = refusal(small_disk)

    assert line == f"emulator: cannot write to the data folder {small_disk}: No space left on device"


def test_file_size_limit_is_refused(tmp_path: Path) -> None:
    """A folder that takes no data is refused, on every system."""
    code = (
        "import resource, signal, runpy, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024));"
        f"sys.argv = ['emulator', '--data', {str(tmp_path / 'data')!r}];"
        "runpy.run_module('emulator', run_name='__main__')"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "GROUNDWORK_EMULATOR_TOKEN": "t",
        # The limit would cut the modules' caches in the source tree short, too.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert f"cannot write to the data folder {tmp_path / 'data'}: File too large" in done.stderr


def test_second_emulator_on_one_folder_is_refused(own_emulator: Emulator) -> None:
    """Two emulators never share a folder, and the first goes on undisturbed."""
    assert own_emulator.process is not None
    line = refusal(own_emulator.data)

    expected = f"another emulator (process {own_emulator.process.pid}) uses the data folder"
    assert line == f"emulator: {expected} {own_emulator.data}"
    assert own_emulator.client.get("/v1/projects").status_code == 200


def test_unreadable_record_is_refused(own_emulator: Emulator) -> None:
    """A damaged record is not passed over as if the project did not exist."""
    own_emulator.end()
    damaged = own_emulator.data / "state" / "abcdefghijklmnopqrst.json"
    damaged.write_text('{"ref": "abcdefghijklmnopqrst"}')
    line = refusal(own_emulator.data)
    damaged.unlink()

    assert line.startswith(f"emulator: cannot read the records in {own_emulator.data / 'state'}: ")


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--project", "short", "'short' is no project's reference (20 letters from a to z)"),
        ("--organization", "a b", "'a b' is no organization's slug"),
        ("--step-seconds", "soon", "'soon' is no time"),
    ],
)
def test_values_of_options_are_checked(option: str, value: str, said: str, tmp_path: Path) -> None:
    """A wrong value is a usage error that names it, and nothing is made."""
    done = run("--data", str(tmp_path / "data"), option, value)

    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "data").exists()


def test_connections_send_at_once(tmp_path: Path) -> None:
    """The socket names its protocol, or asyncio would leave Nagle's algorithm on, and answers wait 40 ms."""
    chosen = options.Options(host="127.0.0.1", port=0, data=tmp_path, token="t", rate_limit=0, stop=False)

    with _listen(chosen) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_wrong_usage_is_status_2() -> None:
    """A wrong option is a usage error, as everywhere."""
    done = run("--port", "70000", "--data", "x", GROUNDWORK_EMULATOR_TOKEN="t")

    assert done.returncode == 2
    assert "'70000' is no TCP port (0 to 65535)" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_everything(number: signal.Signals, own_emulator: Emulator) -> None:
    """SIGTERM and SIGINT end the emulator with status 0; no process is left and no port is bound."""
    own_emulator.create("ends")
    url = own_emulator.api_url

    assert own_emulator.end(number) == 0
    assert processes(str(own_emulator.data)) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


def test_two_starts_at_once_leave_one(tmp_path: Path) -> None:
    """Of two emulators started together on one folder exactly one comes up."""
    pair = [Emulator(tmp_path / "data", token="same"), Emulator(tmp_path / "data", token="same")]
    processes_started = [one.launch() for one in pair]
    assert all(one.stdout is not None for one in processes_started)
    with ThreadPoolExecutor() as pool:
        lines = list(pool.map(lambda one: one.stdout.readline() if one.stdout else b"", processes_started))
    for one in processes_started:
        one.terminate()
    statuses = [one.wait(DEADLINE_S) for one in processes_started]
    for one in processes_started:
        if one.stdout is not None:
            one.stdout.close()

    assert [line for line in lines if line and "api_url" in json.loads(line)] == [
        line for line in lines if line
    ]
    assert sorted(bool(line) for line in lines) == [False, True]
    assert sorted(statuses) == [0, 1]


def test_state_is_for_its_owner_only(emulator: Emulator, project: object) -> None:
    """Files with passwords and keys are 0600 in a folder of 0700."""
    state = emulator.data / "state"

    assert project
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in state.iterdir()} == {0o600}


def test_no_secret_is_logged_or_shown(own_emulator: Emulator) -> None:
    """Passwords, keys and the token are in no log, no process argument and no answer to a wrong request."""
    project = own_emulator.create("canaries", password="canary-first")
    client, path = own_emulator.client, project.path
    client.patch(f"{path}/database/password", json={"password": "canary-second"})
    client.post(f"{path}/secrets", json=[{"name": "A", "value": "canary-third"}])
    client.get(f"{path}/api-keys", params={"reveal": "canary-fourth"})
    client.post(f"{path}/cli/login-role", json={"read_only": "canary-fifth"})
    key = project.key("service_role")
    httpx.get(f"{project.url}/rest/v1/", headers={"apikey": key})
    shown = "\n".join(processes(str(own_emulator.data)))
    own_emulator.end()
    logs = own_emulator.log.read_text() + (
        own_emulator.data / "postgres" / project.ref / "data.log"
    ).read_text(errors="replace")

    for text in (shown, logs):
        assert re.findall(rf"canary|{own_emulator.token}|{re.escape(key)}", text) == []


def test_stop_ends_what_a_killed_emulator_left(own_emulator: Emulator) -> None:
    """`--stop` needs no token, ends the servers, keeps the data and may be repeated."""
    project = own_emulator.create("left")
    project.sql("create table kept as select 1 as n")
    own_emulator.end(signal.SIGKILL)
    assert processes(str(own_emulator.data))
    done = [run("--data", str(own_emulator.data), "--stop") for _ in range(2)]

    assert [one.returncode for one in done] == [0, 0], done
    assert processes(str(own_emulator.data)) == []
    own_emulator.start()
    assert project.sql("select n from kept") == [{"n": 1}]
