"""The rate limit is kept by what the answers say of it, by all threads and clients of a token together."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import httpx
import pytest

from emulator.frame import RateLimit
from engines import supabase
from engines.supabase import Limiter, ManagementClient, Timing
from engines.supabase.limits import shared_limiter
from tests.fix_management import PROJECT, REF, TOKEN, Service, answer

PATH = f"/v1/projects/{REF}"
HOSTNAME = f"{PATH}/custom-hostname"


@dataclass
class Time:
    """A clock that a pause moves on."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def clock(self) -> float:
        """Tell the time."""
        return self.now

    def pause(self, seconds: float) -> None:
        """Let time pass at once."""
        with self.lock:
            self.now += seconds
            self.pauses.append(seconds)

    def limiter(self) -> Limiter:
        """Give a limiter that lives in this time."""
        return Limiter(self.pause, self.clock)


def headers(remaining: int, reset: int = 60, limit: int = 120) -> dict[str, str]:
    """Make the headers of an answer."""
    return {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(reset),
    }


def pass_through(limiter: Limiter, remaining: int, path: str = PATH, reset: int = 60) -> None:
    """Send one request that is answered at once."""
    limiter.enter(path)
    limiter.leave(path, 200, headers(remaining, reset))


def test_nothing_known_lets_through() -> None:
    """A service that says nothing of limits is not waited for."""
    time = Time()
    limiter = time.limiter()

    for _ in range(1000):
        limiter.enter(PATH)
        limiter.leave(PATH, 200, {})

    assert time.pauses == []


def test_last_request_of_a_window_waits_for_the_next() -> None:
    """With nothing left the next request waits until the window ends, and no longer than a little more."""
    time = Time()
    limiter = time.limiter()
    pass_through(limiter, 0, reset=17)

    limiter.enter(PATH)

    assert len(time.pauses) == 1
    assert 17 <= time.pauses[0] <= 18


def test_requests_under_way_count() -> None:
    """What was sent and not answered yet uses up what is left."""
    time = Time()
    limiter = time.limiter()
    pass_through(limiter, 2)
    limiter.enter(PATH)
    limiter.enter(PATH)
    assert time.pauses == []

    limiter.enter(PATH)

    assert len(time.pauses) == 1


def test_answer_does_not_know_of_requests_under_way() -> None:
    """What an answer says is left is less by the requests that the service has not seen yet."""
    time = Time()
    limiter = time.limiter()
    limiter.enter(PATH)
    limiter.enter(PATH)
    limiter.leave(PATH, 200, headers(1))

    limiter.enter(PATH)

    assert len(time.pauses) == 1


def test_answers_that_overtake_do_not_add() -> None:
    """An older answer with a larger number gives nothing back."""
    time = Time()
    limiter = time.limiter()
    limiter.enter(PATH)
    limiter.enter(PATH)
    limiter.leave(PATH, 200, headers(0))
    limiter.leave(PATH, 200, headers(1))

    limiter.enter(PATH)

    assert len(time.pauses) == 1


def test_window_that_ended_is_full_again() -> None:
    """After a quiet minute nothing is waited for."""
    time = Time()
    limiter = time.limiter()
    pass_through(limiter, 0, reset=10)
    time.now += 11

    for _ in range(100):
        limiter.enter(PATH)

    assert time.pauses == []


def test_domains_have_their_own_window() -> None:
    """The small limit of domain routes does not hold up the others."""
    time = Time()
    limiter = time.limiter()
    pass_through(limiter, 0, HOSTNAME)

    limiter.enter(PATH)
    assert time.pauses == []

    limiter.enter(HOSTNAME)
    assert len(time.pauses) == 1


def test_clock_that_stands_still_ends_no_wait_twice() -> None:
    """A wait ends when its time was waited, whatever the clock says."""
    pauses: list[float] = []
    limiter = Limiter(pauses.append, lambda: 0.0)
    pass_through(limiter, 0)

    limiter.enter(PATH)
    limiter.enter(PATH)

    assert len(pauses) == 1


def test_absurd_wait_is_cut() -> None:
    """No answer makes a request wait for more than a little over a window."""
    time = Time()
    limiter = time.limiter()
    limiter.enter(PATH)
    limiter.leave(PATH, 429, {"retry-after": "86400"})

    limiter.enter(PATH)

    assert 65 <= time.pauses[0] <= 66


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({"retry_after": "17"}, 17),
        ({"x_ratelimit_reset": "17"}, 17),
        ({"retry_after": "20", "x_ratelimit_reset": "17"}, 20),
        ({"retry_after": "Sat, 21 Nov 2026 10:00:09 GMT", "date": "Sat, 21 Nov 2026 10:00:00 GMT"}, 9),
    ],
)
def test_refused_request_waits_as_told(given: dict[str, str], seconds: int) -> None:
    """After 429 the client waits as long as the server says, in each of its ways to say it."""
    service = Service(answer(429, None, **given), answer(200, PROJECT))

    with service.client() as client:
        client.projects.get(REF)

    assert len(service.pauses) == 1
    assert seconds <= service.pauses[0] <= seconds + 1


@pytest.mark.parametrize(
    "given", [{}, {"retry_after": "soon"}, {"x_ratelimit_reset": "-1"}, {"x_ratelimit_reset": "0"}]
)
def test_refused_request_without_a_time_backs_off(given: dict[str, str]) -> None:
    """After 429 without a usable time the client waits for a while of its own."""
    service = Service(answer(429, None, **given), answer(200, PROJECT))

    with service.client() as client:
        client.projects.get(REF)

    assert len(service.pauses) == 1
    assert 0 < service.pauses[0] <= 1.5


