"""A Management API made of its published contracts alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from engines import supabase
from engines.supabase import ManagementClient
from tests.fix_management import TOKEN
from tests.samples import Fill, sample

if TYPE_CHECKING:
    from tests.fix_operations import Operation, Operations

FORM = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.ts"\r\n\r\n\x00\r\n1\r\n--b--\r\n'


# What must not be there for a call to create it.
LACKING = {("signing_keys", "take_over_legacy"): "GET /v1/projects/{ref}/config/auth/signing-keys/legacy"}


@dataclass
class ContractService:
    """Judges each request by the contracts, and answers it with a sample of one of them.

    Attributes:
        contract: position of the contract whose schema the answers fit, where both have the operation.
        status: the state that projects have.
        lacking: the route of what is not there, which answers 404.
    """

    operations: Operations
    contract: int
    fill: Fill
    status: str
    lacking: str = ""
    seen: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Judge and answer one request."""
        request.read()
        self.operations.check(request)
        known = [one for one in self.operations.of(request) if one.answer] or self.operations.of(request)
        operation = known[min(self.contract, len(known) - 1)]
        self.seen.append(f"{operation.method} {operation.template}")
        if self.seen[-1] == self.lacking:
            return httpx.Response(404, json={"message": "not there"})
        if operation.template.endswith("/{function_slug}/body"):
            return httpx.Response(
                200, content=FORM, headers={"content-type": "multipart/form-data; boundary=b"}
            )
        return self._answer(operation)

    def _answer(self, operation: Operation) -> httpx.Response:
        if operation.answer is None:
            return httpx.Response(operation.status)
        body = sample(operation.answer, self.fill)
        if operation.template == "/v1/projects/{ref}":
            body["status"] = self.status
        return httpx.Response(operation.status, json=body)

    def client(self) -> ManagementClient:
        """Give a client that talks to this service."""
        transport = httpx.MockTransport(self)
        timing = supabase.Timing(lambda _: None, lambda: 0.0, 30)
        limiter = supabase.Limiter(lambda _: None, lambda: 0.0)
        return ManagementClient(
            "https://api.test", TOKEN, transport=transport, limiter=limiter, timing=timing
        )
