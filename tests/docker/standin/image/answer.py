"""Answers every request with the greeting and the secret's length; is healthy unless told otherwise."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Answer(BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        """Say what this task was given."""
        healthy = os.environ["GREETING"] != "ill"
        self.send_response(200 if healthy else 503)
        self.end_headers()
        length = len(Path("/run/secrets/token").read_text())
        self.wfile.write(f"{os.environ['GREETING']} {length}".encode())


ThreadingHTTPServer(("", 8000), Answer).serve_forever()
