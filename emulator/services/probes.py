"""What each service needs of its project's database: it is as healthy as that."""

from __future__ import annotations

from emulator import instance

AUTH_VERSION = {
    "name": "GoTrue",
    "version": "v2.180.0",
    "description": "GoTrue is a user registration and authentication API",
}
# A service without its tables, or without the right to them, is as broken as one without a database.
_NEEDS = {
    "auth": ("supabase_auth_admin", "select 1 from auth.users limit 1"),
    "rest": ("authenticator", "select 'anon'::regrole, 'authenticated'::regrole, 'service_role'::regrole"),
    "storage": ("supabase_storage_admin", "select 1 from storage.buckets limit 1"),
}
_OTHERS = (instance.OWNER, "select 1")


def check(server: instance.Instance, service: str, *, timeout_s: int = 3) -> None:
    """Log in as the service's role and run the statement that it could not live without.

    Raises:
        ConnectionError: the database server does not run.
        psycopg.Error: it does not answer in time, or what is asked for is not there.
    """
    role, query = _NEEDS.get(service, _OTHERS)
    with instance.connect(server.dsn(role), timeout_s=timeout_s) as session:
        session.execute(query.encode())
