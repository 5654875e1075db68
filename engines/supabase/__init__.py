"""The Management API of Supabase: a typed client, its values and its errors."""

from __future__ import annotations

from engines.supabase.client import ManagementClient
from engines.supabase.errors import (
    AuthError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    ProjectFailedError,
    RateLimitedError,
    RejectedError,
    SupabaseError,
    UnavailableError,
    UnexpectedAnswerError,
)
from engines.supabase.models import (
    ApiKeys,
    CreateProject,
    DatabaseAddress,
    Organization,
    Project,
    ServiceHealth,
    project_url,
)

__all__ = [
    "ApiKeys",
    "AuthError",
    "ConflictError",
    "CreateProject",
    "DatabaseAddress",
    "ForbiddenError",
    "ManagementClient",
    "NotFoundError",
    "Organization",
    "Project",
    "ProjectFailedError",
    "RateLimitedError",
    "RejectedError",
    "ServiceHealth",
    "SupabaseError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "project_url",
]
