"""Every request of every provider meets every fault, and each operation ends well or says why not.

Afterwards, the faults gone, the same operation brings the platform to what is wanted: nothing twice, nothing
lost. The requests are those that an undisturbed run sends, so that a new one is covered by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from engines.errors import GroundworkError
from providers import _access
from tests.providers.faulty import LATE_S, WAITING, Haste, cases, readings
from tests.providers.faulty_subjects import CANARY, Subject, inner, named, sections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fix_named import Driver

NAMES = (
    *("auth", "postgrest", "postgres", "pooler", "storage", "realtime", "ssl", "network", "function secrets"),
    *("hello", "faulty", "for_faults", "signing key", "issuer", "add-on", "host name"),
    *("project", "owner", "vault", "shop"),
)
# What a stack only sets stays when the stack goes.
MADE = ("function secrets", "hello", "faulty", "for_faults", "issuer", "host name", "vault", "shop")


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Subject]:
    """Give everything by name."""
    every = [*sections(), *named(tmp_path_factory.mktemp("functions")), *inner()]
    assert [one.name for one in every] == list(NAMES)
    return {one.name: one for one in every}


@pytest.fixture
def haste() -> Iterator[Haste]:
    """Let all clients live in a time of short pauses."""
    made = Haste()
    with pytest.MonkeyPatch.context() as patch:
        made.install(patch)
        yield made


@dataclass
class Trial:
    """One operation on one subject under faults.

    Attributes:
        start: brings the platform to where the operation begins, and gives the state that the stack has then.
        act: the operation, on that state.
    """

    driver: Driver
    haste: Haste
    subject: Subject
    start: Callable[[], dict[str, Any]]
    act: Callable[[dict[str, Any]], Any]

    def run(self) -> None:
        """Learn the requests of an undisturbed run, then disturb each of them in each way."""
        state = self.start()
        _access.forget()
        with self.haste.recording() as requests:
            self.act(state)
        wanted = self.subject.live(self.driver)
        assert requests
        for faults in cases(list(dict.fromkeys(requests))):
            self._disturbed(faults, wanted)

    def _disturbed(self, faults: list[dict[str, Any]], wanted: Any) -> None:
        state = self.start()
        for fault in faults:
            self.driver.fault(**fault)
        with self.haste.losing(faults):
            error = self._attempt(state)
        settle(self.driver, faults)
        if error is None:
            assert self.subject.live(self.driver) == wanted, f"not what is wanted after {faults}"
            return
        told(self.driver, self.subject, error, faults)
        assert self._attempt(state) is None, f"not repaired by the next update after {faults}"
        assert self.subject.live(self.driver) == wanted, f"not what is wanted in the end after {faults}"

    def _attempt(self, state: dict[str, Any]) -> str | None:
        """Do it, and give the error's text; anything but an error of ours fails the test."""
        _access.forget()
        try:
            self.act(state)
        except GroundworkError as error:
            return str(error)
        return None


def settle(driver: Driver, faults: list[dict[str, Any]]) -> None:
    """Forget the faults; what is still under way at the service has ended then."""
    emulator = driver.project.emulator
    emulator.client.delete("/emulator/faults").raise_for_status()
    if faults[0]["kind"] in WAITING:
        # It began to wait later than all others, and so ends later.
        driver.fault(kind="slow", method="GET", path="/v1/organizations", seconds=LATE_S * 1.2)
        emulator.client.get("/v1/organizations").raise_for_status()


def told(driver: Driver, subject: Subject, text: str, faults: list[dict[str, Any]]) -> None:
    """Hold that an error says what it is about, and no secret."""
    assert driver.ref in text or subject.name in text, f"{text!r} after {faults} does not say what failed"
    emulator = driver.project.emulator
    for secret in (CANARY, emulator.token, driver.project.password):
        assert secret not in text, f"a secret in the error after {faults}"


def outputs(result: Any) -> dict[str, Any]:
    """Give what a stack knows after an operation."""
    return dict(result.outs or {})


def emptied(driver: Driver, subject: Subject) -> None:
    """Bring the platform to where a stack finds nothing of its own."""
    if subject.name == "host name":
        driver.client.addons.apply(driver.ref, "custom_domain", "cd_default")
    subject.clear(driver)


