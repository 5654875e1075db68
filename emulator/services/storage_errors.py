"""How the storage service words what it refuses: `{"statusCode", "error", "code", "message"}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from emulator.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fastapi import Request, Response

# Status that is meant, and `error` where it is not the code itself (supabase/storage, src/internal/errors).
_KNOWN: dict[str, tuple[str, str]] = {
    "InvalidRequest": ("400", "Error"),
    "InvalidBucketName": ("400", "Invalid Input"),
    "AccessDenied": ("403", "Unauthorized"),
    "NoSuchBucket": ("404", "Bucket not found"),
    "BucketAlreadyExists": ("409", "Duplicate"),
    "ResourceNotEmpty": ("409", "ResourceNotEmpty"),
    "EntityTooLarge": ("413", "Payload too large"),
    "DatabaseReadOnly": ("503", "DatabaseReadOnly"),
}


def refused(code: str, message: str) -> ApiError:
    """Word a refusal; its HTTP status is 400, whatever is meant."""
    status, error = _KNOWN[code]
    return ApiError(400, message, statusCode=status, error=error, code=code)


def worded(error: Exception) -> ApiError:
    """Put what the database refused into the service's words."""
    said = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    if isinstance(error, psycopg.errors.UniqueViolation):
        return refused("BucketAlreadyExists", "The resource already exists")
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return refused("AccessDenied", said or "Access denied")
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        message = "The database is currently in read-only mode. Please try again later."
        return refused("DatabaseReadOnly", message)
    if isinstance(error, ConnectionError | psycopg.OperationalError):
        message = "The connection to the database timed out"
        return ApiError(544, message, statusCode="544", error="DatabaseTimeout", code="DatabaseTimeout")
    return ApiError(500, said or "Internal", statusCode="500", error="DatabaseError", code="DatabaseError")


class Route(APIRoute):
    """A route whose wrong requests are refused in the service's words."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler."""
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                raise refused("InvalidRequest", _complaint(error)) from error

        return checked


def _complaint(error: RequestValidationError) -> str:
    """Say what is wrong where; the values themselves are left out."""
    return ", ".join(f"{'/'.join(str(part) for part in one['loc'])} {one['msg']}" for one in error.errors())
