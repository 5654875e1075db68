"""The agent's replies, paid and refunded: over HTTP, on the product's real schema."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from emulator.postgres import free_port
from tests.polling import until
from tests.workloads import programs
from tests.workloads.asking import COMPLETIONS, NEW, ask, balance, hang_up_after_the_first_token, messages
from tests.workloads.doubles import Answer, anthropic_parts, openai_parts
from tests.workloads.programs import AI_KEY, Program, answer, events

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fix_product import Person, Product
    from tests.workloads.doubles import FakeService


class TestReply:
    """POST /reply."""

    def test_an_answer_is_streamed_stored_and_charged(
        self, agent: Program, product: Product, alice: Person
    ) -> None:
        """The words come one by one, both messages are kept, one credit is gone."""
        response = ask(agent, alice, "What is up?")
        told = events(response.text)

        assert response.headers["content-type"].startswith("text/event-stream")
        assert [name for name, _ in told] == ["token"] * 5 + ["done"]
        assert answer(response.text) == "You said: What is up?"
        assert told[-1][1]["credits_left"] == 99 == balance(product, alice)
        assert messages(product, alice) == [("user", "What is up?"), ("assistant", "You said: What is up?")]

    def test_a_conversation_goes_on(self, ai_agent: Program, outside: FakeService, alice: Person) -> None:
        """The model gets what was said before, in order."""
        outside.answers[COMPLETIONS] = Answer(200, openai_parts("One", "."))
        first = events(ask(ai_agent, alice, "First").text)[-1][1]["conversation_id"]
        ask(ai_agent, alice, "Second", conversation_id=first)
        sent = outside.requests[-1][2]["messages"]

        assert [turn["content"] for turn in sent[1:]] == ["First", "One.", "Second"]
        assert [turn["role"] for turn in sent] == ["system", "user", "assistant", "user"]

    def test_without_credits_there_is_no_answer(
        self, agent: Program, product: Product, alice: Person
    ) -> None:
        """402 says why, the model is not asked, and the question is not kept."""
        product.agent("select deduct_credits(%s, 100, 'all', 'all')", [alice.organization])
        response = ask(agent, alice)

        assert (response.status_code, response.json()) == (402, {"error": "not enough credits"})
        assert messages(product, alice) == []

    def test_asking_at_once_never_overdraws(self, agent: Program, product: Product, alice: Person) -> None:
        """Of twelve questions at the same time with credits for five, five are answered."""
        product.agent("select deduct_credits(%s, 95, 'most', 'most')", [alice.organization])
        with ThreadPoolExecutor(12) as pool:
            codes = [one.status_code for one in pool.map(lambda n: ask(agent, alice, f"q{n}"), range(12))]

        assert sorted(codes) == [200] * 5 + [402] * 7
        assert balance(product, alice) == 0

    def test_the_same_attempt_is_charged_once(self, agent: Program, product: Product, alice: Person) -> None:
        """A repeated request gets the stored answer back, at no price and with nothing stored twice."""
        first, second = (ask(agent, alice, "Again", key="attempt-1") for _ in range(2))

        assert answer(first.text) == answer(second.text) == "You said: Again"
        assert events(second.text)[-1] == events(first.text)[-1]
        assert balance(product, alice) == 99
        assert len(messages(product, alice)) == 2

    def test_an_old_key_buys_no_other_answer(self, agent: Program, product: Product, alice: Person) -> None:
        """Another question under a used key is another attempt, and is charged."""
        ask(agent, alice, "One", key="attempt-1")
        ask(agent, alice, "Two", key="attempt-1")

        assert balance(product, alice) == 98

    @pytest.mark.parametrize("who", ["organization", "conversation"])
    def test_a_stranger_gets_nothing(
        self, agent: Program, product: Product, alice: Person, mallory: Person, who: str
    ) -> None:
        """Who is no member, or names somebody else's conversation, is refused and nobody is charged."""
        talk = events(ask(agent, alice).text)[-1][1]["conversation_id"]
        stranger = mallory
        more = {"conversation_id": talk} if who == "conversation" else {}
        organization = alice.organization if who == "organization" else mallory.organization
        response = ask(agent, stranger, organization_id=str(organization), **more)

        assert response.status_code in {403, 404}
        assert (balance(product, alice), balance(product, mallory)) == (99, 100)
        assert len(messages(product, alice)) == 2

    @pytest.mark.parametrize("body", [{}, {"message": ""}, {"message": "x" * 8001}, {"user_id": "nobody"}])
    def test_a_wrong_request_is_explained(self, agent: Program, alice: Person, body: dict[str, str]) -> None:
        """422 names the field and repeats no value."""
        base = {"organization_id": str(alice.organization), "user_id": str(alice.id)}
        base |= {"message": "hi"} if "user_id" in body else {}
        response = agent.post("/reply", json=base | body, headers=NEW)

        assert response.status_code == 422
        assert next(iter(body), "message") in response.text
        assert "xxxx" not in response.text

    def test_a_lost_reader_does_not_lose_the_answer(
        self, ai_agent: Program, outside: FakeService, product: Product, alice: Person
    ) -> None:
        """Who hangs up after the first token finds the whole answer stored."""
        slow = outside.answers[COMPLETIONS] = Answer(200, openai_parts("Long ", "answer"))
        slow.waits_for = threading.Event()
        hang_up_after_the_first_token(ai_agent, alice)
        slow.waits_for.set()
        until(lambda: len(messages(product, alice)) == 2)

        assert messages(product, alice)[1] == ("assistant", "Long answer")
        assert balance(product, alice) == 99


