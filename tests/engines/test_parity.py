"""Each place proves what it holds of the secrets, by real services, databases and vaults."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import conninfo

from engines import logins, parity, ports, vault
from engines.parity import Known, ParityError, Stack
from tests.holders import Holder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHARED = {"1": "old-value", "2": "new-value"}
STRANGER = "CANARY-stranger"


def known(**changes: Any) -> dict[str, Known]:
    """Give one secret that the agent checks and the app presents."""
    wanted = {"current": "2", "values": SHARED, "presents": ("app",), "checks": ("agent",)}
    return {"shared": Known(**{**wanted, **changes})}


def holding(**versions: str) -> dict[str, dict[str, str]]:
    """Give what a replica holds of that secret: label → value."""
    return {"shared": {label.removeprefix("v"): value for label, value in versions.items()}}


BOTH, CURRENT = holding(v2="new-value", v1="old-value"), holding(v2="new-value")


@pytest.fixture
def holder() -> Iterator[Callable[..., Holder]]:
    """Run services that hold secrets."""
    running: list[Holder] = []

    def start(*replicas: dict[str, dict[str, str]]) -> Holder:
        running.append(Holder(*replicas))
        return running[-1]

    yield start
    for one in running:
        one.close()


def test_who_presents_holds_one_and_who_checks_holds_all(holder: Callable[..., Holder]) -> None:
    """The matrix names the versions of each place, newest first, and no value."""
    stack = Stack(services={"app": holder(CURRENT).url, "agent": holder(BOTH).url})

    found = parity.prove(stack, known(), timeout_s=0)

    assert found == {"shared": {"agent": "2, 1", "app": "2"}}
    assert "value" not in str(known()) + str(stack)


@pytest.mark.parametrize(
    ("app", "agent", "expected"),
    [
        (holding(v1="old-value"), BOTH, "shared: app holds 1, wanted is 2"),
        (BOTH, BOTH, "shared: app holds 2, 1, wanted is 2"),
        (CURRENT, CURRENT, "shared: agent holds 2, wanted is 2, 1"),
        (CURRENT, holding(v2="new-value", v1=STRANGER), "shared: agent holds 2, unknown, wanted is 2, 1"),
        (holding(v1="new-value"), BOTH, "shared: app holds unknown, wanted is 2"),
        ({}, BOTH, "shared: app holds missing, wanted is 2"),
        ({"shared": {}}, BOTH, "shared: app holds missing, wanted is 2"),
    ],
)
def test_a_mismatch_is_named(
    holder: Callable[..., Holder], app: dict[str, Any], agent: dict[str, Any], expected: str
) -> None:
    """Secret, place, what it holds and what is wanted; never a value."""
    services = {"app": holder(app).url, "agent": holder(agent).url}
    with pytest.raises(ParityError) as caught:
        parity.prove(Stack(services=services), known(), timeout_s=0)

    assert str(caught.value).startswith(f"{expected}. Each place gets its secrets in an update")
    assert STRANGER not in str(caught.value)
    assert parity.check_services(services["app"], services["agent"], known()) == [expected]


def test_every_replica_is_asked(holder: Callable[..., Holder]) -> None:
    """One of four that was left behind is found, though each answer may come from another one."""
    app = holder(CURRENT, CURRENT, CURRENT, holding(v1="old-value"))
    services = {"app": app.url, "agent": holder(BOTH).url}

    assert parity.check_services(**{f"{key}_url": url for key, url in services.items()}, known=known()) == [
        "shared: app holds 1, wanted is 2"
    ]
    assert parity.matrix(known(), parity.look(Stack(services=services), known()))["shared"]["app"] == "2 or 1"


def test_a_service_that_says_nothing_holds_nothing(holder: Callable[..., Holder]) -> None:
    """Nobody listens, or something else does."""
    nobody, other = f"http://127.0.0.1:{ports.free_port()}", holder([])
    other.document = lambda _: []  # type: ignore[assignment,method-assign,return-value]

    assert parity.check_services(nobody, other.url, known()) == [
        "shared: agent holds missing, wanted is 2, 1",
        "shared: app holds missing, wanted is 2",
    ]


def test_places_may_need_a_moment(holder: Callable[..., Holder]) -> None:
    """A replica that is just being replaced answers once more."""
    app = holder(CURRENT)
    app.replicas = [holding(v1="old-value")] * 3 + [CURRENT] * 100
    stack = Stack(services={"app": app.url, "agent": holder(BOTH).url})

    assert parity.prove(stack, known(), timeout_s=30)["shared"]["app"] == "2"


def test_one_whose_version_nobody_told_is_recognised(holder: Callable[..., Holder]) -> None:
    """Services know no version of a plain value; its fingerprint tells."""
    url = holder({"database_password": {"current": "new-value"}}).url
    secret = known(checks=(), listed_as="database_password")

    assert parity.prove(Stack(services={"app": url}), secret, timeout_s=0) == {"shared": {"app": "2"}}


def test_the_next_version_is_held_in_advance(holder: Callable[..., Holder]) -> None:
    """Who checks a secret that replicas make themselves has its standby, too."""
    url = holder(holding(v3="next", v2="new-value", v1="old-value")).url
    secret = known(presents=(), checks=("app",), standby={"3": "next"})

    assert parity.prove(Stack(services={"app": url}), secret, timeout_s=0) == {"shared": {"app": "3, 2, 1"}}


class TestDatabase:
    """The vault's entry for scheduled calls, and the logins."""

    def test_the_vault_holds_the_current_one(self, empty_project: str) -> None:
        """It is recognised by its fingerprint; another value, and none, are told."""
        secret = known(checks=(), presents=("cron",))
        stack = Stack(services={}, dsn=empty_project)
        with pytest.raises(ParityError, match="shared: cron holds missing, wanted is 2"):
            parity.prove(stack, secret, timeout_s=0)
        vault.put_secret(empty_project, "shared", "old-value")
        with pytest.raises(ParityError, match="shared: cron holds 1, wanted is 2"):
            parity.prove(stack, secret, timeout_s=0)
        vault.put_secret(empty_project, "shared", "new-value")

        assert parity.prove(stack, secret, timeout_s=0) == {"shared": {"cron": "2"}}

    @pytest.fixture
    def login(self, empty_project: str) -> Iterator[Callable[..., Stack]]:
        """Make versions of a login, and give what there is to ask."""
        with psycopg.connect(empty_project, autocommit=True) as session:
            session.execute("create role stand_runtime")

        def put(version: int, *accept: int) -> Stack:
            spec = logins.LoginSpec("stand", "stand_runtime", version, SHARED[str(version)], accept)
            user = logins.ensure_login(empty_project, spec)
            url = conninfo.make_conninfo(empty_project, user=user, password=SHARED[str(version)])
            return Stack(services={}, dsn=empty_project, logins={"stand": url})

        yield put
        logins.drop_login(empty_project, "stand")
        with psycopg.connect(empty_project, autocommit=True) as session:
            session.execute("drop role stand_runtime")

    def test_logins_of_accepted_versions_are_open(self, login: Callable[..., Stack]) -> None:
        """A role that was closed is missed while it is accepted, and one that is open where it is not."""
        both = known(presents=(), checks=("database",), login="stand")
        one = known(presents=(), checks=("database",), login="stand", values={"2": "new-value"})
        login(1)
        stack = login(2, 1)

        assert parity.prove(stack, both, timeout_s=0) == {"shared": {"database": "2, 1"}}
        with pytest.raises(ParityError, match="shared: database holds 2, 1, wanted is 2"):
            parity.prove(stack, one, timeout_s=0)
        login(2)
        assert parity.prove(stack, one, timeout_s=0) == {"shared": {"database": "2"}}

    def test_the_password_of_the_service_is_tried(self, login: Callable[..., Stack]) -> None:
        """A role's mark alone does not prove that its service gets in."""
        secret = known(presents=(), checks=("database",), login="stand", values={"2": "new-value"})
        stack = login(2)
        wrong = conninfo.make_conninfo(stack.logins["stand"], password=STRANGER)
        stack = Stack(services={}, dsn=stack.dsn, logins={"stand": wrong})

        with pytest.raises(ParityError, match="shared: database holds refused, wanted is 2") as caught:
            parity.prove(stack, secret, timeout_s=0)
        assert STRANGER not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "held"), [("new-value", "2"), ("old-value", "1"), (STRANGER, "unknown"), (None, "missing")]
)
def test_functions_are_recognised_by_their_digests(value: str | None, held: str) -> None:
    """The platform shows SHA-256 of what it keeps."""
    digests = {} if value is None else {"TOKEN": hashlib.sha256(value.encode()).hexdigest()}
    secret = known(checks=(), presents=("functions.TOKEN",))
    found = parity.look(Stack(services={}, digests=lambda: digests), secret)

    assert parity.matrix(secret, found) == {"shared": {"functions.TOKEN": held}}


