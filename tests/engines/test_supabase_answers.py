"""What the client makes of answers that are broken, huge, slow, cut, or from something else."""

from __future__ import annotations

import gzip
import threading
from typing import TYPE_CHECKING

import httpx
import pytest

from engines import supabase
from engines.supabase import Limiter, ManagementClient, Timing, session
from tests.fix_management import PROJECT, REF, TOKEN, Service, answer

if TYPE_CHECKING:
    from collections.abc import Iterator

HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


class Stream(httpx.SyncByteStream):
    """A body that comes piece by piece, and may break off."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        """Take the pieces."""
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        """Give the pieces."""
        return self.pieces


class Clock:
    """Time that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        """Tell it."""
        return self.now


def client(handler: object, clock: Clock | None = None) -> ManagementClient:
    """Give a client of a handler, which does not really wait."""
    timing = Timing(lambda _: None, clock or Clock(), 30)
    transport = handler if isinstance(handler, httpx.BaseTransport) else httpx.MockTransport(handler)  # type: ignore[arg-type] # a test's handler
    return ManagementClient(
        "https://api.test", TOKEN, transport=transport, limiter=Limiter(lambda _: None), timing=timing
    )


@pytest.mark.parametrize("status", [400, 403, 500, 502])
def test_page_is_not_shown(status: int) -> None:
    """Of an HTML page only the status is told."""
    service = Service(httpx.Response(status, content=HTML, headers={"content-type": "text/html"}))

    with service.client() as asked, pytest.raises(supabase.SupabaseError) as caught:
        asked.projects.get(REF)

    assert f": {status} " in str(caught.value)
    assert "<" not in str(caught.value)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"message": "plain"}, "plain"),
        ({"message": ["name is short", "region is wrong"]}, "name is short; region is wrong"),
        ({"error": {"code": "bad_request", "message": "of the second version"}}, "of the second version"),
        ({"error": "only a text"}, "only a text"),
        ({"message": ""}, "Bad Request"),
        ([], "Bad Request"),
        ("text", "Bad Request"),
        ({"message": None}, "Bad Request"),
        ({"message": "x" * 10_000}, "x" * 500 + "…"),
    ],
)
def test_words_of_the_service_are_told(body: object, words: str) -> None:
    """The service's reason is told in each form that it may have, and cut when it is endless."""
    service = Service(httpx.Response(400, json=body))

    with service.client() as asked, pytest.raises(supabase.RejectedError) as caught:
        asked.projects.get(REF)

    assert str(caught.value).endswith(f": 400 {words}")


@pytest.mark.parametrize("status", [301, 302, 307])
def test_redirect_is_not_followed(status: int) -> None:
    """A token is not carried to another place."""
    service = Service(answer(status, None, location="https://evil.test/"))

    with service.client() as asked, pytest.raises(supabase.UnexpectedAnswerError, match=f"status {status}"):
        asked.projects.get(REF)

    assert len(service.requests) == 1


def test_broken_compression_is_told() -> None:
    """A body that is not compressed as it says is no answer of the service."""

    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Stream(iter([b"not gzip"])), headers={"content-encoding": "gzip"})

    with client(handler) as asked, pytest.raises(supabase.UnexpectedAnswerError, match="compression"):
        asked.projects.get(REF)


def test_huge_answer_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer without end is refused before it fills the memory."""
    monkeypatch.setattr(session, "LARGEST_ANSWER", 1 << 20)
    given: list[int] = []

    def handler(_: httpx.Request) -> httpx.Response:
        def pieces() -> Iterator[bytes]:
            while True:
                given.append(1)
                yield b" " * (1 << 18)

        return httpx.Response(200, stream=Stream(pieces()))

    with client(handler) as asked, pytest.raises(supabase.UnexpectedAnswerError, match="more than 1 MiB"):
        asked.projects.get(REF)

    assert len(given) < 10


def test_small_answer_that_swells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the size that an answer has when it is unpacked."""
    monkeypatch.setattr(session, "LARGEST_ANSWER", 1 << 20)
    packed = gzip.compress(b" " * (1 << 24))

    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Stream(iter([packed])), headers={"content-encoding": "gzip"})

    with client(handler) as asked, pytest.raises(supabase.UnexpectedAnswerError, match="more than 1 MiB"):
        asked.projects.get(REF)


def test_trickling_answer_ends() -> None:
    """A server that sends a byte now and then does not hold an update for ever."""
    clock = Clock()

    def trickle() -> Iterator[bytes]:
        while True:
            clock.now += 20
            yield b" "

    with (
        client(lambda _: httpx.Response(200, stream=Stream(trickle())), clock) as asked,
        pytest.raises(supabase.UnavailableError, match="not complete after 60 s"),
    ):
        asked.projects.get(REF)


