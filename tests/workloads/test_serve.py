"""How a workload comes up and goes: no request that is under way, or still on its way, is lost."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from tests.polling import until
from tests.workloads import programs
from tests.workloads.asking import COMPLETIONS, NEW, ask
from tests.workloads.doubles import Answer, openai_parts
from tests.workloads.programs import Program, RunApp, events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.fix_product import Person
    from tests.workloads.doubles import FakeService

# Longer than any test: who waits for its end fails.
LONG = {"DRAIN_S": "600"}


@contextlib.contextmanager
def asking(send: Callable[[], httpx.Response]) -> Iterator[list[int]]:
    """Send requests one after the other until the end of the block, and collect the statuses."""
    stop, statuses = threading.Event(), list[int]()

    def run() -> None:
        while not stop.is_set():
            statuses.append(send().status_code)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        try:
            yield statuses
        finally:
            stop.set()
        running.result()


def ask_on(statuses: list[int]) -> None:
    """Wait until another twenty requests are answered."""
    before = len(statuses)
    until(lambda: len(statuses) >= before + 20)


def terminate(program: Program, how: signal.Signals = signal.SIGTERM) -> None:
    """Send a signal and wait until the program has seen it."""
    program.process.send_signal(how)
    until(lambda: program.get("/ready").status_code == 404)


@pytest.fixture
def draining(agent_environment: dict[str, str], tmp_path: Path) -> Iterator[Program]:
    """Run an agent that drains for a long time."""
    with programs.running("agent", agent_environment | LONG, tmp_path / "agent.log") as agent:
        yield agent


class TestReady:
    """GET /ready."""

    @pytest.mark.parametrize("name", ["agent", "app"])
    def test_both_are_open_and_need_no_database(
        self,
        agent_environment: dict[str, str],
        app_environment: dict[str, str],
        name: str,
        tmp_path: Path,
    ) -> None:
        """Ready is who serves, with or without a database; nobody logs the question."""
        nowhere = {"DATABASE_URL": "postgresql://u:p@127.0.0.1:9/d"}
        environment = {**agent_environment, **app_environment, **nowhere}
        with programs.running(name, environment, tmp_path / "log") as program:
            response = program.get("/ready")

        assert (response.status_code, response.json()) == (200, {"status": "ready"})
        assert "/ready" not in program.log.read_text()


class TestAnswers:
    """What goes over the wire."""

    def test_an_answer_is_sent_in_one_piece(self, agent_environment: dict[str, str], tmp_path: Path) -> None:
        """Head and body go together, so that a process that is killed leaves all of it or nothing."""
        with programs.running("agent", agent_environment, tmp_path / "log") as agent:
            address = urlsplit(agent.url)
            with socket.create_connection((address.hostname, address.port)) as connection:
                pieces = [_first_piece(connection) for _ in range(50)]

        assert {piece.endswith(b'{"status":"ready"}') for piece in pieces} == {True}


def _first_piece(connection: socket.socket) -> bytes:
    connection.sendall(b"GET /ready HTTP/1.1\r\nHost: here\r\n\r\n")
    piece = connection.recv(65536)
    rest = piece
    while not rest.endswith(b"}"):
        rest += connection.recv(65536)
    return piece


class TestDrain:
    """SIGTERM with DRAIN_S."""

    def test_no_request_fails_while_a_service_drains(self, draining: Program) -> None:
        """/ready says 404, and all else is served as before, on new connections and on kept ones."""
        with (
            httpx.Client(base_url=draining.url, headers=NEW) as kept,
            asking(lambda: draining.get("/probe", headers=NEW)) as fresh,
            asking(lambda: kept.get("/probe")) as reused,
        ):
            ask_on(reused)
            terminate(draining)
            ask_on(fresh)
            ask_on(reused)
            said = draining.get("/ready")

        assert (said.status_code, said.json()) == (404, {"status": "draining"})
        assert set(fresh + reused) == {200}

    def test_clients_leave_with_their_last_answer(self, draining: Program) -> None:
        """While it drains every answer ends its connection, so that none is closed under a request later."""
        before = draining.get("/health").headers.get("connection")
        terminate(draining)

        assert (before, draining.get("/health").headers["connection"]) == (None, "close")

    @pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
    def test_a_second_signal_ends_it_at_once(self, draining: Program, second: signal.Signals) -> None:
        """Who is in a hurry asks twice; the end is in good order all the same."""
        terminate(draining)
        draining.process.send_signal(second)

        assert draining.process.wait(timeout=20) == 0
        assert draining.lines()[-1]["event"].startswith("Finished server process")

    def test_it_ends_by_itself(self, agent_environment: dict[str, str], tmp_path: Path) -> None:
        """After DRAIN_S seconds the process ends with 0."""
        environment = agent_environment | {"DRAIN_S": "0.3"}
        with programs.running("agent", environment, tmp_path / "agent.log") as agent:
            assert agent.stop() == 0

    def test_a_terminal_does_not_wait(self, draining: Program) -> None:
        """SIGINT ends it without a drain."""
        draining.process.send_signal(signal.SIGINT)

        assert draining.process.wait(timeout=20) == 0

    @pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf"])
    def test_a_wrong_time_is_refused(self, value: str, tmp_path: Path) -> None:
        """The process does not start, and names the variable."""
        code = programs.start("agent", {"DRAIN_S": value}, tmp_path / "log").wait(timeout=30)

        assert code == 1
        assert (tmp_path / "log").read_text() == "DRAIN_S: expected seconds, 0 or more\n"


class TestStop:
    """SIGTERM without DRAIN_S, as on a host without a proxy."""

    def test_both_end_at_once(self, run_app: RunApp) -> None:
        """The process ends with 0, though a client still keeps a connection."""
        app = run_app()
        with httpx.Client(base_url=app.url) as client:
            client.get("/")

            assert app.stop() == 0

    def test_a_running_answer_is_finished(
        self, ai_environment: dict[str, str], outside: FakeService, alice: Person, tmp_path: Path
    ) -> None:
        """Its reader gets the rest and the end of it, while nobody new is let in."""
        slow = outside.answers[COMPLETIONS] = Answer(200, openai_parts("Long ", "answer"))
        slow.waits_for = threading.Event()
        with (
            programs.running("agent", ai_environment, tmp_path / "agent.log") as agent,
            ThreadPoolExecutor(1) as pool,
        ):
            asked = pool.submit(ask, agent, alice)
            until(lambda: COMPLETIONS in [path for path, _, _ in outside.requests])
            agent.process.send_signal(signal.SIGTERM)
            until(lambda: refuses(agent))
            slow.waits_for.set()

            assert [name for name, _ in events(asked.result().text)] == ["token", "token", "done"]
            assert agent.process.wait(timeout=20) == 0


def refuses(program: Program) -> bool:
    """Tell whether a program lets nobody in any more."""
    try:
        program.get("/ready")
    except httpx.ConnectError:
        return True
    return False
