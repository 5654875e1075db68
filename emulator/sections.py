"""A project's settings by section: the defaults of a new project under what was changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.store import Record

# Names, types and limits of the contract's UpdateAuthConfigBody and AuthConfigResponse, with a default each.
AUTH_FIELDS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "management" / "auth_config.json").read_text(encoding="utf-8")
)

_DEFAULTS: dict[str, dict[str, Any]] = {
    "auth": {name: field["default"] for name, field in AUTH_FIELDS.items()},
    "postgrest": {
        "db_schema": "public,graphql_public",
        "max_rows": 1000,
        "db_extra_search_path": "public, extensions",
        "db_pool": None,
        "db_pool_acquisition_timeout": None,
        "db_pool_max_lifetime": None,
        "db_pool_max_idletime": None,
    },
    "pooler": {"default_pool_size": 15, "pool_mode": "session"},
    "ssl": {"database": False},
    "network": {"dbAllowedCidrs": ["0.0.0.0/0"], "dbAllowedCidrsV6": ["::/0"]},
    "realtime": {
        "private_only": False,
        "connection_pool": 2,
        "postgres_changes_pool": None,
        "max_concurrent_users": 200,
        "max_events_per_second": 100,
        "max_bytes_per_second": 100_000,
        "max_channels_per_client": 100,
        "max_joins_per_second": 100,
        "max_presence_events_per_second": 100,
        "max_payload_size_in_kb": 100,
        "suspend": False,
        "presence_enabled": True,
        "admin_suspended_at": None,
    },
    "storage": {
        "fileSizeLimit": 52_428_800,
        "features": {
            "imageTransformation": {"enabled": True},
            "s3Protocol": {"enabled": True},
            "purgeCache": {"enabled": False},
            "icebergCatalog": {"enabled": False, "maxNamespaces": 0, "maxTables": 0, "maxCatalogs": 0},
            "vectorBuckets": {"enabled": False, "maxBuckets": 0, "maxIndexes": 0},
        },
        "capabilities": {"list_v2": True, "iceberg_catalog": False, "object_versioning": False},
        "external": {"upstreamTarget": "main"},
        "migrationVersion": "",
        "databasePoolMode": "transaction",
    },
}

# What a pooler that nobody configured shows.
PGBOUNCER: dict[str, Any] = {
    "ignore_startup_parameters": "",
    "server_idle_timeout": 600,
    "server_lifetime": 3600,
    "query_wait_timeout": 120,
    "reserve_pool_size": 0,
    "max_client_conn": 200,
}


def effective(record: Record, section: str) -> dict[str, Any]:
    """Give all settings of a section as they are in force."""
    return {**_DEFAULTS[section], **record.config.get(section, {})}