def test_cut_answer_is_asked_for_again() -> None:
    """A connection that is cut in the middle of an answer is a passing fault."""
    tries: list[int] = []

    def cut() -> Iterator[bytes]:
        yield b'{"ref": '
        raise httpx.ReadError("connection reset")

    def handler(_: httpx.Request) -> httpx.Response:
        tries.append(1)
        return (
            httpx.Response(200, stream=Stream(cut())) if len(tries) < 3 else httpx.Response(200, json=PROJECT)
        )

    with client(handler) as asked:
        assert asked.projects.get(REF).ref == REF

    assert len(tries) == 3


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        ([{"id": 1}], "wrong at 0.id, 0.name, 0.slug, 0.status, 0.version"),
        ({}, "wrong at its top"),
        (3, "wrong at its top"),
    ],
)
def test_wrong_place_is_named(raw: object, where: str) -> None:
    """An answer of another shape is told by where it is wrong."""
    service = Service(answer(200, raw))

    with service.client() as asked, pytest.raises(supabase.UnexpectedAnswerError) as caught:
        asked.functions.all(REF)

    assert where in str(caught.value)


def test_new_fields_and_states_are_no_errors() -> None:
    """What the service adds is passed over, and a state that nobody knew is passed on."""
    body = [{"id": "1", "slug": "a", "name": "a", "status": "NEW_STATE", "version": 1, "more": {"x": 1}}]
    service = Service(answer(200, body))

    with service.client() as asked:
        assert asked.functions.all(REF)[0].status == "NEW_STATE"


@pytest.mark.parametrize(
    "message",
    [
        "Please enable the Custom Domain add-on for the project first.",
        "No custom hostname configuration found.",
        "Resource has been removed",
    ],
)
def test_no_hostname_is_none(message: str) -> None:
    """The ways in which the service says that there is no host name."""
    service = Service(answer(400, {"message": message}))

    with service.client() as asked:
        assert asked.hostnames.get(REF) is None


@pytest.mark.parametrize("message", ["No custom hostname configuration found.", "Resource has been removed"])
def test_hostname_that_is_gone_is_deleted(message: str) -> None:
    """A delete whose first answer was lost finds nothing any more, which is what was wanted."""
    service = Service(httpx.ReadTimeout("slow"), answer(400, {"message": message}))

    with service.client() as asked:
        asked.hostnames.delete(REF)

    assert service.methods() == ["DELETE", "DELETE"]


def test_other_refusal_to_delete_a_hostname_is_told() -> None:
    """What the service refuses for another reason is an error."""
    service = Service(answer(400, {"message": "locked"}))

    with service.client() as asked, pytest.raises(supabase.RejectedError, match="locked"):
        asked.hostnames.delete(REF)


def test_files_have_their_names() -> None:
    """Names of files that are not ASCII come back as they are, in each spelling of a form."""
    head = 'content-disposition: form-data; name="file"; '
    parts = [('filename="a/ü €.ts"', "1"), ("filename*=UTF-8''%C3%A4.ts", "2")]
    form = "".join(f"--b\r\n{head}{name}\r\n\r\n{content}\r\n" for name, content in parts) + "--b--\r\n"
    service = Service(
        httpx.Response(
            200, content=form.encode(), headers={"content-type": "multipart/form-data; boundary=b"}
        )
    )

    with service.client() as asked:
        assert asked.functions.files(REF, "hello") == {"a/ü €.ts": b"1", "ä.ts": b"2"}


def test_parts_are_asked_for_at_the_same_time() -> None:
    """All parts of a project are asked for in one round: ten requests are under way at once."""
    together = threading.Barrier(10, timeout=30)
    started = iter(range(1000))

    def handler(_: httpx.Request) -> httpx.Response:
        if next(started) < 10:
            together.wait()
        return httpx.Response(404, json={"message": "no"})

    with client(handler) as asked:
        found = supabase.read_project(asked, REF)

    assert found.keys() == supabase.PARTS.keys()
    assert found["legacy_keys"] is None
    assert isinstance(found["auth"], supabase.NotFoundError)


def test_one_part_s_refusal_leaves_the_others() -> None:
    """A part that the plan does not include is an error of its own."""

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/billing/addons"):
            return httpx.Response(403, json={"message": "not on this plan"})
        return httpx.Response(200, json=PROJECT)

    with client(handler) as asked:
        found = supabase.read_project(asked, REF, ["project", "addons"])

    assert found["project"] == supabase.Project(
        REF, "demo", "groundwork", "eu-central-1", "ACTIVE_HEALTHY", f"db.{REF}.supabase.co"
    )
    assert isinstance(found["addons"], supabase.ForbiddenError)
