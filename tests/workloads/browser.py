"""A browser without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import jwt

from tests.workloads.programs import SESSION_KEY

if TYPE_CHECKING:
    from tests.fix_product import Person
    from tests.workloads.programs import Program

FIELD = re.compile(r'name="(\w+)" value="([^"]*)"')
PAGE = {"Accept": "text/html"}
STREAM = {"Accept": "text/event-stream"}


class Browser:
    """Keeps cookies, reads forms and follows redirects; a person is signed in by cookie."""

    def __init__(self, app: Program, person: Person | None = None) -> None:
        """Open a browser at the app."""
        self.client = httpx.Client(base_url=app.url, headers=PAGE, follow_redirects=True, timeout=30)
        if person is not None:
            claims = {"jti": "browser", "aud": "app-session", "exp": 4102444800, "sub": str(person.id)}
            self.client.cookies.set("session", jwt.encode(claims, SESSION_KEY), domain="127.0.0.1")

    def fields(self, page: str = "/") -> dict[str, str]:
        """Load a page and give the hidden fields of its forms."""
        return dict(FIELD.findall(self.client.get(page).text))

    def submit(self, path: str, headers: dict[str, str] | None = None, **values: str) -> httpx.Response:
        """Fill in a form of the start page and send it."""
        return self.client.post(path, data=self.fields() | values, headers=headers)


Browse = Callable[..., Browser]
