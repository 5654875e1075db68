"""Signed test deliveries: the app must take what the billing provider signs, and nothing else.

Lemon Squeezy signs the body by HMAC-SHA256 (https://docs.lemonsqueezy.com/help/webhooks/signing-requests).
The test's event is recorded nowhere.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import TYPE_CHECKING, Final

import httpx

from engines.parity.places import REQUEST_TIMEOUT_S

if TYPE_CHECKING:
    from engines.parity.known import Known

PATH: Final = "/webhooks/billing"
EVENT: Final = "groundwork_test"


def deliver(app_url: str, secret: Known) -> list[str]:
    """Deliver a test event by each accepted version, and one by a stranger; say what went wrong.

    Args:
        app_url: base URL of the app.
        secret: the provider's secret.
    """
    body = json.dumps({"meta": {"event_name": EVENT}, "nonce": secrets.token_hex(16)}).encode()
    problems = [_problem(app_url, body, version, value) for version, value in secret.values.items()]
    status, _ = _post(app_url, body, secrets.token_urlsafe(32))
    if status != 401:
        problems.append(
            f"the app answers a delivery that a stranger signed by {_said(status)}, wanted is 401"
        )
    return [one for one in problems if one]


def _problem(app_url: str, body: bytes, version: str, value: str) -> str:
    status, answered = _post(app_url, body, value)
    if status != 200:
        return f"the app answers a test delivery signed by version {version} by {_said(status)}"
    if answered != version:
        return f"the app takes a test delivery signed by version {version} for version {answered}"
    return ""


def _said(status: int) -> str:
    return str(status) if status else "nothing"


def _post(app_url: str, body: bytes, value: str) -> tuple[int, str]:
    """Give the status of the answer, 0 without one, and the version that it names."""
    headers = {
        "Content-Type": "application/json",
        "X-Event-Name": EVENT,
        "X-Signature": hmac.new(value.encode(), body, hashlib.sha256).hexdigest(),
    }
    try:
        answer = httpx.post(
            app_url + PATH, content=body, headers=headers, timeout=REQUEST_TIMEOUT_S, trust_env=False
        )
        return answer.status_code, str(answer.json().get("version"))
    except (httpx.HTTPError, httpx.InvalidURL):
        return 0, ""
    except (ValueError, AttributeError):
        return answer.status_code, "none"
