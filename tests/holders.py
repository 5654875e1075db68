"""A small app and agent that hold secrets, prove them by fingerprints, and take signed deliveries."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from engines.proofs import fingerprint

Replica = dict[str, dict[str, str]]


class Holder:
    """Serves the health documents of replicas in turn: secret → label → value each.

    Attributes:
        replicas: what each holds.
        billing: values by version that deliveries may be signed by; None: there is no such route.
    """

    def __init__(self, *replicas: Replica) -> None:
        """Listen on a free port."""
        self.replicas, self.asked = list(replicas), 0
        self.billing: dict[str, str] | None = None
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.thread = threading.Thread(target=self.server.serve_forever, args=[0.02])
        self.thread.start()

    @property
    def url(self) -> str:
        """Give the base URL."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def document(self, nonce: str) -> dict[str, Any]:
        """Give the next replica's document."""
        number = self.asked % len(self.replicas)
        self.asked += 1
        held = self.replicas[number].items()
        return {
            "instance": str(number),
            "secrets": {name: {"fingerprint": _proven(values, nonce)} for name, values in held},
        }

    def take(self, body: bytes, signature: str) -> tuple[int, dict[str, str]]:
        """Take a delivery."""
        if self.billing is None:
            return 404, {}
        proofs = _signed(self.billing, body)
        version = next((one for one, proof in proofs.items() if proof == signature), None)
        return (200, {"status": "ok", "version": version}) if version else (401, {"error": "signature"})

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def _proven(values: dict[str, str], nonce: str) -> dict[str, str]:
    return {label: fingerprint(value, nonce) for label, value in values.items()}


def _signed(values: dict[str, str], message: bytes) -> dict[str, str]:
    return {
        label: hmac.new(value.encode(), message, hashlib.sha256).hexdigest()
        for label, value in values.items()
    }


def _handler(holder: Holder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonce = parse_qs(urlsplit(self.path).query)["nonce"][0]
            self._answer(200, holder.document(nonce))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(*holder.take(body, self.headers["X-Signature"]))

        def _answer(self, status: int, document: dict[str, Any]) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    return Handler
