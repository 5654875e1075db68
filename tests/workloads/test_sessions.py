"""The session cookie and the forms while the session key is rotated: nobody is signed out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jwt
import pytest

from tests.polling import until
from tests.workloads.browser import FIELD
from tests.workloads.programs import SESSION_KEY

if TYPE_CHECKING:
    import httpx

    from tests.fix_product import Person, Product
    from tests.workloads.programs import Program, RunApp

OLD = f"{SESSION_KEY}-old"
STANDBY = f"{SESSION_KEY}-standby"


def cookie(person: Person, key: str, kid: str | None = None) -> dict[str, str]:
    """Sign a person in by cookie; `kid` names the key's version."""
    claims = {"jti": "browser", "aud": "app-session", "exp": 4102444800, "sub": str(person.id)}
    return {"session": jwt.encode(claims, key, headers={"kid": kid} if kid else None)}


def keys(use: str, values: dict[str, str]) -> str:
    """Write the session key as the app reads it."""
    return json.dumps({"use": use, "values": values})


def kid(response: httpx.Response) -> str:
    """Read which version signed a response's cookie."""
    return str(jwt.get_unverified_header(response.cookies["session"])["kid"])


@pytest.mark.parametrize("named", ["1", None, "77"])
def test_an_older_versions_cookie_is_accepted(app: Program, alice: Person, named: str | None) -> None:
    """Whether it names its version, none, or one that nobody knows."""
    assert app.get("/export.zip", cookies=cookie(alice, OLD, named)).status_code == 200


def test_the_use_of_an_older_version_is_noted(run_app: RunApp, alice: Person, product: Product) -> None:
    """Whoever would retire it sees that somebody still has its cookie."""
    app = run_app(SESSION_KEY=keys("32", {"31": OLD, "32": SESSION_KEY}))
    app.get("/export.zip", cookies=cookie(alice, OLD, "31"))
    query = "select version, service from private.secret_use where secret = 'session_key' and version > 30"

    assert until(lambda: product.owner(query)) == [(31, "app")]


def test_a_page_renews_the_cookie(app: Program, alice: Person) -> None:
    """The next page signs with the version in use, so the old one goes out of use by itself."""
    page = app.get("/", cookies=cookie(alice, OLD, "1"))
    claims = jwt.decode(page.cookies["session"], SESSION_KEY, ["HS256"], audience="app-session")

    assert (kid(page), claims["sub"]) == ("2", str(alice.id))


def test_a_standby_version_is_accepted_before_it_signs(run_app: RunApp, alice: Person) -> None:
    """A replica that has not been replaced yet takes what the new ones sign."""
    app = run_app(SESSION_KEY=keys("2", {"2": SESSION_KEY, "3": STANDBY}))

    assert app.get("/export.zip", cookies=cookie(alice, STANDBY, "3")).status_code == 200
    assert kid(app.get("/")) == "2"


def test_a_retired_version_is_refused(run_app: RunApp, alice: Person) -> None:
    """Who comes with its cookie is a visitor."""
    app = run_app(SESSION_KEY=keys("2", {"2": SESSION_KEY}))

    assert app.get("/export.zip", cookies=cookie(alice, OLD, "1")).status_code == 401


@pytest.mark.parametrize("named", ["2", "1"])
def test_a_cookie_with_a_wrong_signature_is_refused(app: Program, alice: Person, named: str) -> None:
    """To name a version is no proof."""
    assert app.get("/export.zip", cookies=cookie(alice, "x" * 40, named)).status_code == 401


def test_a_form_of_an_older_version_is_accepted(run_app: RunApp) -> None:
    """A page that was open during the rotation can still be sent."""
    before, after = run_app(SESSION_KEY=keys("1", {"1": OLD, "2": SESSION_KEY})), run_app()
    page = before.get("/")
    data = dict(FIELD.findall(page.text)) | {"email": "rotation@example.org"}
    response = after.post("/waitlist", data=data, cookies=dict(page.cookies))

    assert response.status_code == 303
