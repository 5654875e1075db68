"""Servers that stand in for what is outside the product, over real HTTP and TCP on the loopback interface.

`FakeService` answers as it is told: it plays an AI service (in both dialects), Supabase's auth and storage,
and an agent that breaks. `Gate` stands between a program and its database and can be shut.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Answer:
    """What the fake service says to one path.

    Attributes:
        status: HTTP status.
        body: sent in these parts, each at once.
        breaks: the connection is cut after the body, against the promised encoding.
        waits_for: set this event to let the answer go on after its first part.
        drops: so many requests get no answer, only the end of their connection.
    """

    status: int = 200
    body: list[bytes] = field(default_factory=list)
    breaks: bool = False
    waits_for: threading.Event | None = None
    drops: int = 0


@dataclass
class FakeService:
    """An HTTP server with answers by path, and the requests that it got.

    Attributes:
        url: where it listens.
        answers: by path; an unknown path gets 404.
        requests: (path, headers, JSON body or None) in order.
    """

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeService

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.split("?")[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.fake.requests.append((path, headers, json.loads(body) if body else None))
        answer = self.fake.answers.get(path, Answer(404, [b"{}"]))
        if answer.drops > 0:
            answer.drops -= 1
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._send(answer)
        self.close_connection = True

    def _send(self, answer: Answer) -> None:
        for position, part in enumerate(answer.body):
            if position == 1 and answer.waits_for:
                answer.waits_for.wait(20)
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            self.wfile.flush()
        if not answer.breaks:
            self.wfile.write(b"0\r\n\r\n")


@contextlib.contextmanager
def fake_service() -> Iterator[FakeService]:
    """Run a fake service until the end of the block."""

    class Handler(_Handler):
        fake = FakeService("")

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Handler.fake.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield Handler.fake
        server.shutdown()
        thread.join()


def openai_parts(*pieces: str, ends: bool = True) -> list[bytes]:
    """Write a chat completion as OpenAI streams it."""
    chunks: list[dict[str, Any]] = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
    chunks += [{"choices": [{"delta": {}, "finish_reason": "stop"}]}, {"choices": [], "usage": {}}] * ends
    parts = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks]
    return [*parts, b"data: [DONE]\n\n"] if ends else parts


def anthropic_parts(*pieces: str, ends: bool = True) -> list[bytes]:
    """Write a message as Anthropic streams it."""
    found: list[dict[str, Any]] = [{"type": "message_start", "message": {}}, {"type": "ping"}]
    found += [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
        for piece in pieces
    ]
    found += [
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ] * ends
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in found]


class Gate:
    """A TCP door to another port; shut, it refuses connections and cuts the open ones."""

    def __init__(self, port: int, target: int) -> None:
        """Take the port of the door and the port behind it; it starts shut."""
        self.port = port
        self._target = target
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []

    def open(self) -> None:
        """Let connections through."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Cut every connection and refuse new ones."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
