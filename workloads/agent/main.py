"""The agent: answers questions for credits, and runs background jobs.

Run in this folder: python serve.py --host 127.0.0.1 --port 8001
"""

from __future__ import annotations

import json
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID  # noqa: TC003 - FastAPI reads the annotations at run time

import httpx
from fastapi import FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field, SecretStr
from starlette.exceptions import HTTPException

import config
import logs
from access import Guard
from ai.anthropic import Anthropic
from ai.echo import Echo
from ai.openai import OpenAI
from ai.options import Options
from held import CURRENT, Secret, documents, password_of
from jobs import Runner
from replies import Done, Failed, Piece, Question, Replies
from report import CheckFailedError, report
from store import RefusedError, Store
from traffic import Traffic
from uses import Uses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ai.model import Model
    from replies import Event

SETTINGS = config.load()
logs.configure(SETTINGS.secret_values())
USES = Uses()
TRAFFIC = Traffic("/health")
SECRET = Secret("agent_shared_secret", SETTINGS.agent_shared_secret, USES.note)
DATABASE_URL = SETTINGS.database_url.get_secret_value()
PASSWORD = Secret("database_password", {CURRENT: SecretStr(password_of(DATABASE_URL))}, USES.note)
AI_KEY = Secret("ai_api_key", {CURRENT: SETTINGS.ai_api_key} if SETTINGS.ai_api_key else {}, USES.note)
HELD = [secret for secret in (SECRET, PASSWORD, AI_KEY) if secret.versions]
# Below the grace that process and container hosts give before they kill.
PATIENCE_S = 8


class Ask(BaseModel):
    """A question for the agent."""

    organization_id: UUID
    user_id: UUID
    conversation_id: UUID | None = None
    message: Annotated[str, Field(min_length=1, max_length=8000)]


class Batch(BaseModel):
    """How much work one call of the job runner may do."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    seconds: Annotated[float, Field(gt=0, le=60)] = 20


def _model(client: httpx.AsyncClient) -> Model:
    key = SETTINGS.ai_api_key.get_secret_value() if SETTINGS.ai_api_key else ""
    options = Options(
        SETTINGS.ai_model or "", SETTINGS.ai_base_url, key, config.whole_number("AI_MAX_TOKENS")
    )
    if SETTINGS.ai_provider == "openai":
        return OpenAI(client, options)
    return Anthropic(client, options) if SETTINGS.ai_provider == "anthropic" else Echo()


async def _asks_the_model(request: httpx.Request) -> None:
    del request  # the client has no other requests
    if AI_KEY.versions:
        AI_KEY.used(CURRENT)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    store = Store(DATABASE_URL, "agent", lambda: PASSWORD.used(CURRENT))
    await store.open()
    async with USES.kept(store), httpx.AsyncClient(event_hooks={"request": [_asks_the_model]}) as client:
        model = _model(client)
        name = SETTINGS.ai_model or SETTINGS.ai_provider
        app.state.replies = Replies(store, model, name, config.whole_number("REPLY_PRICE"))
        app.state.runner = Runner(store, model)
        app.state.store, app.state.model = store, model
        yield
        await app.state.replies.close(PATIENCE_S)
    await store.close()


api = FastAPI(title="agent", lifespan=_lifespan, docs_url=None, redoc_url=None, openapi_url=None)
# What a server runs: everything behind the log and the guard.
app = logs.AccessLog(Guard(api, SECRET), TRAFFIC)


@api.exception_handler(RefusedError)
async def _refused(request: Request, error: RefusedError) -> JSONResponse:
    del request
    return JSONResponse({"error": str(error)}, error.status)


@api.exception_handler(CheckFailedError)
async def _unavailable(request: Request, error: CheckFailedError) -> JSONResponse:
    del request
    return JSONResponse({"error": str(error)}, 503, headers={"Retry-After": "5"})


@api.exception_handler(HTTPException)
async def _http(request: Request, error: HTTPException) -> JSONResponse:
    del request
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


@api.exception_handler(RequestValidationError)
async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    del request
    # Places and rules only: the input is the user's.
    problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    return JSONResponse({"error": "; ".join(problems)}, 422)


@api.exception_handler(Exception)
async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    del error  # logs.AccessLog writes it down
    return JSONResponse({"error": "internal error", "request_id": request.state.request_id}, 500)


@api.get("/health")
async def read_health(
    request: Request, nonce: Annotated[str | None, Query(min_length=8, max_length=256)] = None
) -> JSONResponse:
    """Report checks, traffic and secrets, with a nonce also their fingerprints; 503 when unhealthy."""
    state = request.app.state
    checks = {"database": state.store.check, "ai": state.model.check}
    document = await report(checks)
    document |= {
        "version": SETTINGS.service_version,
        "environment": SETTINGS.environment,
        "traffic": TRAFFIC.document(),
        "secrets": documents(HELD, nonce),
    }
    return JSONResponse(document, 503 if document["status"] == "unhealthy" else 200)


@api.get("/probe")
async def probe(request: Request) -> JSONResponse:
    """Answer for a caller with the secret whether requests get through to the database; 503: they do not."""
    await request.app.state.store.check()
    return JSONResponse({"status": "ok", "version": SETTINGS.service_version})


@api.post("/reply")
async def reply(
    request: Request,
    ask: Ask,
    idempotency_key: Annotated[str | None, Header(min_length=8, max_length=200)] = None,
) -> Any:
    """Charge, then stream the answer as events: `token`, and at the end `done` or `error`."""
    question = Question(
        organization=ask.organization_id,
        user=ask.user_id,
        conversation=ask.conversation_id,
        message=ask.message,
        key=idempotency_key or secrets.token_hex(16),
    )
    first, others = await request.app.state.replies.ask(question)
    if isinstance(first, Failed):
        return JSONResponse({"error": first.text}, 502)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_lines(first, others), media_type="text/event-stream", headers=headers)


async def _lines(first: Event, others: AsyncIterator[Event]) -> AsyncIterator[str]:
    yield _line(first)
    if isinstance(first, Piece):
        async for event in others:
            yield _line(event)


def _line(event: Event) -> str:
    data: dict[str, object]
    match event:
        case Piece(text):
            name, data = "token", {"text": text}
        case Done(conversation, left):
            name, data = "done", {"conversation_id": str(conversation), "credits_left": left}
        case Failed(text):
            name, data = "error", {"error": text}
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


@api.post("/jobs/run")
async def run_jobs(request: Request, batch: Batch | None = None) -> dict[str, int]:
    """Run due background jobs, a bounded batch, and count their outcomes."""
    wanted = batch or Batch()
    counts: dict[str, int] = await request.app.state.runner.run(wanted.limit, wanted.seconds)
    return counts


@api.post("/jobs/purge")
async def purge_jobs(request: Request) -> dict[str, int]:
    """Delete finished jobs that are older than the schema's limit."""
    rows = await request.app.state.store.call("purge_jobs")
    return {"purged": rows[0]["purge_jobs"]}