class TestFailingModel:
    """What happens when the AI service fails."""

    @pytest.mark.parametrize(
        ("reply", "words"),
        [
            (Answer(401, [AI_KEY.encode()]), "refuses the key"),
            (Answer(429, [b"{}"]), "rate limit"),
            (Answer(500, [b"oops"]), "failed (HTTP 500)"),
            (Answer(200, []), "ended its answer"),
            (Answer(200, [b"data: {no json\n\n"]), "no JSON object"),
            (Answer(200, [b'data: {"error": {"message": "CANARY"}}\n\n']), "reported an error"),
            (Answer(200, openai_parts()), "empty answer"),
        ],
        ids=["key", "limit", "server", "cut", "garbage", "error", "empty"],
    )
    def test_before_the_first_token_it_is_an_error_and_a_refund(
        self,
        ai_agent: Program,
        outside: FakeService,
        product: Product,
        alice: Person,
        reply: Answer,
        words: str,
    ) -> None:
        """502 says what is wrong without the key or the service's own words; the credit is back."""
        outside.answers[COMPLETIONS] = reply
        response = ask(ai_agent, alice)

        assert response.status_code == 502
        assert words in response.json()["error"]
        assert "given back" in response.json()["error"]
        assert balance(product, alice) == 100
        assert "CANARY" not in response.text + ai_agent.log.read_text()

    def test_in_the_middle_the_stream_ends_with_an_error_and_a_refund(
        self, ai_agent: Program, outside: FakeService, product: Product, alice: Person
    ) -> None:
        """The reader has some tokens and an `error` event; no half answer is stored or paid."""
        outside.answers[COMPLETIONS] = Answer(200, openai_parts("Half ", "an", ends=False), breaks=True)
        response = ask(ai_agent, alice)

        assert response.status_code == 200
        assert events(response.text)[-1][0] == "error"
        assert "given back" in events(response.text)[-1][1]["error"]
        assert balance(product, alice) == 100
        assert [role for role, _ in messages(product, alice)] == ["user"]

    def test_a_service_that_is_away_is_named(
        self, ai_environment: dict[str, str], product: Product, alice: Person, tmp_path: Path
    ) -> None:
        """A refused connection names host and port."""
        away = f"127.0.0.1:{free_port()}"
        environment = ai_environment | {"AI_BASE_URL": f"http://{away}/v1"}
        with programs.running("agent", environment, tmp_path / "agent.log") as agent:
            response = ask(agent, alice)

        assert response.status_code == 502
        assert f"AI service at {away}" in response.json()["error"]
        assert balance(product, alice) == 100

    def test_after_a_refund_the_attempt_is_over(
        self, ai_agent: Program, outside: FakeService, product: Product, alice: Person
    ) -> None:
        """The same key cannot be used for a free second try; 409 asks for a new one."""
        outside.answers[COMPLETIONS] = Answer(500, [b"{}"])
        ask(ai_agent, alice, key="attempt-1")
        outside.answers[COMPLETIONS] = Answer(200, openai_parts("Now"))
        again, fresh = ask(ai_agent, alice, key="attempt-1"), ask(ai_agent, alice, key="attempt-2")

        assert (again.status_code, fresh.status_code) == (409, 200)
        assert balance(product, alice) == 99

    def test_an_agent_that_is_stopped_gives_the_credit_back(
        self,
        ai_environment: dict[str, str],
        outside: FakeService,
        product: Product,
        alice: Person,
        tmp_path: Path,
    ) -> None:
        """A running answer whose reader is gone is ended at shutdown, with a refund, and in good order."""
        stuck = outside.answers[COMPLETIONS] = Answer(200, openai_parts("Never ", "ends"))
        stuck.waits_for = threading.Event()
        with programs.running("agent", ai_environment, tmp_path / "agent.log") as agent:
            hang_up_after_the_first_token(agent, alice)
        stuck.waits_for.set()

        assert agent.lines()[-1]["event"].startswith("Finished server process")
        assert balance(product, alice) == 100

    def test_a_killed_agent_owes_the_answer(
        self,
        ai_environment: dict[str, str],
        outside: FakeService,
        product: Product,
        alice: Person,
        tmp_path: Path,
    ) -> None:
        """After a kill in the middle, the same attempt is answered without another charge or question."""
        slow = outside.answers[COMPLETIONS] = Answer(200, openai_parts("Never ", "ends"))
        slow.waits_for = threading.Event()
        with programs.running("agent", ai_environment, tmp_path / "agent.log") as agent:
            hang_up_after_the_first_token(agent, alice, "attempt-1")
            agent.process.kill()
            agent.process.wait(timeout=10)
        slow.waits_for.set()
        outside.answers[COMPLETIONS] = Answer(200, openai_parts("Here"))
        with programs.running("agent", ai_environment, tmp_path / "agent.log") as agent:
            response = ask(agent, alice, "hi", key="attempt-1")

        assert answer(response.text) == "Here"
        assert messages(product, alice) == [("user", "hi"), ("assistant", "Here")]
        assert balance(product, alice) == 99

    def test_an_attempt_that_runs_is_not_started_again(
        self, ai_agent: Program, outside: FakeService, product: Product, alice: Person
    ) -> None:
        """The same key at the same time gets 409, and one answer is made."""
        slow = outside.answers[COMPLETIONS] = Answer(200, openai_parts("Long ", "answer"))
        slow.waits_for = threading.Event()
        hang_up_after_the_first_token(ai_agent, alice, "attempt-1")
        second = ask(ai_agent, alice, "hi", key="attempt-1")
        slow.waits_for.set()
        until(lambda: len(messages(product, alice)) == 2)

        assert (second.status_code, "right now" in second.json()["error"]) == (409, True)
        assert balance(product, alice) == 99


