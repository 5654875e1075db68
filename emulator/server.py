"""The HTTP application: routes, the frame around them, and errors as the real service words them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from emulator import faults, frame, usage
from emulator.errors import ApiError
from emulator.management import (
    addons,
    advisors,
    analytics,
    api_keys,
    backups,
    bans,
    branches,
    buckets,
    configuration,
    database,
    disk,
    encryption,
    function_changes,
    functions,
    health,
    hostnames,
    lifecycle,
    migrations,
    network,
    organizations,
    parameters,
    projects,
    readonly,
    schemas,
    secrets,
    services,
    signing_keys,
    sso,
    third_party,
    vanity,
    whole_config,
)
from emulator.services import buckets as storage_buckets
from emulator.services import routes

if TYPE_CHECKING:
    from emulator.options import Options
    from emulator.projects import Projects

_log = logging.getLogger("emulator.server")

_SUBJECTS = (
    *(
        organizations,
        projects,
        lifecycle,
        branches,
        health,
        api_keys,
        secrets,
        database,
        migrations,
        readonly,
    ),
    *(configuration, parameters, services, network, signing_keys, third_party, sso, encryption),
    *(disk, bans, vanity, schemas, advisors, analytics),
    *(addons, backups, functions, function_changes, buckets, hostnames, whole_config),
    *(routes, storage_buckets),
)


def application(cloud: Projects, options: Options) -> FastAPI:
    """Put the application together."""
    app = FastAPI(title="Stand-in for the Supabase cloud", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.projects = cloud
    for subject in _SUBJECTS:
        app.include_router(subject.router)
    app.include_router(faults.router)
    app.state.faults = faults.Faults()
    app.state.usage = usage.Usage()
    app.state.options = options
    app.add_api_route("/health", _alive)
    app.add_middleware(faults.FaultInjection, faults=app.state.faults)
    app.add_middleware(usage.Counting, usage=app.state.usage)
    limit = frame.RateLimits(options.rate_limit)
    app.add_middleware(frame.ManagementFrame, token=options.token, rate_limit=limit)
    app.add_middleware(frame.RequestLog)
    _word_errors(app)
    return app


def _alive() -> dict[str, str]:
    return {"status": "ok"}


def _word_errors(app: FastAPI) -> None:
    app.add_exception_handler(ApiError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(psycopg.Error, _failed)
    app.add_exception_handler(OSError, _failed)


def _answer(status: int, message: str, extra: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"message": message, **(extra or {})}, status)


async def _refused(_: Request, error: Any) -> JSONResponse:
    return _answer(error.status, error.message, error.extra)


async def _invalid(_: Request, error: Any) -> JSONResponse:
    """Say what is wrong where; the value itself is left out, it may be a password."""
    wrong = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
    return _answer(400, "; ".join(wrong))


async def _no_route(request: Request, error: Any) -> JSONResponse:
    if error.status_code in {404, 405}:
        return _answer(error.status_code, f"Cannot {request.method} {request.url.path}")
    return _answer(error.status_code, str(error.detail))


async def _failed(request: Request, error: Exception) -> JSONResponse:
    """Answer 500 for what went wrong here: the disk is full, the database went away."""
    said = str(error).splitlines()[0]
    _log.error("%s %s: %s", request.method, request.url.path, said)
    return _answer(500, f"The emulator failed: {said}")
