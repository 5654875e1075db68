"""A machine with nothing of ours on it, and on loopback a server of releases and packages."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.scripts.machine import DEADLINE_S, ROOT, Machine, ReleaseServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    """Run a release server on a free loopback port; answers are not held back unless a test says so."""
    state = ReleaseServer()
    state.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append(self.path)
            body = state.files.get(self.path.removeprefix("/"))
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            # pip reads a package index only if it is said to be a page.
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            # Of an index, the half says nothing; what is held back is the file that comes after it.
            half = len(body) if self.path.endswith("/") else len(body) // 2
            # The other side may have been killed meanwhile.
            with contextlib.suppress(OSError):
                self.wfile.write(body[:half])
                self.wfile.flush()
                if half < len(body):
                    state.asked.set()
                    state.gate.wait(DEADLINE_S)
                    self.wfile.write(body[half:])

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield state
    state.gate.set()
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def machine(tmp_path: Path, server: ReleaseServer) -> Machine:
    """Make a machine with nothing of ours on it: no virtualenv, no engine, no Go."""
    root, home, tools = (tmp_path / name for name in ("clone", "home", "tools"))
    shutil.copytree(ROOT / "scripts", root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "requirements.txt").write_text("")
    (root / "requirements-dev.txt").write_text("")
    home.mkdir()
    tools.mkdir()
    for name in ("curl", "dirname", "sh", "bash", "cat", "env"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    environment = {
        "HOME": str(home),
        "PATH": str(tools),
        "PYTHON": sys.executable,
        "PYTHONDONTWRITEBYTECODE": "1",
        "GROUNDWORK_PULUMI_RELEASES": server.url,
        "PIP_INDEX_URL": f"{server.url}/simple",
        "PIP_CONFIG_FILE": os.devnull,
    }
    return Machine(root, home, tools, environment)
