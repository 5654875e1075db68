"""The app: the product's page, its forms, the organization's export, and the health of it all.

Run in this folder: python -m uvicorn main:app --host 127.0.0.1 --port 8000
"""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

import config
import logs
import pages
from protection import Protection
from report import report
from store import RefusedError, Store, StoreUnavailableError
from upstream import Agent, AgentError, Project
from visitors import Visitors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SETTINGS = config.load()
logs.configure(SETTINGS.secret_values())
TITLES = {401: "Not signed in", 402: "Not enough credits", 403: "Not allowed", 404: "Not found"}


@asynccontextmanager
async def _lifespan(api: FastAPI) -> AsyncIterator[None]:
    state = api.state
    state.settings = SETTINGS
    state.visitors = Visitors(SETTINGS.session_key.get_secret_value())
    state.store = Store(SETTINGS.database_url.get_secret_value(), "app")
    await state.store.open()
    async with httpx.AsyncClient() as client:
        state.agent = Agent(client, SETTINGS.agent_url, SETTINGS.agent_shared_secret)
        state.project = Project(client, SETTINGS.supabase_url, SETTINGS.supabase_anon_key)
        yield
    await state.store.close()


api = FastAPI(title="app", lifespan=_lifespan, docs_url=None, redoc_url=None, openapi_url=None)
api.include_router(pages.router)
api.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
# What a server runs: everything behind the log and the headers.
app = logs.AccessLog(Protection(api))


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
async def read_health(request: Request) -> JSONResponse:
    """Report the checks of database, auth, storage and agent; 503 when unhealthy."""
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
        "secrets": {"agent_shared_secret": {"versions": [state.agent.version]}},
    }
    headers = dict(pages.NO_STORE)
    return JSONResponse(document, 503 if document["status"] == "unhealthy" else 200, headers=headers)
