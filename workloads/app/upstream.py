"""The services that the app stands on: the agent, and the project's auth and storage."""

from __future__ import annotations

import hmac
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from held import fingerprint
from report import CheckFailedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from held import Secret

# The agent itself waits for a model this long; the app is only a little more patient.
TIMEOUT = httpx.Timeout(200, connect=3)
CHECK_TIMEOUT = httpx.Timeout(3)
BROKEN = "The connection to the agent broke. What was charged for an unfinished reply is given back."


class AgentError(Exception):
    """The agent refused or is away.

    Attributes:
        status: the HTTP status that says the same.
    """

    def __init__(self, status: int, text: str) -> None:
        """Take the HTTP status and the reason, in words for the user."""
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Question:
    """What a signed-in user asks the agent; `key` names the attempt."""

    organization: UUID
    user: UUID
    conversation: UUID | None
    message: str
    key: str


@dataclass(frozen=True)
class Event:
    """One event of the agent's answer: `token`, `done` or `error`."""

    name: str
    data: dict[str, Any]

    def line(self) -> str:
        """Write it as a server-sent event."""
        return f"event: {self.name}\ndata: {json.dumps(self.data)}\n\n"


class Agent:
    """The agent service, and the current version of the secret that it shares with the app."""

    def __init__(self, client: httpx.AsyncClient, url: str, secret: Secret) -> None:
        """Take the agent's address and the secret, of which the newest version is presented."""
        self._client = client
        self._url = url
        self._secret = secret
        self._version = secret.versions[0]
        self._bearer = {"Authorization": f"Bearer {secret.value(self._version).decode()}"}

    async def ask(self, question: Question) -> AsyncIterator[Event]:
        """Stream the events of an answer; a break in the middle ends it with an `error`.

        Raises:
            AgentError: before the first event, the agent refused or is away.
        """
        self._secret.used(self._version)
        headers = self._bearer | {"Idempotency-Key": question.key}
        body = {
            "organization_id": str(question.organization),
            "user_id": str(question.user),
            "conversation_id": str(question.conversation) if question.conversation else None,
            "message": question.message,
        }
        request = self._client.build_request(
            "POST", f"{self._url}/reply", headers=headers, json=body, timeout=TIMEOUT
        )
        response = await self._open(request)
        try:
            async for event in _events(response):
                yield event
        except httpx.HTTPError:
            yield Event("error", {"error": BROKEN})
        finally:
            await response.aclose()

    async def _open(self, request: httpx.Request) -> httpx.Response:
        try:
            # The key makes it one question: a second try is not charged again.
            response = await self._send(request, stream=True)
        except httpx.HTTPError:
            raise AgentError(503, "The agent is not available right now; nothing was charged.") from None
        if response.status_code == 200:
            return response
        await response.aread()
        await response.aclose()
        raise _refusal(response)

    async def probe(self) -> str:
        """Send one request through the agent to the database, and give the agent's version.

        Raises:
            AgentError: it did not get through; 502 for an answer that no agent gives.
        """
        self._secret.used(self._version)
        request = self._client.build_request(
            "GET", f"{self._url}/probe", headers=self._bearer, timeout=CHECK_TIMEOUT
        )
        try:
            response = await self._send(request)
        except httpx.HTTPError as error:
            raise AgentError(503, f"the agent does not answer ({type(error).__name__})") from None
        try:
            document = response.json()
            if response.status_code == 200:
                return str(document["version"])
            text = f"the agent: {document['error']}"
        except (ValueError, KeyError, TypeError):
            raise AgentError(502, "what answers at the agent's address is no agent") from None
        raise AgentError(503 if response.status_code == 503 else 502, text)

    async def _send(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        """Send a request that may come twice, and once more if its connection ends before the answer.

        An agent that stops closes connections on which a request may be under way already.
        """
        try:
            return await self._client.send(request, stream=stream)
        except (httpx.NetworkError, httpx.RemoteProtocolError):
            return await self._client.send(request, stream=stream)

    async def check(self) -> None:
        """Tell whether the agent answers and holds the same secret.

        Raises:
            CheckFailedError: it is away, unhealthy, or its secret differs.
        """
        nonce = secrets.token_hex(16)
        try:
            response = await self._client.get(
                f"{self._url}/health", params={"nonce": nonce}, timeout=CHECK_TIMEOUT
            )
            document = response.json()
            accepted = document["secrets"]["agent_shared_secret"]["fingerprint"]
        except httpx.HTTPError as error:
            raise CheckFailedError(f"the agent does not answer ({type(error).__name__})") from None
        except (ValueError, KeyError, TypeError):
            raise CheckFailedError("what answers at the agent's address is no agent") from None
        expected = fingerprint(self._secret.value(self._version), nonce)
        if not hmac.compare_digest(str(accepted.get(self._version, "")).encode(), expected.encode()):
            raise CheckFailedError(f"the agent does not hold version {self._version} of agent_shared_secret")
        if response.status_code != 200:
            raise CheckFailedError(f"the agent is {document.get('status')}")


def _refusal(response: httpx.Response) -> AgentError:
    if response.status_code == 401:
        return AgentError(502, "The agent refuses the app's secret; nothing was charged.")
    try:
        text = str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        text = f"the agent answered with HTTP {response.status_code}"
    return AgentError(response.status_code, f"{text[:1].upper()}{text[1:]}.")


async def _events(response: httpx.Response) -> AsyncIterator[Event]:
    """Read the agent's events; a stream that ends without `done` or `error` was cut."""
    name = "error"
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield Event(name, json.loads(line.removeprefix("data: ")))
            if name in {"done", "error"}:
                return
    yield Event("error", {"error": BROKEN})


class Project:
    """The Supabase project's HTTP services."""

    def __init__(self, client: httpx.AsyncClient, url: str, anon_key: str) -> None:
        """Take the project's address and public key."""
        self._client = client
        self._url = url
        self._headers = {"apikey": anon_key, "Authorization": f"Bearer {anon_key}"}

    async def check_auth(self) -> None:
        """Tell whether Supabase Auth answers; raises CheckFailedError."""
        await self._check("/auth/v1/health")

    async def check_storage(self) -> None:
        """Tell whether Supabase Storage answers; raises CheckFailedError."""
        await self._check("/storage/v1/status")

    async def _check(self, path: str) -> None:
        try:
            response = await self._client.get(
                f"{self._url}{path}", headers=self._headers, timeout=CHECK_TIMEOUT
            )
        except httpx.HTTPError as error:
            raise CheckFailedError(f"{path} does not answer ({type(error).__name__})") from None
        if not response.is_success:
            raise CheckFailedError(f"{path} answered with HTTP {response.status_code}")