class TestDeliveries:
    """Signed test deliveries to the app."""

    @pytest.mark.parametrize(
        ("billing", "expected"),
        [
            (SHARED, []),
            ({"2": "new-value"}, ["the app answers a test delivery signed by version 1 by 401"]),
            (
                {"1": "new-value", "2": "old-value"},
                [
                    "the app takes a test delivery signed by version 1 for version 2",
                    "the app takes a test delivery signed by version 2 for version 1",
                ],
            ),
        ],
    )
    def test_accepted_versions_are_taken_and_strangers_refused(
        self, holder: Callable[..., Holder], billing: dict[str, str], expected: list[str]
    ) -> None:
        """Each version that the provider may sign by is tried, and a signature of nobody's."""
        app = holder({})
        app.billing = billing

        assert parity.deliver(app.url, known()["shared"]) == expected

    def test_an_app_that_takes_everything_is_told(
        self, holder: Callable[..., Holder], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A check of signatures that checks nothing is worse than none."""
        app = holder({})
        monkeypatch.setattr(app, "take", lambda *_: (200, {"version": "2"}))
        problems = parity.deliver(app.url, known(values={"2": "new-value"})["shared"])

        assert problems == ["the app answers a delivery that a stranger signed by 200, wanted is 401"]

    def test_a_refused_delivery_fails_the_proof(self, holder: Callable[..., Holder]) -> None:
        """The billing secret is proven by fingerprint and by delivery."""
        app = holder({"billing_webhook_secret": SHARED})
        secret = {"billing_webhook_secret": known(presents=(), checks=("app",))["shared"]}
        with pytest.raises(ParityError, match="billing_webhook_secret: the app answers a test delivery"):
            parity.prove(Stack(services={"app": app.url}), secret, timeout_s=0)
        app.billing = SHARED

        found = parity.prove(Stack(services={"app": app.url}), secret, timeout_s=0)
        assert found == {"billing_webhook_secret": {"app": "2, 1"}}


@given(
    st.dictionaries(st.integers(1, 9).map(str), st.text(min_size=1), min_size=1),
    st.lists(st.lists(st.sampled_from([*"123456789", "unknown"]), unique=True), min_size=1),
)
def test_only_exactly_what_is_wanted_is_no_mismatch(values: dict[str, str], held: list[list[str]]) -> None:
    """Whatever replicas hold: there is a problem unless all of them hold all versions and no other."""
    secrets = {"s": Known(current=max(values), values=values, checks=("app",))}
    found = {("s", "app"): [tuple(sorted(one, reverse=True)) for one in held]}

    assert (not parity.mismatches(secrets, found)) == all(set(one) == values.keys() for one in held)
