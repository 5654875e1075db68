"""Webhooks of the billing provider, with Lemon Squeezy's signature: HMAC-SHA256 of the raw body in hex.

https://docs.lemonsqueezy.com/help/webhooks/signing-requests
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from psycopg.types.json import Jsonb

from held import sign

if TYPE_CHECKING:
    from held import Secret

router = APIRouter()
PROVIDER = "lemon-squeezy"
# Sent by whoever rolls out a new version of the secret, to see that it is accepted.
TEST_EVENT = "groundwork_test"
EVENT = re.compile(r"[a-z][a-z0-9_]{0,99}")


class MalformedError(Exception):
    """The delivery is signed, but no event."""


@router.post("/webhooks/billing")
async def receive(request: Request) -> JSONResponse:
    """Record a delivery; the same one again changes nothing."""
    secret: Secret = request.app.state.billing_secret
    if not secret.versions:
        return _refuse(404, "this stack has no billing_webhook_secret")
    body = await request.body()
    signature = request.headers.get("x-signature", "").strip().lower()
    version = secret.find(signature.encode(), lambda key: sign(key, body).encode())
    if version is None:
        return _refuse(401, "expected X-Signature: HMAC-SHA256 of the body with an accepted secret, in hex")
    try:
        name, event = _parse(body)
    except MalformedError as error:
        return _refuse(400, str(error))
    # The header X-Event-Name says the same, but no signature covers it.
    if name != TEST_EVENT:
        secret.used(version)
        # The provider numbers no deliveries; a repeated one has the same bytes.
        delivery = hashlib.sha256(body).hexdigest()
        await request.app.state.store.call("record_billing_event", PROVIDER, delivery, name, Jsonb(event))
    return JSONResponse({"status": "ok", "version": version})


def _parse(body: bytes) -> tuple[str, dict[str, Any]]:
    """Give an event's name and all of it.

    Raises:
        MalformedError: it is none.
    """
    try:
        event = json.loads(body, parse_constant=_no_constant)
        name = event["meta"]["event_name"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise MalformedError("expected a JSON object with meta.event_name") from None
    if not isinstance(name, str) or not EVENT.fullmatch(name):
        raise MalformedError("expected meta.event_name in lower case, as in order_created")
    return name, event


def _no_constant(name: str) -> None:
    """Refuse NaN and Infinity, which are Python's, not JSON's."""
    raise ValueError(name)


def _refuse(status: int, text: str) -> JSONResponse:
    return JSONResponse({"error": text}, status)
