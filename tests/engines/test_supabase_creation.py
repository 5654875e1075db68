"""Whatever happens to a request that creates something, there is never a second one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from engines import supabase
from engines.supabase import Fate, Limiter, ManagementClient, Timing
from tests.fix_management import PROJECT, REF, TOKEN, WANTED, Service, answer

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = {"id": "1b8f2a6e-6f0e-4f0a-9d5e-0123456789ab", "algorithm": "ES256", "status": "standby"}
OLD_KEY = {**KEY, "id": "0b8f2a6e-6f0e-4f0a-9d5e-0123456789ab", "status": "in_use"}
OTHER_ID = "2b8f2a6e-6f0e-4f0a-9d5e-0123456789ab"
OTHER_KEY = {**KEY, "id": OTHER_ID, "public_jwk": {"kid": "k0"}}
ISSUER = {
    "id": KEY["id"],
    "type": "custom",
    "oidc_issuer_url": "https://a.test",
    "inserted_at": "",
    "updated_at": "",
}


@dataclass(frozen=True)
class Kind:
    """Something that can be created.

    Attributes:
        act: creates it with the client.
        path: where it is created.
        made: the answer to its creation.
        listed: the answer to a look, of what was there before and what was made since.
        look: where that look is.
    """

    act: Callable[[ManagementClient], Any]
    path: str
    made: dict[str, Any]
    listed: Callable[[list[dict[str, Any]]], Any]
    look: str


def _hostname(made: list[dict[str, Any]]) -> Any:
    return made[0] if made else {"custom_hostname": "", "status": "1_not_started"}


KINDS = {
    "project": Kind(lambda c: c.projects.create(WANTED), "/v1/projects", PROJECT, list, "/v1/projects"),
    "key": Kind(
        lambda c: c.keys.create(REF, "secret", "for_jobs"),
        f"/v1/projects/{REF}/api-keys",
        {"id": "1", "type": "secret", "name": "for_jobs", "api_key": "canary"},
        list,
        f"/v1/projects/{REF}/api-keys",
    ),
    "signing key": Kind(
        lambda c: c.signing_keys.create(REF, "ES256"),
        f"/v1/projects/{REF}/config/auth/signing-keys",
        KEY,
        lambda made: {"keys": [OLD_KEY, *made]},
        f"/v1/projects/{REF}/config/auth/signing-keys",
    ),
    "issuer": Kind(
        lambda c: c.third_parties.create(REF, {"oidc_issuer_url": "https://a.test"}),
        f"/v1/projects/{REF}/config/auth/third-party-auth",
        ISSUER,
        list,
        f"/v1/projects/{REF}/config/auth/third-party-auth",
    ),
    "hostname": Kind(
        lambda c: c.hostnames.claim(REF, "api.acme.test"),
        f"/v1/projects/{REF}/custom-hostname/initialize",
        {"custom_hostname": "api.acme.test", "status": "2_initiated"},
        _hostname,
        f"/v1/projects/{REF}/custom-hostname",
    ),
}


@dataclass
class Maker:
    """A service that makes things, and fails while it does.

    Attributes:
        kind: what it makes.
        faults: what happens to each creation in turn; None: it succeeds.
        is_made: whether a creation that fails makes the thing all the same.
        late: how many looks see nothing yet of what was made.
        look_s: seconds that a look takes.
        blind: what becomes of looks after the first creation; None: they succeed.
    """

    kind: Kind
    faults: list[httpx.Response | Exception | None]
    is_made: bool = False
    late: int = 0
    look_s: float = 0.0
    blind: Exception | None = None
    made: list[dict[str, Any]] = field(default_factory=list)
    creations: int = 0
    now: float = 0.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Create, or list what there is."""
        if request.method == "GET":
            assert request.url.path == self.kind.look
            self.now += self.look_s if self.creations else 0
            if self.blind and self.creations:
                raise self.blind
            self.late -= 1 if self.made else 0
            return httpx.Response(200, json=self.kind.listed(self.made if self.late < 0 else []))
        assert request.url.path == self.kind.path
        self.creations += 1
        fault = self.faults.pop(0) if self.faults else None
        if fault is None or self.is_made:
            self.made.append(self.kind.made)
        if isinstance(fault, Exception):
            raise fault
        return fault or httpx.Response(201, json=self.kind.made)

    def _pause(self, seconds: float) -> None:
        self.now += seconds

    def client(self) -> ManagementClient:
        """Give a client of this service."""
        timing = Timing(self._pause, lambda: self.now, 30)
        limiter = Limiter(self._pause, lambda: self.now)
        transport = httpx.MockTransport(self)
        return ManagementClient(
            "https://api.test", TOKEN, transport=transport, limiter=limiter, timing=timing
        )

    def create(self) -> Any:
        """Create the thing with a client."""
        with self.client() as client:
            return self.kind.act(client)