class TestAnthropic:
    """The second dialect."""

    @pytest.fixture
    def environment(self, ai_environment: dict[str, str], outside: FakeService) -> dict[str, str]:
        """Give the variables for it."""
        return ai_environment | {"AI_PROVIDER": "anthropic", "AI_BASE_URL": outside.url}

    def test_it_is_spoken_as_published(
        self, environment: dict[str, str], outside: FakeService, alice: Person, tmp_path: Path
    ) -> None:
        """Key and version are headers, the system text is apart, and the deltas are joined."""
        outside.answers["/v1/messages"] = Answer(200, anthropic_parts("Good ", "day"))
        with programs.running("agent", environment, tmp_path / "agent.log") as agent:
            response = ask(agent, alice, "Hi")
        _, headers, body = outside.requests[-1]

        assert answer(response.text) == "Good day"
        assert (headers["x-api-key"], headers["anthropic-version"]) == (AI_KEY, "2023-06-01")
        assert body["messages"] == [{"role": "user", "content": "Hi"}]
        assert (body["model"], body["max_tokens"], body["stream"]) == ("m-1", 1024, True)
        assert body["system"]

    def test_a_cut_answer_is_a_failure(
        self,
        environment: dict[str, str],
        outside: FakeService,
        product: Product,
        alice: Person,
        tmp_path: Path,
    ) -> None:
        """Without message_stop the answer is not complete, and is refunded."""
        outside.answers["/v1/messages"] = Answer(200, anthropic_parts("Half", ends=False))
        with programs.running("agent", environment, tmp_path / "agent.log") as agent:
            told = events(ask(agent, alice).text)

        assert [name for name, _ in told] == ["token", "error"]
        assert balance(product, alice) == 100
