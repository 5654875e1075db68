"""The app: the product's page, its forms, the organization's export, and the health of it all.

Run in this folder: python serve.py --host 127.0.0.1 --port 8000
"""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import httpx
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import SecretStr
from starlette.exceptions import HTTPException

import billing
import config
import logs
import pages
from held import CURRENT, Secret, documents, password_of
from protection import Protection
from report import report
from store import RefusedError, Store, StoreUnavailableError
from traffic import Traffic
from upstream import Agent, AgentError, Project
from uses import Uses
from visitors import Visitors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SETTINGS = config.load()
logs.configure(SETTINGS.secret_values())
USES = Uses()
TRAFFIC = Traffic("/api/health")
SHARED = Secret("agent_shared_secret", SETTINGS.agent_shared_secret, USES.note)
SESSION_KEY = Secret("session_key", SETTINGS.session_key.values, USES.note)
BILLING = Secret("billing_webhook_secret", SETTINGS.billing_webhook_secret or {}, USES.note)
MAIL_KEY = Secret(
    "mail_api_key", {CURRENT: SETTINGS.mail_api_key} if SETTINGS.mail_api_key else {}, USES.note
)
DATABASE_URL = SETTINGS.database_url.get_secret_value()
PASSWORD = Secret("database_password", {CURRENT: SecretStr(password_of(DATABASE_URL))}, USES.note)
HELD = [secret for secret in (SHARED, SESSION_KEY, BILLING, MAIL_KEY, PASSWORD) if secret.versions]
# Who streams an answer for minutes must not keep others, the health check among them, from the agent.
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)
TITLES = {401: "Not signed in", 402: "Not enough credits", 403: "Not allowed", 404: "Not found"}


@asynccontextmanager
async def _lifespan(api: FastAPI) -> AsyncIterator[None]:
    state = api.state
    state.settings = SETTINGS
    state.visitors = Visitors(SESSION_KEY, SETTINGS.session_key.use)
    state.billing_secret = BILLING
    state.store = Store(DATABASE_URL, "app", lambda: PASSWORD.used(CURRENT))
    await state.store.open()
    async with USES.kept(state.store), httpx.AsyncClient(limits=LIMITS) as client:
        state.agent = Agent(client, SETTINGS.agent_url, SHARED)
        state.project = Project(client, SETTINGS.supabase_url, SETTINGS.supabase_anon_key)
        yield
    await state.store.close()


api = FastAPI(title="app", lifespan=_lifespan, docs_url=None, redoc_url=None, openapi_url=None)
api.include_router(pages.router)
api.include_router(billing.router)
api.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
# What a server runs: everything behind the log and the headers.
app = logs.AccessLog(Protection(api), TRAFFIC)


def _problem(request: Request, status: int, text: str, **more: str) -> Response:
    """Answer with a page, or with JSON where the page's script or a program asks."""
    if "text/html" not in request.headers.get("accept", "text/html"):
        return JSONResponse({"error": text, **more}, status)
    title = TITLES.get(status, "Something went wrong")
    return pages.render(request, "problem.html", status, title=title, text=text)


@api.exception_handler(HTTPException)
async def _http(request: Request, error: HTTPException) -> Response:
    text = "There is no such page." if error.detail == "Not Found" else error.detail
    return _problem(request, error.status_code, text)


@api.exception_handler(RequestValidationError)
async def _invalid(request: Request, error: RequestValidationError) -> Response:
    # Only the names: the values are the visitor's.
    names = ", ".join(sorted({str(problem["loc"][-1]) for problem in error.errors()}))
    return _problem(request, 422, f"Please check what you entered: {names}.")


@api.exception_handler(RefusedError)
async def _refused(request: Request, error: RefusedError) -> Response:
    return _problem(request, error.status, f"The request was refused: {error}.")


@api.exception_handler(AgentError)
async def _agent(request: Request, error: AgentError) -> Response:
    # A refunded attempt cannot be repeated: the script's next try needs a key of its own.
    return _problem(request, error.status, str(error), key=secrets.token_hex(16))


@api.exception_handler(StoreUnavailableError)
async def _unavailable(request: Request, error: StoreUnavailableError) -> Response:
    del error  # /api/health has it
    return _problem(request, 503, "The database is not available right now. Please try again in a minute.")


@api.exception_handler(Exception)
async def _unexpected(request: Request, error: Exception) -> Response:
    del error  # logs.AccessLog writes it down
    text = f"The error was recorded under the number {request.state.request_id}."
    return _problem(request, 500, text)


@api.get("/api/health")
async def read_health(
    request: Request, nonce: Annotated[str | None, Query(min_length=8, max_length=256)] = None
) -> JSONResponse:
    """Report checks, traffic and secrets, with a nonce also their fingerprints; 503 when unhealthy."""
    state = request.app.state
    checks = {
        "database": state.store.check,
        "auth": state.project.check_auth,
        "storage": state.project.check_storage,
        "agent": state.agent.check,
    }
    document = await report(checks)
    document |= {
        "version": SETTINGS.service_version,
        "environment": SETTINGS.environment,
        "traffic": TRAFFIC.document(),
        "secrets": documents(HELD, nonce),
    }
    headers = dict(pages.NO_STORE)
    return JSONResponse(document, 503 if document["status"] == "unhealthy" else 200, headers=headers)


@api.get("/api/probe")
async def probe(request: Request) -> JSONResponse:
    """Send one request through everything: the agent by the shared secret, and by it the database.

    503: something is away; 502: the agent refuses, or is none.
    """
    headers = dict(pages.NO_STORE)
    try:
        agent_version = await request.app.state.agent.probe()
    except AgentError as error:
        return JSONResponse({"status": "failed", "error": str(error)}, error.status, headers=headers)
    document = {"status": "ok", "version": SETTINGS.service_version, "agent_version": agent_version}
    return JSONResponse(document, headers=headers)
