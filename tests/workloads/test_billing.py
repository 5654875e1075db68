"""Webhooks of the billing provider: who signs them, what is kept of them, and rotation of the secret."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.polling import until
from tests.workloads.programs import BILLING

if TYPE_CHECKING:
    import httpx

    from tests.fix_product import Product
    from tests.workloads.programs import Program, RunApp

PATH = "/webhooks/billing"
ORDER = json.dumps({"meta": {"event_name": "order_created"}, "data": {"id": "1"}}).encode()
TEST = json.dumps({"meta": {"event_name": "groundwork_test"}}).encode()


def deliver(
    app: Program, body: bytes = ORDER, secret: str = BILLING["2"], headers: dict[str, str] | None = None
) -> httpx.Response:
    """Send a delivery as the provider does."""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return app.post(PATH, content=body, headers={"X-Signature": signature} | (headers or {}))


def stored(product: Product) -> list[tuple[Any, ...]]:
    """Read the events that were stored."""
    return product.owner("select provider, event_type, payload from billing_events")


@pytest.fixture(autouse=True)
def _no_events(product: Product) -> None:
    product.owner("delete from billing_events")


@pytest.mark.parametrize("version", ["1", "2"])
def test_every_accepted_version_signs(app: Program, product: Product, version: str) -> None:
    """The answer names the version, and the event is stored."""
    response = deliver(app, secret=BILLING[version])

    assert (response.status_code, response.json()) == (200, {"status": "ok", "version": version})
    assert stored(product) == [("lemon-squeezy", "order_created", json.loads(ORDER))]


def test_a_repeated_delivery_is_stored_once(app: Program, product: Product) -> None:
    """The provider repeats what it believes lost, also after a rotation."""
    first, second = deliver(app, secret=BILLING["1"]), deliver(app, secret=BILLING["2"])

    assert (first.status_code, second.status_code) == (200, 200)
    assert len(stored(product)) == 1


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Signature": ""}, {"X-Signature": "0" * 64}, {"X-Signature": "ä".encode()}],
    ids=["none", "empty", "wrong", "no ASCII"],
)
def test_a_bad_signature_is_refused(app: Program, product: Product, headers: dict[str, Any]) -> None:
    """401, and nothing is kept."""
    response = app.post(PATH, content=ORDER, headers=headers)

    assert response.status_code == 401
    assert stored(product) == []


def test_a_changed_body_is_refused(app: Program, product: Product) -> None:
    """The signature covers every byte."""
    signature = hmac.new(BILLING["2"].encode(), ORDER, hashlib.sha256).hexdigest()
    response = app.post(PATH, content=ORDER + b" ", headers={"X-Signature": signature})

    assert (response.status_code, stored(product)) == (401, [])


def test_a_retired_version_is_refused(run_app: RunApp) -> None:
    """Once a version is not accepted any more, its signature is worth nothing."""
    app = run_app(BILLING_WEBHOOK_SECRET=json.dumps({"2": BILLING["2"]}))

    assert deliver(app, secret=BILLING["1"]).status_code == 401


def test_a_test_delivery_leaves_nothing(run_app: RunApp, product: Product) -> None:
    """It tells that the version is accepted: no event, and no use that would keep the version alive."""
    app = run_app(BILLING_WEBHOOK_SECRET=json.dumps({"11": "CANARY-old", "12": "CANARY-new"}))
    response = deliver(app, TEST, "CANARY-old", {"X-Event-Name": "groundwork_test"})
    deliver(app, secret="CANARY-new")
    used = "select version from private.secret_use where secret = 'billing_webhook_secret' and version > 10"

    assert (response.status_code, response.json()) == (200, {"status": "ok", "version": "11"})
    assert [name for _, name, _ in stored(product)] == ["order_created"]
    assert until(lambda: product.owner(used)) == [(12,)]


def test_a_header_alone_makes_no_test_delivery(app: Program, product: Product) -> None:
    """No signature covers the header: what counts is the name in the body."""
    deliver(app, headers={"X-Event-Name": "groundwork_test"})

    assert len(stored(product)) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"meta": null}',
        b'{"meta": {"event_name": 1}}',
        b'{"meta": {"event_name": "No Name"}}',
        b'{"meta": {"event_name": "a", "x": NaN}}',
        b"\xff",
        b"[" * 60000,
    ],
    ids=["empty", "cut", "list", "object", "null", "number", "words", "NaN", "no UTF-8", "deep"],
)
def test_what_is_no_event_is_refused(app: Program, product: Product, body: bytes) -> None:
    """400 for a body that is signed, but no event."""
    response = deliver(app, body)

    assert (response.status_code, stored(product)) == (400, [])
    assert "meta.event_name" in response.json()["error"]


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800"])
def test_a_text_that_the_database_cannot_hold_is_refused(app: Program, text: str) -> None:
    """422: it would fail in every repetition too."""
    body = f'{{"meta": {{"event_name": "order_created", "x": "{text}"}}}}'.encode()

    assert deliver(app, body).status_code == 422


def test_a_huge_delivery_is_stopped(app: Program) -> None:
    """The limit of every request holds here, before the signature is looked at."""
    assert deliver(app, b"x" * 100_000).status_code == 413


def test_a_stack_without_billing_has_no_such_route(run_app: RunApp) -> None:
    """404, whatever is sent."""
    assert deliver(run_app(BILLING_WEBHOOK_SECRET="")).status_code == 404


def test_no_secret_reaches_the_log(app: Program) -> None:
    """Neither the secret nor a signature is written down."""
    deliver(app)
    app.post(PATH, content=b"CANARY-body", headers={"X-Signature": "CANARY-signature"})

    assert "CANARY" not in app.log.read_text()
