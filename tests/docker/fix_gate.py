"""Services of a real Swarm, for the gate: a small HTTP server that answers as app and agent."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

from engines import content, ports, swarm
from tests.polling import until

# Where the engine of the tests is.
ENDPOINT = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
# Answers with its version; ERRORS of a hundred requests fail, by its own word. Ends when it is told to.
PROGRAM = """
import json, os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
if os.environ["VERSION"] == "crash": sys.exit(3)
looks = 0
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        global looks
        looks += 1
        counts = [looks * 100] * 2
        traffic = {"requests": looks * 100, "errors": looks * int(os.environ["ERRORS"]),
                   "seconds": {"le": [1, 2], "counts": counts}}
        document = {"status": "healthy", "checks": {}, "version": os.environ["VERSION"],
                    "instance": os.environ["HOSTNAME"], "traffic": traffic}
        self.send_response(404 if self.path == "/api/probe" else 200)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())
    def log_message(self, *_): pass
HTTPServer(("", 8000), Handler).serve_forever()
"""
QUICK = {"Parallelism": 1, "Monitor": 500_000_000, "Order": "stop-first"}


@dataclass
class Rolled:
    """One service of the Swarm.

    Attributes:
        client: the engine's low-level client.
        image: has Python.
        name: of the service.
        port: where it listens on this machine.
    """

    client: Any
    image: str
    name: str
    port: int = field(default_factory=ports.free_port)

    @property
    def service(self) -> swarm.Service:
        """Give it as the gate gets it; which release should run is the test's."""
        return swarm.Service(ENDPOINT, self.name)

    def spec(self, version: str, errors: int = 0, commit: str = "", **update: Any) -> dict[str, Any]:
        """Say what is to run; each version is a release of its own."""
        container = {
            "Image": self.image,
            "Command": ["python3", "-c", PROGRAM],
            "Env": [f"VERSION={version}", f"ERRORS={errors}"],
            "Labels": {"commit": commit},
        }
        # A restart may find the port still "in use"; a rollback at that moment stands still for a minute,
        # waiting for this task, which never ran, to end (moby 20.10).
        condition = "none" if version == "crash" else "any"
        restart = {"Condition": condition, "Delay": 100_000_000}
        published = {
            "Protocol": "tcp", "TargetPort": 8000, "PublishedPort": self.port, "PublishMode": "host"
        }  # fmt: skip
        return {
            "Name": self.name,
            "Labels": {content.RELEASE: version},
            "TaskTemplate": {"ContainerSpec": container, "RestartPolicy": restart},
            "Mode": {"Replicated": {"Replicas": 1}},
            "UpdateConfig": {**QUICK, **update},
            "RollbackConfig": QUICK,
            "EndpointSpec": {"Ports": [published]},
        }

    def create(self, version: str, errors: int = 0) -> swarm.State:
        """Roll a first version out."""
        self._post("create", {}, self.spec(version, errors))
        return self.arrived()

    def update(self, version: str, errors: int = 0, commit: str = "", **update: Any) -> None:
        """Roll another version out, or the same of another commit."""
        index = self.client.inspect_service(self.name)["Version"]["Index"]
        self._post(f"{self.name}/update", {"version": index}, self.spec(version, errors, commit, **update))

    def end(self) -> None:
        """Kill what runs, and wait for what Swarm starts in its place."""
        [container] = self.client.containers(filters={"label": f"com.docker.swarm.service.name={self.name}"})
        self.client.kill(container["Id"])
        until(lambda: swarm.look(self.service).fallen, what="a task that failed")
        until(lambda: swarm.look(self.service).complete, what="another task")

    def arrived(self) -> swarm.State:
        """Wait until a rollout is done, and say how the service is."""
        until(lambda: _is_done(swarm.look(self.service)), what=self.name)
        return swarm.look(self.service)

    def _post(self, path: str, params: dict[str, Any], spec: dict[str, Any]) -> None:
        url = f"{self.client.base_url}/v{self.client.api_version}/services/{path}"
        answer = self.client.post(
            url, params=params, data=json.dumps(spec), headers={"Content-Type": "application/json"}
        )
        assert answer.ok, answer.text


def _is_done(state: swarm.State) -> bool:
    return state.complete and bool(state.update or not state.previous)