LOST = [
    httpx.ReadTimeout("slow"),
    httpx.ReadError("connection reset"),
    httpx.RemoteProtocolError("server disconnected"),
    httpx.WriteError("broken pipe"),
    httpx.Response(502, text="<html>bad gateway</html>"),
    httpx.Response(504, text="<html>gateway timeout</html>"),
    httpx.Response(520),
    httpx.Response(408),
    httpx.Response(201, text="<html>proxy</html>"),
]
ANSWERED = [httpx.Response(500), httpx.Response(503), httpx.Response(429, headers={"retry-after": "3"})]
UNSENT = [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("busy")]


def _name(fault: object) -> str:
    return str(fault.status_code) if isinstance(fault, httpx.Response) else type(fault).__name__


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fault", "late"),
    [*((one, late) for one in LOST for late in (0, 5)), *((one, 0) for one in ANSWERED[:2])],
)
def test_made_thing_is_taken(kind: str, fault: httpx.Response | Exception, late: int) -> None:
    """When the service made it but did not say so, it is found and taken, even if it shows late."""
    maker = Maker(KINDS[kind], [fault], is_made=True, late=late)

    maker.create()

    assert maker.creations == 1
    assert len(maker.made) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", LOST, ids=_name)
def test_lost_creation_is_not_repeated(kind: str, fault: httpx.Response | Exception) -> None:
    """When nobody knows whether it was made, that is said, and it is not sent again."""
    maker = Maker(KINDS[kind], [fault])

    with pytest.raises(supabase.UnavailableError, match="Nobody knows whether") as caught:
        maker.create()

    assert caught.value.fate is Fate.UNKNOWN
    assert "run the update again" in str(caught.value)
    assert maker.creations == 1
    # Longer than a service may take to go on with what it began.
    assert maker.now >= 40


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ANSWERED, ids=_name)
def test_failed_creation_is_repeated_after_a_look(kind: str, fault: httpx.Response) -> None:
    """When the service answered and nothing is there, it is asked again."""
    maker = Maker(KINDS[kind], [fault, fault])

    maker.create()

    assert maker.creations == 3
    assert len(maker.made) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", UNSENT, ids=_name)
def test_creation_that_never_left_is_repeated(kind: str, fault: Exception) -> None:
    """What did not reach the service is sent until it does."""
    maker = Maker(KINDS[kind], [fault, fault, fault])

    maker.create()

    assert maker.creations == 4
    assert len(maker.made) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_repeats_end(kind: str) -> None:
    """A service that keeps failing is told of, with nothing made."""
    maker = Maker(KINDS[kind], [httpx.Response(500)] * 10)

    with pytest.raises(supabase.UnavailableError, match="500 Internal Server Error"):
        maker.create()

    assert maker.creations == 3
    assert maker.made == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [400, 401, 403, 409, 422])
def test_refusal_is_told_at_once(kind: str, status: int) -> None:
    """What the service refuses is neither looked for nor repeated."""
    maker = Maker(KINDS[kind], [httpx.Response(status, json={"message": "limit reached"})])

    with pytest.raises(supabase.SupabaseError, match="limit reached"):
        maker.create()

    assert maker.creations == 1
    assert maker.now == 0


# What the next run finds, by what each of them is told.
AGAIN = {
    **{name: KINDS[name] for name in ("key", "issuer", "hostname")},
    "issuer with nulls": replace(
        KINDS["issuer"],
        act=lambda c: c.third_parties.create(REF, {"oidc_issuer_url": "https://a.test", "jwks_url": None}),
    ),
    "signing key with a name": replace(
        KINDS["signing key"],
        act=lambda c: c.signing_keys.create(REF, "ES256", {"kty": "EC", "kid": "k1", "d": "canary"}),
        made={**KEY, "public_jwk": {"kty": "EC", "kid": "k1"}},
        listed=lambda made: {"keys": [OLD_KEY, OTHER_KEY, *made]},
    ),
    "signing key beside known ones": replace(
        KINDS["signing key"],
        act=lambda c: c.signing_keys.create(REF, "ES256", known=[OTHER_ID]),
        listed=lambda made: {"keys": [OLD_KEY, OTHER_KEY, *made]},
    ),
}


@pytest.mark.parametrize("kind", AGAIN)
def test_next_run_takes_over(kind: str) -> None:
    """What was made, and shows only when the patience is over, is taken by the next run."""
    maker = Maker(AGAIN[kind], [httpx.ReadTimeout("slow")], is_made=True, late=20)

    with pytest.raises(supabase.UnavailableError, match="run the update again: it takes over what it finds"):
        maker.create()
    maker.create()

    assert maker.creations == 1
    assert len(maker.made) == 1


