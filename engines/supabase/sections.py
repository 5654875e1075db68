"""Settings of a project's services but auth, under the API's own names.

Source: https://api.supabase.com/api/v1; the fields that the Supabase CLI 3.1.0 knows beyond it are included.
A field that is not set is not sent.
"""

# ruff: noqa: N815 - the names are the API's own

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engines.supabase.wire import Part, Settings

Duration = Annotated[str, Field(pattern=r"^(-?[0-9]+(?:\.[0-9]+)?)(us|ms|s|min|h|d)?$")]
Workers = Annotated[int, Field(ge=0, le=1024)]
PerSecond = Annotated[int, Field(ge=1, le=50_000)]
Joins = Annotated[int, Field(ge=1, le=5000)]
NotNegative = Annotated[int, Field(ge=0)]


class PostgrestSettings(Settings):
    """The REST API over the database."""

    section: ClassVar[str] = "postgrest"

    db_schema: str = ""
    max_rows: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    db_extra_search_path: str = ""
    db_pool: Annotated[int, Field(ge=0, le=1000)] = 0
    db_pool_acquisition_timeout: float = 0
    db_pool_max_lifetime: float = 0
    db_pool_max_idletime: float = 0


class PoolerSettings(Settings):
    """The connection pooler; a size of null is the one that belongs to the project's compute."""

    section: ClassVar[str] = "pooler"

    default_pool_size: Annotated[int, Field(ge=0, le=3000)] | None = None
    pool_mode: Literal["transaction", "session"] = "transaction"


class PostgresSettings(Settings):
    """PostgreSQL's parameters; those that nobody set are not there."""

    section: ClassVar[str] = "postgres"

    effective_cache_size: str = ""
    logical_decoding_work_mem: str = ""
    maintenance_work_mem: str = ""
    track_activity_query_size: str = ""
    max_connections: Annotated[int, Field(ge=1, le=262_143)] = 1
    max_locks_per_transaction: Annotated[int, Field(ge=10, le=2_147_483_640)] = 10
    max_logical_replication_workers: int = 0
    max_parallel_maintenance_workers: Workers = 0
    max_parallel_workers: Workers = 0
    max_parallel_workers_per_gather: Workers = 0
    max_replication_slots: int = 0
    max_slot_wal_keep_size: str = ""
    max_standby_archive_delay: str = ""
    max_standby_streaming_delay: str = ""
    max_sync_workers_per_subscription: int = 0
    max_wal_size: str = ""
    max_wal_senders: int = 0
    max_worker_processes: Annotated[int, Field(ge=0, le=262_143)] = 0
    session_replication_role: Literal["origin", "replica", "local"] = "origin"
    shared_buffers: str = ""
    statement_timeout: Duration = ""
    track_commit_timestamp: bool = False
    wal_keep_size: str = ""
    wal_sender_timeout: Duration = ""
    work_mem: str = ""
    checkpoint_timeout: Duration = ""
    hot_standby_feedback: bool = False
    autovacuum_max_workers: int = 0
    autovacuum_work_mem: str = ""
    log_autovacuum_min_duration: str = ""
    log_checkpoints: bool = False
    log_connections: bool = False
    log_disconnections: bool = False
    log_duration: bool = False
    log_lock_waits: bool = False
    log_recovery_conflict_waits: bool = False
    log_replication_commands: bool = False
    log_startup_progress_interval: str = ""
    log_temp_files: str = ""
    cron_log_statement: bool = Field(False, alias="cron.log_statement")
    pg_net_batch_size: int = Field(0, alias="pg_net.batch_size")
    pg_stat_statements_max: int = Field(0, alias="pg_stat_statements.max")


class Switch(Part):
    """A feature that is on or off."""

    enabled: bool


class IcebergCatalog(Part):
    """Catalogs of Iceberg tables, with their limits."""

    enabled: bool
    maxNamespaces: NotNegative
    maxTables: NotNegative
    maxCatalogs: NotNegative


class VectorBuckets(Part):
    """Buckets of vectors, with their limits."""

    enabled: bool
    maxBuckets: NotNegative
    maxIndexes: NotNegative


class StorageFeatures(Part):
    """Features of storage; each that is set is sent whole."""

    imageTransformation: Switch | None = None
    s3Protocol: Switch | None = None
    purgeCache: Switch | None = None
    icebergCatalog: IcebergCatalog | None = None
    vectorBuckets: VectorBuckets | None = None


class StorageUpstream(Part):
    """Which release of the storage service answers."""

    upstreamTarget: Literal["main", "canary"]


class StorageSettings(Settings):
    """The storage service."""

    section: ClassVar[str] = "storage"

    fileSizeLimit: Annotated[int, Field(ge=0, le=536_870_912_000)] = 0
    features: StorageFeatures | None = None
    external: StorageUpstream | None = None


class RealtimeSettings(Settings):
    """The realtime service."""

    section: ClassVar[str] = "realtime"

    private_only: bool = False
    connection_pool: Annotated[int, Field(ge=1, le=100)] = 1
    max_concurrent_users: PerSecond = 1
    max_events_per_second: PerSecond = 1
    max_bytes_per_second: Annotated[int, Field(ge=1, le=10_000_000)] = 1
    max_channels_per_client: Annotated[int, Field(ge=1, le=10_000)] = 1
    max_joins_per_second: Joins = 1
    max_presence_events_per_second: Joins = 1
    max_payload_size_in_kb: Annotated[int, Field(ge=1, le=10_000)] = 1
    suspend: bool = False
    presence_enabled: bool = False
    postgres_changes_pool: int = 0


class SslSettings(Settings):
    """Whether the database refuses connections without TLS."""

    section: ClassVar[str] = "ssl"

    database: bool = False


class NetworkSettings(Settings):
    """From where the database may be reached; a list replaces the former one."""

    section: ClassVar[str] = "network"

    dbAllowedCidrs: list[str] = Field(default=[])
    dbAllowedCidrsV6: list[str] = Field(default=[])
