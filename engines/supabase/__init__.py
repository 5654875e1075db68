"""The Management API of Supabase: a typed client, its values and its errors."""

from __future__ import annotations

from engines.supabase import function_files, key_states, policies, storage
from engines.supabase.addons import Addon, AddonList
from engines.supabase.api_keys import ApiKey
from engines.supabase.auth_settings import AuthSettings
from engines.supabase.backups import Backup, Backups, BackupSchedule, RestorePoint
from engines.supabase.buckets import Bucket
from engines.supabase.client import ManagementClient, default_timing
from engines.supabase.comparison import differing, equal
from engines.supabase.configuration import SECTIONS
from engines.supabase.database import TemporaryLogin
from engines.supabase.errors import (
    AuthError,
    ConflictError,
    Fate,
    ForbiddenError,
    FunctionFilesError,
    InvalidSettingError,
    NotFoundError,
    ProjectFailedError,
    RateLimitedError,
    RejectedError,
    SupabaseError,
    UnavailableError,
    UnexpectedAnswerError,
)
from engines.supabase.functions import Bundle, Function
from engines.supabase.hostnames import DnsRecord, Hostname
from engines.supabase.limits import Limiter
from engines.supabase.models import (
    ApiKeys,
    CreateProject,
    DatabaseAddress,
    Organization,
    Poolers,
    Project,
    ServiceHealth,
    direct_address,
    project_url,
)
from engines.supabase.organizations import Entitlement, OrganizationDetail, Region
from engines.supabase.placement import require_placeable
from engines.supabase.restore_points import keep_restore_point
from engines.supabase.sections import (
    NetworkSettings,
    PoolerSettings,
    PostgresSettings,
    PostgrestSettings,
    RealtimeSettings,
    SslSettings,
    StorageSettings,
)
from engines.supabase.session import Timing
from engines.supabase.signing_keys import SigningKey
from engines.supabase.snapshot import PARTS, read_project
from engines.supabase.third_party import ThirdParty
from engines.supabase.wire import Settings

__all__ = [
    "PARTS",
    "SECTIONS",
    "Addon",
    "AddonList",
    "ApiKey",
    "ApiKeys",
    "AuthError",
    "AuthSettings",
    "Backup",
    "BackupSchedule",
    "Backups",
    "Bucket",
    "Bundle",
    "ConflictError",
    "CreateProject",
    "DatabaseAddress",
    "DnsRecord",
    "Entitlement",
    "Fate",
    "ForbiddenError",
    "Function",
    "FunctionFilesError",
    "Hostname",
    "InvalidSettingError",
    "Limiter",
    "ManagementClient",
    "NetworkSettings",
    "NotFoundError",
    "Organization",
    "OrganizationDetail",
    "PoolerSettings",
    "Poolers",
    "PostgresSettings",
    "PostgrestSettings",
    "Project",
    "ProjectFailedError",
    "RateLimitedError",
    "RealtimeSettings",
    "Region",
    "RejectedError",
    "RestorePoint",
    "ServiceHealth",
    "Settings",
    "SigningKey",
    "SslSettings",
    "StorageSettings",
    "SupabaseError",
    "TemporaryLogin",
    "ThirdParty",
    "Timing",
    "UnavailableError",
    "UnexpectedAnswerError",
    "default_timing",
    "differing",
    "direct_address",
    "equal",
    "function_files",
    "keep_restore_point",
    "key_states",
    "policies",
    "project_url",
    "read_project",
    "require_placeable",
    "storage",
]
