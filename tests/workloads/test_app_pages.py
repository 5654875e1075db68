"""The app's forms as a browser without JavaScript uses them, on the real schema and with a real agent."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from emulator.postgres import free_port
from tests.workloads.browser import FIELD, STREAM, Browse, Browser
from tests.workloads.doubles import Answer
from tests.workloads.programs import Program, RunApp, answer, events

if TYPE_CHECKING:
    from tests.fix_product import Person, Product
    from tests.workloads.doubles import FakeService


class TestWaitlist:
    """POST /waitlist."""

    def test_a_known_address_gets_the_same_answer(self, browser: Browser, product: Product) -> None:
        """Signing up twice looks the same and is stored once."""
        first = browser.submit("/waitlist", email="Someone@example.org")
        second = browser.submit("/waitlist", email="someone@example.org ")

        def without_tokens(text: str) -> str:
            return FIELD.sub("", text)

        assert (first.status_code, str(first.url.query)) == (200, str(second.url.query))
        assert without_tokens(first.text) == without_tokens(second.text)
        query = "select count(*) from waitlist_entries where lower(email) = 'someone@example.org'"
        assert product.owner(query) == [(1,)]

    @pytest.mark.parametrize("email", ["", "nobody", "a b@example.org", "x" * 400])
    def test_what_is_no_address_is_refused(self, browser: Browser, email: str) -> None:
        """422 explains and does not repeat what was entered."""
        response = browser.submit("/waitlist", email=email)

        assert response.status_code == 422
        assert "xxxx" not in response.text

    def test_a_reload_sends_nothing_again(self, browser: Browser) -> None:
        """The answer to the form is a redirect to a page."""
        fields = browser.fields()
        data = fields | {"email": "again@example.org"}
        response = browser.client.post("/waitlist", data=data, follow_redirects=False)

        assert (response.status_code, response.headers["location"]) == (303, "/?notice=joined")


class TestSignIn:
    """The demo account."""

    def test_one_click_shows_the_account(self, browser: Browser) -> None:
        """The demo user sees the agent and the credits, and is gone after signing out."""
        page = browser.submit("/demo")
        again = browser.submit("/sign-out")

        assert "Ask the agent" in page.text
        assert re.search(r'id="credits">\d+<', page.text)
        assert "You are signed out." in again.text
        assert browser.client.get("/export.zip").status_code == 401

    def test_it_is_off_unless_the_stack_asks_for_it(self, browse: Browse, run_app: RunApp) -> None:
        """Without DEMO_ACCOUNTS there is neither button nor way in."""
        browser = browse(run_app(DEMO_ACCOUNTS="false"))

        assert "demo" not in browser.client.get("/").text
        assert browser.submit("/demo").status_code == 404

    def test_the_databases_owner_has_the_last_word(self, browser: Browser, product: Product) -> None:
        """Where the database does not allow demo accounts, the button leads to a refusal."""
        product.owner("select set_demo_accounts(false)")
        try:
            response = browser.submit("/demo")
        finally:
            product.owner("select set_demo_accounts(true)")

        assert response.status_code == 403


class TestAsk:
    """POST /ask."""

    def test_a_form_leads_to_the_stored_conversation(self, signed_in: Browser) -> None:
        """Without JavaScript the page comes back with question, answer and what is left."""
        page = signed_in.submit("/ask", message="<b>What</b> & why?")

        assert page.status_code == 200
        assert "conversation=" in str(page.url)
        assert "You said: &lt;b&gt;What&lt;/b&gt; &amp; why?" in page.text
        assert 'id="credits">99<' in page.text

    def test_the_script_gets_the_agents_stream(self, signed_in: Browser) -> None:
        """Tokens come as events; the last one brings credits, conversation and a new key."""
        fields = signed_in.fields()
        response = signed_in.submit("/ask", STREAM, message="Hi", key=fields["key"])
        name, data = events(response.text)[-1]

        assert answer(response.text) == "You said: Hi"
        assert (name, data["credits_left"]) == ("done", 99)
        assert UUID(data["conversation_id"])
        assert data["key"] != fields["key"]

    def test_a_form_that_is_sent_twice_is_charged_once(self, signed_in: Browser) -> None:
        """A double click costs one reply."""
        fields = signed_in.fields() | {"message": "Once"}
        for _ in range(2):
            page = signed_in.client.post("/ask", data=fields)

        assert 'id="credits">99<' in page.text
        assert page.text.count("You said: Once") == 1

    def test_without_credits_the_page_says_so(
        self, signed_in: Browser, product: Product, alice: Person
    ) -> None:
        """402 in words, as a page and for the script."""
        product.agent("select deduct_credits(%s, 100, 'all', 'all')", [alice.organization])
        page, stream = signed_in.submit("/ask", message="x"), signed_in.submit("/ask", STREAM, message="x")

        assert (page.status_code, stream.status_code) == (402, 402)
        assert "Not enough credits." in page.text
        assert stream.json()["error"] == "Not enough credits."

    def test_nobody_spends_for_others(
        self, browse: Browse, app: Program, mallory: Person, alice: Person
    ) -> None:
        """Another organization in the form is refused by the database."""
        response = browse(app, mallory).submit("/ask", message="x", organization=str(alice.organization))

        assert response.status_code in {403, 404}

    def test_many_at_once_never_overdraw(
        self, app: Program, signed_in: Browser, product: Product, alice: Person
    ) -> None:
        """Of eight questions through the app with credits for three, three are answered."""
        product.agent("select deduct_credits(%s, 97, 'most', 'most')", [alice.organization])
        forms = [signed_in.fields() | {"message": f"q{number}"} for number in range(8)]
        cookies = dict(signed_in.client.cookies)
        with ThreadPoolExecutor(8) as pool:
            sent = pool.map(lambda form: app.post("/ask", data=form, headers=STREAM, cookies=cookies), forms)

        assert sorted(one.status_code for one in sent) == [200] * 3 + [402] * 5

    @pytest.mark.parametrize("values", [{"message": ""}, {"message": "x" * 8001}, {"organization": "mine"}])
    def test_a_wrong_form_is_explained(self, signed_in: Browser, values: dict[str, str]) -> None:
        """422 names the field, in a page, and repeats no value."""
        response = signed_in.submit("/ask", None, **({"message": "hi"} | values))

        assert response.status_code == 422
        assert next(iter(values)) in response.text
        assert "xxxx" not in response.text

    def test_a_lost_agent_is_explained(self, browse: Browse, run_app: RunApp, alice: Person) -> None:
        """503 says that nothing was charged."""
        app = run_app(AGENT_URL=f"http://127.0.0.1:{free_port()}")
        response = browse(app, alice).submit("/ask", message="hi")

        assert response.status_code == 503
        assert "nothing was charged" in response.text

    def test_an_agent_that_breaks_in_the_middle_is_explained(
        self,
        browse: Browse,
        run_app: RunApp,
        outside: FakeService,
        alice: Person,
    ) -> None:
        """The script gets an `error` event after the tokens, and a new key."""
        token = b'event: token\ndata: {"text": "Half"}\n\n'
        outside.answers["/reply"] = Answer(200, [token], breaks=True)
        response = browse(run_app(AGENT_URL=outside.url), alice).submit("/ask", STREAM, message="hi")

        assert [name for name, _ in events(response.text)] == ["token", "error"]
        assert events(response.text)[-1][1]["key"]

    def test_a_refunded_attempt_is_followed_by_another(
        self, run_app: RunApp, outside: FakeService, alice: Person, browse: Browse
    ) -> None:
        """With the agent's error comes a new key, for the old one buys nothing any more."""
        outside.answers["/reply"] = Answer(502, [b'{"error": "the AI service failed"}'])
        browser = browse(run_app(AGENT_URL=outside.url), alice)
        form = browser.fields()
        response = browser.submit("/ask", STREAM, message="hi", key=form["key"])

        assert (response.status_code, response.json()["error"]) == (502, "The AI service failed.")
        assert response.json()["key"] != form["key"]

    def test_tokens_are_passed_on_at_once(
        self,
        browse: Browse,
        run_app: RunApp,
        outside: FakeService,
        alice: Person,
    ) -> None:
        """The browser has the first token while the agent still works on the second."""
        token = b'event: token\ndata: {"text": "One"}\n\n'
        slow = outside.answers["/reply"] = Answer(200, [token, b'event: done\ndata: {"credits_left": 1}\n\n'])
        slow.waits_for = threading.Event()
        browser = browse(run_app(AGENT_URL=outside.url), alice)
        form = browser.fields() | {"message": "hi"}
        with browser.client.stream("POST", "/ask", data=form, headers=STREAM) as response:
            pieces = response.iter_text()
            first = next(pieces)
            slow.waits_for.set()
            rest = "".join(pieces)

        assert [name for name, _ in events(first)] == ["token"]
        assert [name for name, _ in events(rest)] == ["done"]
