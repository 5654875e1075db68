"""Programs for the process host: a home that is left empty, servers and scripts, and questions about them."""

from __future__ import annotations

import http.server
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from engines import launcher, processes, supervision
from engines.processes import Program

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


@pytest.fixture
def stranger() -> Iterator[int]:
    """Run somebody else's web server in this process, and give its port."""
    other = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    thread = threading.Thread(target=other.serve_forever, args=[0.02])
    thread.start()
    yield other.server_port
    other.shutdown()
    thread.join()
    other.server_close()


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
