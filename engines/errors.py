"""The root of every error that Groundwork raises on purpose.

    GroundworkError
    ├── DatabaseUnreachableError      engines.postgres; LoginRefusedError is one
    ├── MigrationError …              engines.migrations.errors
    ├── SupabaseError …               engines.supabase.errors
    ├── ProcessError …                engines.processes
    ├── LoginError                    engines.logins
    ├── VaultError                    engines.vault
    ├── CronError                     engines.cron
    ├── ProductError                  engines.product
    ├── SwarmError                    engines.swarm
    └── ReleaseError                  engines.release.gate

A message says what is wrong, where, and what to do. It never holds a secret.
"""

from __future__ import annotations


class GroundworkError(Exception):
    """Something a user can act on; its text is shown as it is."""
