"""What holds for every request: the token, the rate limit, and how a refusal looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from emulator.frame import RateLimit, RateLimits

if TYPE_CHECKING:
    from tests.fix_emulator import Emulator, Project

UNKNOWN = "/v1/projects/abcdefghijklmnopqrst"
GOOD = {"name": "n", "organization_slug": "groundwork", "db_pass": "a long password"}


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Bearer", "Basic abc", "Bearer \u00e9"])
def test_wrong_token_is_refused(given: str | None, emulator: Emulator) -> None:
    """Without the right bearer token the API says no more than Unauthorized."""
    headers = {} if given is None else {b"authorization": given.encode()}

    answer = httpx.get(f"{emulator.api_url}/v1/projects", headers=headers)

    assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})


def test_health_needs_no_token(emulator: Emulator) -> None:
    """Whoever supervises the emulator can ask for its health without a secret."""
    answer = httpx.get(f"{emulator.api_url}/health")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", UNKNOWN, 404, "Project not found"),
        ("DELETE", UNKNOWN, 404, "Project not found"),
        ("GET", f"{UNKNOWN}/api-keys", 404, "Project not found"),
        ("GET", "/v1/organizations/other", 404, "Organization not found"),
        ("GET", "/v1/nothing", 404, "Cannot GET /v1/nothing"),
        ("PUT", "/v1/projects", 405, "Cannot PUT /v1/projects"),
    ],
)
def test_refusal_is_one_message(
    method: str, path: str, status: int, message: str, emulator: Emulator
) -> None:
    """What does not exist is answered with a JSON object that has one message."""
    answer = emulator.client.request(method, path)

    assert (answer.status_code, answer.json()) == (status, {"message": message})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 5}, "body.name: Input should be a valid string"),
        ({"name": "n" * 257}, "body.name: String should have at most 256 characters"),
        ({"db_pass": None}, "body.db_pass: Input should be a valid string"),
        ({"surprise": 1}, "body.surprise: Extra inputs are not permitted"),
        ({"region": "moon-1"}, "body.region: Input should be"),
        ({"organization_slug": "other"}, "Organization not found"),
        (
            {"region": "eu-west-1", "region_selection": {"type": "smartGroup", "code": "emea"}},
            "Only one of region or region_selection can be specified.",
        ),
    ],
)
def test_wrong_body_is_named_and_nothing_is_made(
    change: dict[str, Any], message: str, emulator: Emulator
) -> None:
    """A body that the contract does not allow is refused with the place, and makes no project."""
    before = len(emulator.client.get("/v1/projects").json())

    answer = emulator.client.post("/v1/projects", json={**GOOD, **change})

    assert answer.status_code in {400, 404}
    assert message in answer.json()["message"]
    assert len(emulator.client.get("/v1/projects").json()) == before


def test_wrong_body_is_not_repeated(project: Project) -> None:
    """The answer to a bad request does not hold the values of it, which may be secret."""
    body = {"password": ["canary-4711"]}
    answer = project.emulator.client.patch(f"{project.path}/database/password", json=body)

    assert answer.status_code == 400
    assert "canary" not in answer.text


def test_broken_json_is_refused(emulator: Emulator) -> None:
    """A body that is no JSON is the caller's mistake, not the server's."""
    answer = emulator.client.post("/v1/projects", content=b"{", headers={"content-type": "application/json"})

    assert answer.status_code == 400
    assert "JSON decode error" in answer.json()["message"]


def test_limit_is_counted_down_and_then_refused(own_emulator: Emulator) -> None:
    """Each answer says what is left; the request over the limit gets 429; health is never limited."""
    own_emulator.end()
    own_emulator.arguments = ("--rate-limit", "3")
    own_emulator.start()

    answers = [own_emulator.client.get("/v1/profile") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"3"}
    assert 0 < int(answers[3].headers["x-ratelimit-reset"]) <= 60
    assert "Too Many Requests" in answers[3].json()["message"]
    assert own_emulator.client.get("/health").status_code == 200
    assert httpx.get(f"{own_emulator.api_url}/v1/profile").status_code == 401


def test_limit_is_full_again_in_the_next_window() -> None:
    """After 60 seconds a token has its whole allowance again."""
    now = 100.0
    limit = RateLimit(2, clock=lambda: now)
    spent = [limit.take() for _ in range(3)]
    now = 160.0
    fresh = limit.take()

    assert [allowance.remaining for allowance in spent if allowance] == [1, 0, -1]
    assert fresh is not None
    assert (fresh.remaining, fresh.reset_s) == (1, 60)


def test_domains_have_a_smaller_limit_of_their_own() -> None:
    """Ten requests of a window for host names, which take nothing from the others."""
    limits = RateLimits(120, clock=lambda: 0.0)
    names = [limits.take("/v1/projects/a/custom-hostname/reverify") for _ in range(11)]
    other = limits.take("/v1/projects/a")

    assert [allowance.remaining for allowance in names if allowance] == [*range(9, -2, -1)]
    assert other is not None
    assert (other.limit, other.remaining) == (120, 119)
    assert RateLimits(0).take("/v1/projects/a/custom-hostname") is None


def test_no_limit_sends_no_headers(emulator: Emulator) -> None:
    """A limit of 0 switches the limit off."""
    assert "x-ratelimit-limit" not in emulator.client.get("/v1/profile").headers


def test_answer_without_content_is_empty(project: Project) -> None:
    """Where the contract has no body there is none, not even a null."""
    answer = project.emulator.client.post(f"{project.path}/secrets", json=[])

    assert (answer.status_code, answer.content) == (201, b"")
