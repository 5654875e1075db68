"""The proxy's configuration: read by a real HAProxy, and run in front of small real servers."""

from __future__ import annotations

import http.client
import signal
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from engines import proxy
from engines.ports import free_port
from tests.engines.behind_proxy import Front, front, needs_haproxy, running
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUTE = proxy.Route(name="app", tasks="tasks.product-app", port=8000, listen=8000, listen_tls=8443)


@pytest.fixture
def running_front(tmp_path: Path) -> Iterator[Front]:
    """Give two tasks behind a proxy."""
    with front(tmp_path) as found:
        yield found


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Give a PEM file with a key and a certificate that nobody signed."""
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run([*made, "-keyout", str(key), "-out", str(chain)], check=True, capture_output=True)
    both = tmp_path / "both.pem"
    # As configuration keeps it: without a line end after the last line.
    both.write_text((chain.read_text() + key.read_text()).strip())
    return both


def checked(folder: Path, text: str) -> str:
    """Let HAProxy read a configuration, and give what it says."""
    path = folder / "checked.cfg"
    path.write_text(text)
    done = subprocess.run(["haproxy", "-c", "-f", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


class TestText:
    """What the file says."""

    @needs_haproxy
    def test_haproxy_reads_it_without_a_warning(self, tmp_path: Path, certificate: Path) -> None:
        """With everything in it, the file is valid."""
        agent = proxy.Route(
            name="agent", tasks="tasks.product-agent", port=8000, listen=8001, listen_tls=8444
        )
        redirect = proxy.Redirect(listen=8080, to="https://app.example.com")
        text = proxy.configuration([ROUTE, agent], certificate=str(certificate), redirect=redirect)

        said = checked(tmp_path, text)

        assert "WARNING" not in said
        assert "NOTICE" not in said

    @needs_haproxy
    def test_every_name_of_a_stack_is_a_name_of_tasks(self, tmp_path: Path) -> None:
        """Stacks may have capitals and underscores in their names, and so have their services."""
        route = proxy.Route(name="app", tasks="tasks.product-My_stack-app", port=8000, listen=8000)

        assert "WARNING" not in checked(tmp_path, proxy.configuration([route]))

    def test_without_a_certificate_there_is_no_tls(self) -> None:
        """A port for TLS is opened only when there is something to show there."""
        assert "8443" not in proxy.configuration([ROUTE])

    @pytest.mark.parametrize("bad", ["tasks.app\n    bind :1", "a b", "a'b", 'a"b', "${HOME}", "a#b", ""])
    def test_a_value_that_is_not_one_word_is_refused(self, bad: str) -> None:
        """No value can add a line or an option to the file."""
        route = proxy.Route(name="app", tasks=bad, port=8000, listen=8000)

        with pytest.raises(ValueError, match="HAProxy"):
            proxy.configuration([route])


@needs_haproxy
class TestReleases:
    """What callers notice while tasks come and go: nothing."""

    def test_a_draining_task_gets_nothing_new(self, running_front: Front) -> None:
        """Once /ready says 404, new requests go elsewhere, and the task still finishes what it has."""
        leaving, staying = running_front.tasks
        leaving.ready = False
        until(lambda: _avoids(running_front, leaving), what="the proxy to notice")
        before = len(leaving.seen)

        answers = [running_front.ask("/after") for _ in range(50)]

        assert set(answers) == {200}
        assert len(leaving.seen) == before
        assert staying.seen.count(("GET", "/after")) == 50

    def test_a_task_that_left_the_name_gets_nothing_new(self, running_front: Front) -> None:
        """The engine's DNS is followed within moments, without a check having failed."""
        leaving, _ = running_front.tasks
        running_front.names.addresses = ("127.0.0.3",)
        until(lambda: _avoids(running_front, leaving), what="the proxy to notice")

        assert {running_front.ask("/after") for _ in range(50)} == {200}
        assert ("GET", "/after") not in leaving.seen

    def test_a_killed_task_costs_no_request(self, running_front: Front) -> None:
        """What could not reach a task is sent to another, whatever the method."""
        with ThreadPoolExecutor(8) as callers:
            gets = [callers.submit(running_front.ask, "/get") for _ in range(200)]
            running_front.tasks[0].kill()
            posts = [callers.submit(running_front.ask, "/post", "POST") for _ in range(100)]

        assert {one.result() for one in gets} == {200}
        assert {one.result() for one in posts} == {200}

    def test_a_task_that_vanished_is_tried_by_one(self, running_front: Front) -> None:
        """A machine that is gone answers nobody: the first who waits in vain spares all others that."""
        with ExitStack() as stack:
            for held in running_front.tasks[0].vanish():
                stack.enter_context(held)
            answers = {running_front.ask("/after") for _ in range(30)}

        assert answers == {200}
        assert running_front.log.read_text().count(" /after") <= 1

    def test_what_is_too_much_at_once_waits_at_the_proxy(self, running_front: Front) -> None:
        """A task gets only as much as it can bear, and everybody is answered in the end."""
        with ThreadPoolExecutor(300) as callers:
            asked = [callers.submit(running_front.ask, "/held") for _ in range(300)]
            until(lambda: _held(running_front) == [128, 128], what="full tasks")
            for task in running_front.tasks:
                task.door.set()

        assert {one.result() for one in asked} == {200}
        assert sum(_held(running_front)) == 300

    def test_when_all_tasks_drain_they_still_serve(self, running_front: Front) -> None:
        """Where nobody is left who is ready, a task that still answers is better than none."""
        for task in running_front.tasks:
            task.ready = False
        until(lambda: all(task.asked_while_draining >= 2 for task in running_front.tasks), what="checks")

        assert {running_front.ask() for _ in range(20)} == {200}


