"""Faults that tests ask for: the next requests to a route fail as the real service fails at times.

`POST /emulator/faults` adds one, `GET` lists those that are left, `DELETE` forgets them. A fault is used up
after `times` requests that match it.
"""

from __future__ import annotations

import asyncio
import re
import threading
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

router = APIRouter(prefix="/emulator/faults")

_WORDS = {429: "ThrottlerException: Too Many Requests", 503: "Service Unavailable"}
# An answer whose bytes are announced and never sent: the server closes the connection when nothing follows.
_CUT: list[Message] = [
    {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000000")]},
    {"type": "http.response.body", "body": b"", "more_body": True},
]


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from None
    return text


class Fault(BaseModel):
    """What is to go wrong.

    Attributes:
        kind: `status`: answered with `status`, not carried out; `slow`: carried out and answered after
            `seconds`; `late`: carried out at once, answered after `seconds`; `cut`: the connection ends, and
            nothing was carried out; `cut_after`: it ends after the request was carried out.
        method: of the requests that it meets.
        path: regular expression for their whole paths.
        times: how many of them.
        status: for `status`.
        seconds: for `slow` and `late`.
        headers: of the answer, for `status`.
        message: of the answer, for `status`; None: as the service words it.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["status", "slow", "late", "cut", "cut_after"]
    method: str = ".*"
    path: Annotated[str, AfterValidator(_pattern)] = ".*"
    times: int = Field(1, ge=1)
    status: int = Field(500, ge=400, le=599)
    seconds: float = Field(0, ge=0, le=600)
    headers: dict[str, str] = Field(default={})
    message: str | None = None

    def meets(self, scope: Scope) -> bool:
        """Tell whether a request is one that is to fail."""
        return bool(re.fullmatch(self.method, scope["method"]) and re.fullmatch(self.path, scope["path"]))


class Faults:
    """The faults that are left, oldest first."""

    def __init__(self) -> None:
        """Begin without any."""
        self._lock = threading.Lock()
        self._left: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let something go wrong."""
        with self._lock:
            self._left.append(fault)

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        with self._lock:
            self._left.clear()

    def all(self) -> list[Fault]:
        """List what is left."""
        with self._lock:
            return list(self._left)

    def take(self, scope: Scope) -> Fault | None:
        """Give the fault that meets a request, and use it up by one."""
        with self._lock:
            for position, fault in enumerate(self._left):
                if fault.meets(scope):
                    fewer = fault.model_copy(update={"times": fault.times - 1})
                    self._left[position : position + 1] = [fewer] if fewer.times else []
                    return fault
        return None


class FaultInjection:
    """ASGI middleware: makes requests to the Management API and to projects' services fail as asked."""

    def __init__(self, app: ASGIApp, *, faults: Faults) -> None:
        """Wrap `app`."""
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or let it fail."""
        watched = scope["type"] == "http" and scope["path"].startswith(("/v1/", "/v2/", "/projects/"))
        fault = self._faults.take(scope) if watched else None
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.kind == "status":
            words = fault.message or _WORDS.get(fault.status, "Internal Server Error")
            await JSONResponse({"message": words}, fault.status, fault.headers)(scope, receive, send)
        else:
            await self._disturbed(fault, scope, receive, send)

    async def _disturbed(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        messages = _CUT if fault.kind == "cut" else await self._answer(scope, receive)
        if fault.kind == "late":
            await asyncio.sleep(fault.seconds)
        for message in _CUT if fault.kind == "cut_after" else messages:
            await send(message)

    async def _answer(self, scope: Scope, receive: Receive) -> list[Message]:
        """Carry a request out and hold its answer back."""
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        await self._app(scope, receive, hold)
        return held


def _faults(request: Request) -> Faults:
    found: Faults = request.app.state.faults
    return found


@router.post("", status_code=201)
def add_fault(fault: Fault, request: Request) -> dict[str, Any]:
    """Let the next requests that match fail."""
    _faults(request).add(fault)
    return fault.model_dump()


@router.get("")
def list_faults(request: Request) -> list[dict[str, Any]]:
    """List the faults that are left."""
    return [fault.model_dump() for fault in _faults(request).all()]


@router.delete("")
def clear_faults(request: Request) -> dict[str, str]:
    """Forget all faults."""
    _faults(request).clear()
    return {"message": "ok"}