@pytest.fixture
def subject(
    request: pytest.FixtureRequest, subjects: dict[str, Subject], driver: Driver
) -> Iterator[Subject]:
    """Give one of them, not there before and after a test."""
    found = subjects[request.param]
    emptied(driver, found)
    yield found
    found.clear(driver)


def made(driver: Driver, subject: Subject) -> dict[str, Any]:
    """Make it undisturbed, and give what the stack knows."""
    return outputs(subject.provider.create(subject.inputs(driver, subject.wanted, {})))


@pytest.mark.parametrize("subject", NAMES, indirect=True)
def test_create(subject: Subject, driver: Driver, haste: Haste) -> None:
    """What is made is made once, whatever happens to a request."""
    news = subject.inputs(driver, subject.wanted, {})

    def start() -> dict[str, Any]:
        subject.clear(driver)
        return {}

    Trial(driver, haste, subject, start, lambda _: subject.provider.create(news)).run()


@pytest.mark.parametrize("subject", [name for name in NAMES if name != "issuer"], indirect=True)
def test_update(subject: Subject, driver: Driver, haste: Haste) -> None:
    """What is changed is changed wholly in the end, and nothing else is."""

    def start() -> dict[str, Any]:
        subject.clear(driver)
        return made(driver, subject)

    def act(olds: dict[str, Any]) -> None:
        subject.provider.update(driver.ref, olds, subject.inputs(driver, subject.changed, olds))

    Trial(driver, haste, subject, start, act).run()


@pytest.mark.parametrize("subject", MADE, indirect=True)
def test_delete(subject: Subject, driver: Driver, haste: Haste) -> None:
    """What a stack made goes; what it only set stays."""

    def start() -> dict[str, Any]:
        subject.clear(driver)
        return made(driver, subject)

    Trial(driver, haste, subject, start, lambda olds: subject.provider.delete(driver.ref, olds)).run()


def test_refresh(subjects: dict[str, Subject], driver: Driver, haste: Haste) -> None:
    """What cannot be read is told; it is never taken for gone, nor for something else."""
    for one in subjects.values():
        emptied(driver, one)
    outs = {name: made(driver, one) for name, one in subjects.items()}
    with haste.recording() as requests:
        quiet = refreshed(driver, subjects, outs)
    assert not [found for found in quiet.values() if isinstance(found, str)]

    for faults in readings(list(dict.fromkeys(requests))):
        driver.forget()
        for fault in faults:
            driver.fault(**fault)
        with haste.losing(faults):
            seen = refreshed(driver, subjects, outs)
        settle(driver, faults)
        unread = {name: found for name, found in seen.items() if isinstance(found, str)}
        for name, text in unread.items():
            told(driver, subjects[name], text, faults)
        assert {**seen, **unread} == {**quiet, **unread}, f"read otherwise after {faults}"
    for one in subjects.values():
        one.clear(driver)


def refreshed(
    driver: Driver, subjects: dict[str, Subject], outs: dict[str, dict[str, Any]]
) -> dict[str, tuple[Any, ...] | str]:
    """Refresh all, and give what the stack would know of each then, or the error's text."""
    return {name: _read(driver, one, outs[name]) for name, one in subjects.items()}


def _read(driver: Driver, subject: Subject, outs: dict[str, Any]) -> tuple[Any, ...] | str:
    try:
        result = subject.provider.read(driver.ref, outs)
    except GroundworkError as error:
        return str(error)
    return result.id, dict(result.outs or {}), dict(result.inputs or {})


@pytest.mark.usefixtures("haste")
def test_preview(subjects: dict[str, Subject], driver: Driver) -> None:
    """A preview needs no platform that answers: it checks what can be checked without."""
    driver.fault(kind="status", status=503, path="/v[12]/.*", times=1000)
    for one in subjects.values():
        # Each of them fails when anything is refused.
        olds = one.inputs(driver, one.wanted, {})
        news = one.inputs(driver, one.changed, olds)
        assert one.provider.diff(driver.ref, olds, news).changes is (one.name != "issuer")