def test_what_cannot_be_told_apart_is_not_promised() -> None:
    """A signing key that nothing tells from others is not taken over, and the text says so."""
    maker = Maker(KINDS["signing key"], [httpx.ReadTimeout("slow")])

    with pytest.raises(supabase.UnavailableError, match="remove what you find before you run") as caught:
        maker.create()

    assert "takes over" not in str(caught.value)


def test_nulls_are_not_sent() -> None:
    """A source that is not set is left out of the request."""
    service = Service(answer(200, []), answer(201, ISSUER))

    with service.client() as client:
        client.third_parties.create(REF, {"oidc_issuer_url": "https://a.test", "jwks_url": None})

    assert json.loads(service.requests[1].content) == {"oidc_issuer_url": "https://a.test"}


@pytest.mark.parametrize("there", [{"description": "other"}, {"secret_jwt_template": {"role": "anon"}}])
def test_other_key_of_the_name_is_no_match(there: dict[str, Any]) -> None:
    """A key that has the name and is another one is not taken, and the service's refusal is told."""
    key = {
        "id": "1",
        "type": "secret",
        "name": "for_jobs",
        "api_key": "canary",
        "description": "ours",
        **there,
    }
    service = Service(answer(200, [key]), answer(409, {"message": "exists already"}))

    with service.client() as client, pytest.raises(supabase.ConflictError, match="exists already"):
        client.keys.create(REF, "secret", "for_jobs", "ours")


def test_legacy_key_that_is_one_already_is_given() -> None:
    """The old secret is taken over once; who asks again gets the key."""
    service = Service(answer(200, OLD_KEY))

    with service.client() as client:
        assert client.signing_keys.take_over_legacy(REF).id == OLD_KEY["id"]
    assert service.methods() == ["GET"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", [*LOST, *ANSWERED], ids=_name)
def test_creation_and_look_that_both_fail_are_told(kind: str, fault: httpx.Response | Exception) -> None:
    """When the look cannot reach the service either, the creation is what is in doubt, not the look."""
    maker = Maker(KINDS[kind], [fault], blind=httpx.ConnectError("no route"))

    with pytest.raises(supabase.UnavailableError, match=r"Nobody knows whether .*no route") as caught:
        maker.create()

    assert caught.value.fate is Fate.UNKNOWN
    assert re.match("creating|claiming|adding", str(caught.value))
    assert maker.creations == 1


def test_look_ends_by_the_clock() -> None:
    """Looks that take long end when the patience is over, and the text has the time that really passed."""
    maker = Maker(KINDS["project"], [httpx.ReadTimeout("slow")], look_s=15)

    with pytest.raises(supabase.UnavailableError, match="nothing was found for 51 s"):
        maker.create()


def test_blind_look_creates_nothing() -> None:
    """A service that cannot be looked at is not asked to create again."""
    calls: list[str] = []

    def broken(request: httpx.Request) -> httpx.Response:
        calls.append(request.method)
        return httpx.Response(500)

    timing = Timing(lambda _: None, lambda: 0.0, 30)
    transport = httpx.MockTransport(broken)
    with (
        ManagementClient(
            "https://api.test", TOKEN, transport=transport, limiter=Limiter(), timing=timing
        ) as client,
        pytest.raises(supabase.UnavailableError, match=r"creating the project.*listing the projects failed"),
    ):
        client.projects.create(WANTED)

    assert calls.count("POST") == 1


@pytest.mark.parametrize(
    ("way", "before", "after"), [("pause", "ACTIVE_HEALTHY", "PAUSING"), ("restore", "INACTIVE", "COMING_UP")]
)
def test_turn_whose_answer_was_lost_is_not_repeated(way: str, before: str, after: str) -> None:
    """A project that is on its way to the wanted state is not asked to go there again."""
    asked: list[str] = []

    def service(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={**PROJECT, "status": after if asked else before})
        asked.append(request.url.path)
        raise httpx.ReadTimeout("slow")

    timing = Timing(lambda _: None, lambda: 0.0, 30)
    transport = httpx.MockTransport(service)
    with ManagementClient(
        "https://api.test", TOKEN, transport=transport, limiter=Limiter(), timing=timing
    ) as client:
        getattr(client.projects, way)(REF)

    assert asked == [f"/v1/projects/{REF}/{way}"]


def test_sql_is_never_sent_twice() -> None:
    """SQL that may write is not repeated after an answer that was lost, and the text says so."""
    sent: list[bytes] = []

    def service(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        raise httpx.ReadTimeout("slow")

    timing = Timing(lambda _: None, lambda: 0.0, 30)
    transport = httpx.MockTransport(service)
    with (
        ManagementClient(
            "https://api.test", TOKEN, transport=transport, limiter=Limiter(), timing=timing
        ) as client,
        pytest.raises(supabase.UnavailableError, match="nobody knows whether it was carried out"),
    ):
        client.database.query(REF, "insert into t values (1)")

    assert len(sent) == 1
