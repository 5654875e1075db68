"""A real HAProxy on loopback, and behind it what a Swarm would have: tasks, and DNS that knows them."""

from __future__ import annotations

import http.client
import shutil
import socket
import socketserver
import struct
import subprocess
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from engines import proxy
from engines.ports import free_port
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_LOG = "haproxy.log"
HAPROXY = shutil.which("haproxy")
needs_haproxy = pytest.mark.skipif(HAPROXY is None, reason="HAProxy is not installed")


class Names(socketserver.ThreadingUDPServer):
    """A DNS server that knows one name: the addresses of the tasks, or no such name without any."""

    addresses: tuple[str, ...] = ()
    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port of loopback."""
        super().__init__(("127.0.0.1", 0), _Answer)


class _Answer(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Answer an A question (RFC 1035, section 4)."""
        question, channel = self.request
        found = self.server.addresses  # type: ignore[attr-defined]
        end = question.index(b"\0", 12) + 5
        head = question[:2] + struct.pack(">HHHHH", 0x8580 if found else 0x8583, 1, len(found), 0, 0)
        record = struct.pack(">HHHIH", 0xC00C, 1, 1, 0, 4)
        answers = b"".join(record + socket.inet_aton(address) for address in found)
        channel.sendto(head + question[12:end] + answers, self.client_address)


class Task(ThreadingHTTPServer):
    """One container of a service.

    Attributes:
        ready: what it answers at /ready, 200 or 404.
        swallow: take a request and close the connection without an answer.
        seen: method and path of each request but those for /ready.
        asked_while_draining: how often /ready was answered by 404.
        door: what requests for /held wait for.
    """

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, address: str, port: int) -> None:
        """Listen and serve."""
        self.ready, self.swallow, self.asked_while_draining = True, False, 0
        self.seen: list[tuple[str, str]] = []
        self.door = threading.Event()
        super().__init__((address, port), _Serve)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def kill(self) -> None:
        """Be gone, without a word to anybody."""
        self.shutdown()
        self.server_close()
        self._thread.join()

    def vanish(self) -> Iterator[socket.socket]:
        """Be gone with the machine: who connects hears nothing at all. Holds as long as the sockets live."""
        self.kill()
        yield socket.create_server(self.server_address, backlog=0)
        while not _is_deaf(waiting := _connecting(self.server_address)):
            yield waiting
        yield waiting


def _connecting(address: Any) -> socket.socket:
    """Begin to connect; the kernel answers only while the listener's queue has room."""
    made = socket.socket()
    made.settimeout(0.2)
    with suppress(TimeoutError):
        made.connect(address)
    return made


def _is_deaf(waiting: socket.socket) -> bool:
    try:
        waiting.getpeername()
    except OSError:
        return True
    return False


class _Serve(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Task

    def do_GET(self) -> None:
        """Serve."""
        if self.path == "/ready":
            self.server.asked_while_draining += not self.server.ready
            self._say(200 if self.server.ready else 404, "")
            return
        self.server.seen.append((self.command, self.path))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/held":
            self.server.door.wait(60)
        if self.server.swallow:
            self.close_connection = True
            return
        self._say(200, str(self.headers.get("X-Forwarded-Proto")))

    do_POST = do_GET  # noqa: N815 - the name is http.server's

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Keep quiet."""


@dataclass
class Front:
    """The proxy and what stands behind it.

    Attributes:
        port: where it listens.
        names: the tasks' names.
        log: what it writes.
        tasks: what it stands before.
    """

    port: int
    names: Names
    log: Path
    tasks: list[Task] = field(default_factory=list)

    def ask(self, path: str = "/", method: str = "GET", headers: Mapping[str, str] | None = None) -> int:
        """Send a request on a connection of its own, and give the status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                method, path, body=b"x" if method == "POST" else None, headers=dict(headers or {})
            )
            return connection.getresponse().status
        finally:
            connection.close()

    def all_serve(self, marker: str) -> bool:
        """Ask once more, and tell whether all tasks have been reached by such requests."""
        self.ask(f"/{marker}")
        return all(("GET", f"/{marker}") in task.seen for task in self.tasks)


@contextmanager
def front(folder: Path) -> Iterator[Front]:
    """Run two tasks and a proxy that has found both."""
    with ExitStack() as stack:
        names = stack.enter_context(_served(Names()))
        port, listen = free_port(), free_port()
        found = Front(listen, names, folder / _LOG)
        for address in ("127.0.0.2", "127.0.0.3"):
            found.tasks.append(stack.enter_context(_task(address, port)))
        names.addresses = ("127.0.0.2", "127.0.0.3")
        route = proxy.Route(name="app", tasks="tasks.product-app", port=port, listen=listen)
        resolver = f"127.0.0.1:{names.server_address[1]}"
        stack.enter_context(running(folder, proxy.configuration([route], resolver=resolver)))
        until(lambda: _answers(listen), what="the proxy")
        until(lambda: found.all_serve("both"), what="both tasks")
        yield found


@contextmanager
def running(folder: Path, configuration: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a HAProxy with this configuration."""
    path = folder / "haproxy.cfg"
    path.write_text(configuration, encoding="utf-8")
    with (folder / _LOG).open("wb") as log:
        process = subprocess.Popen(["haproxy", "-W", "-db", "-f", str(path)], stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def _served(server: Names) -> Iterator[Names]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def _task(address: str, port: int) -> Iterator[Task]:
    try:
        task = Task(address, port)
    except OSError as error:
        pytest.skip(f"a second loopback address is needed: {error}")
    try:
        yield task
    finally:
        with suppress(OSError):
            task.kill()


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