def test_busy_service_says_when_to_come_back() -> None:
    """A 503 with `retry-after` is repeated after that time."""
    service = Service(answer(503, None, retry_after="7"), answer(200, PROJECT))

    with service.client() as client:
        client.projects.get(REF)

    assert 7 <= service.pauses[0] <= 8


def test_limit_s_time_is_not_the_failure_s() -> None:
    """A 503 that also says when the limit's window ends is repeated after its `retry-after`."""
    told = {"retry_after": "7", "x_ratelimit_reset": "50", "x_ratelimit_remaining": "9"}
    service = Service(answer(503, None, **told), answer(200, PROJECT))

    with service.client() as client:
        client.projects.get(REF)

    assert len(service.pauses) == 1
    assert 7 <= service.pauses[0] <= 8


def test_failure_s_time_is_not_the_limit_s() -> None:
    """The `retry-after` of anything but a 429 does not move the end of the window."""
    time = Time()
    limiter = time.limiter()
    limiter.enter(PATH)
    limiter.leave(PATH, 503, {**headers(0, reset=5), "retry-after": "40"})

    limiter.enter(PATH)

    assert 5 <= time.pauses[0] <= 6


def test_windows_that_roll_over_hold_nobody_up() -> None:
    """Whole seconds let an old window seem to last on; what is left of it does not count for the next one."""
    time = Time()
    limiter, service = time.limiter(), RateLimit(120, time.clock)

    while time.now < 1200:
        entered_at = limiter.enter(PATH)
        allowance = service.take()
        assert allowance is not None
        limiter.leave(PATH, 200, allowance.headers(), entered_at)
        time.now += 2.15

    assert time.pauses == []


def test_answer_of_a_window_that_is_over_is_ignored() -> None:
    """A create that took long tells of the window in which it began; that one ended."""
    time = Time()
    limiter = time.limiter()
    entered_at = limiter.enter(PATH)
    time.now = 100
    limiter.leave(PATH, 201, headers(0, reset=50), entered_at)

    limiter.enter(PATH)

    assert time.pauses == []


def test_late_answer_does_not_move_the_window() -> None:
    """An answer that was under way for long is of the same window, which ends when the others said."""
    time = Time()
    limiter = time.limiter()
    entered_at = limiter.enter(PATH)
    time.now = 30
    pass_through(limiter, 1, reset=30)
    limiter.leave(PATH, 201, headers(100, reset=60), entered_at)
    limiter.enter(PATH)

    limiter.enter(PATH)

    assert len(time.pauses) == 1
    assert 30 <= time.pauses[0] <= 31


def test_late_refusal_counts() -> None:
    """After 429 the wait is what the service says, however long the answer took."""
    time = Time()
    limiter = time.limiter()
    entered_at = limiter.enter(PATH)
    time.now = 100
    limiter.leave(PATH, 429, {"retry-after": "20"}, entered_at)

    limiter.enter(PATH)

    assert 20 <= time.pauses[0] <= 21


def test_limiter_belongs_to_service_and_token() -> None:
    """Clients of one service with one token share what they know; others do not."""
    one = shared_limiter("https://a.test", "t1")

    assert shared_limiter("https://a.test", "t1") is one
    assert shared_limiter("https://a.test", "t2") is not one
    assert shared_limiter("https://b.test", "t1") is not one


@dataclass
class LimitedService:
    """Takes 120 requests a minute, as the real one does, and refuses the rest.

    Attributes:
        requests: how many it took.
        refused: how many it refused.
    """

    time: Time
    requests: int = 0
    refused: int = 0
    _ends_at: float = 60.0
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Count a request and answer it."""
        with self._lock:
            if self.time.now >= self._ends_at:
                self._ends_at, self._count = self.time.now + 60, 0
            self._count += 1
            left = 120 - self._count
            told = headers(max(left, 0), int(self._ends_at - self.time.now) + 1)
            if left < 0:
                self.refused += 1
                return httpx.Response(429, json={"message": "Too Many Requests"}, headers=told)
            self.requests += 1
            status = 404 if request.url.path.endswith("/legacy") else 200
            return httpx.Response(status, json={"message": "no"} if status == 404 else {}, headers=told)

    def client(self, limiter: Limiter) -> ManagementClient:
        """Give a client of this service."""
        timing = Timing(self.time.pause, self.time.clock, 30)
        transport = httpx.MockTransport(self)
        return ManagementClient(
            "https://api.test", TOKEN, transport=transport, limiter=limiter, timing=timing
        )


def test_ten_projects_stay_within_the_limit() -> None:
    """All settings of ten projects are read with one token, and not one request is refused."""
    time = Time()
    service = LimitedService(time)

    with service.client(time.limiter()) as client:
        for number in range(10):
            supabase.read_project(client, f"{number}".rjust(20, "a"))

    assert service.refused == 0
    assert service.requests == 10 * len(supabase.PARTS)
    assert time.pauses


def test_clients_that_know_nothing_of_each_other_share_the_limit() -> None:
    """Programs of their own learn from the answers what the others used."""
    time = Time()
    service = LimitedService(time)
    clients = [service.client(time.limiter()) for _ in range(3)]

    for turn in range(400):
        with pytest.raises(supabase.UnexpectedAnswerError):
            clients[turn % 3].projects.get(REF)

    assert service.requests == 400
    # Who has asked nothing since the window began cannot know that it is used up.
    assert service.refused <= 3 * 3