def _held(front: Front) -> list[int]:
    return [task.seen.count(("GET", "/held")) for task in front.tasks]


@needs_haproxy
class TestRepeating:
    """What is sent a second time."""

    @pytest.mark.parametrize(
        ("method", "headers"), [("GET", {}), ("POST", {"Idempotency-Key": "4b1c"})], ids=["get", "keyed"]
    )
    def test_what_does_no_harm_is_repeated(
        self, running_front: Front, method: str, headers: dict[str, str]
    ) -> None:
        """A request that a task took and never answered is answered by the other one."""
        running_front.tasks[0].swallow = True

        answers = {running_front.ask("/safe", method, headers) for _ in range(20)}

        assert answers == {200}
        assert (method, "/safe") in running_front.tasks[0].seen

    def test_a_post_without_a_key_is_sent_once(self, running_front: Front) -> None:
        """What may have had an effect is never done twice: the caller learns that it is not known."""
        running_front.tasks[0].swallow = running_front.tasks[1].swallow = True

        assert running_front.ask("/once", "POST") == 502
        assert [task.seen.count(("POST", "/once")) for task in running_front.tasks] in ([1, 0], [0, 1])


@needs_haproxy
class TestEdges:
    """TLS, redirects, and the proxy's own end."""

    def test_tls_ends_at_the_proxy(self, tmp_path: Path, certificate: Path) -> None:
        """Old protocols are refused; plain HTTP is sent on with its path."""
        tls, plain = free_port(), free_port()
        route = proxy.Route(name="app", tasks="tasks.a", port=1, listen=free_port(), listen_tls=tls)
        redirect = proxy.Redirect(listen=plain, to="https://app.example.com")
        text = proxy.configuration(
            [route], certificate=str(certificate), redirect=redirect, resolver="127.0.0.1:9"
        )

        with running(tmp_path, text):
            answer = until(lambda: _redirected(plain), what="the proxy")
            version = _handshake(tls)

        assert answer == (308, "https://app.example.com/a?b=1")
        assert version == "TLSv1.3"

    def test_it_ends_by_itself(self, tmp_path: Path) -> None:
        """SIGUSR1, with which the engine stops it, ends it once nobody is connected."""
        plain = free_port()
        redirect = proxy.Redirect(listen=plain, to="https://app.example.com")

        with running(tmp_path, proxy.configuration([], redirect=redirect)) as process:
            until(lambda: _redirected(plain), what="the proxy")
            # A process that has just started may miss the first one.
            until(lambda: _ended(process, signal.SIGUSR1), what="the end")

            assert process.returncode == 0


def _avoids(front: Front, task: object) -> bool:
    """Tell whether twenty requests in a row all went to other tasks."""
    seen = next(one.seen for one in front.tasks if one is task)
    before = len(seen)
    answers = {front.ask() for _ in range(20)}
    assert answers == {200}
    return len(seen) == before


def _ended(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    process.send_signal(number)
    return process.poll() is not None


def _redirected(port: int) -> tuple[int, str | None] | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/a?b=1")
        answer = connection.getresponse()
    except OSError:
        return None
    else:
        return answer.status, answer.getheader("Location")
    finally:
        connection.close()


def _handshake(port: int) -> str | None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
    connection.connect()
    version = connection.sock.version()
    connection.close()
    return version
