"""What a project shows that nobody has configured.

Sources: https://supabase.com/docs/guides/auth/rate-limits, https://supabase.com/docs/guides/auth/sessions,
https://supabase.com/docs/guides/auth/passwords, https://supabase.com/docs/guides/auth/auth-email-templates,
https://supabase.com/docs/guides/local-development/cli/config, https://supabase.com/docs/guides/storage/uploads,
https://supabase.com/docs/guides/realtime/limits, https://supabase.com/docs/guides/platform/network-restrictions.
What is not here counts as unset when it is null, false, empty, or zero. A value that is missed here is
written to the stack file although nobody chose it, which does no harm: it is what the project has.
"""

from __future__ import annotations

from typing import Any, Final

_AUTH: Final[dict[str, Any]] = {
    "api_max_request_duration": 10,
    "db_max_pool_size": 10,
    "db_max_pool_size_unit": "connections",
    "external_email_enabled": True,
    "jwt_exp": 3600,
    "mailer_otp_exp": 3600,
    "mailer_otp_length": 6,
    "mailer_secure_email_change_enabled": True,
    "mailer_subjects_confirmation": "Confirm Your Signup",
    "mailer_subjects_email_change": "Confirm Email Change",
    "mailer_subjects_invite": "You have been invited",
    "mailer_subjects_magic_link": "Your Magic Link",
    "mailer_subjects_reauthentication": "Confirm Reauthentication",
    "mailer_subjects_recovery": "Reset Your Password",
    "mfa_max_enrolled_factors": 10,
    "mfa_phone_max_frequency": 5,
    "mfa_phone_otp_length": 6,
    "mfa_phone_template": "Your code is {{ .Code }}",
    "mfa_totp_enroll_enabled": True,
    "mfa_totp_verify_enabled": True,
    "password_min_length": 6,
    "rate_limit_anonymous_users": 30,
    "rate_limit_email_sent": 2,
    "rate_limit_otp": 30,
    "rate_limit_sms_sent": 30,
    "rate_limit_token_refresh": 150,
    "rate_limit_verify": 30,
    "rate_limit_web3": 30,
    "refresh_token_rotation_enabled": True,
    "security_refresh_token_reuse_interval": 10,
    "site_url": "http://localhost:3000",
    "sms_max_frequency": 5,
    "sms_otp_exp": 60,
    "sms_otp_length": 6,
    "sms_provider": "twilio",
    "sms_template": "Your code is {{ .Code }}",
    "smtp_max_frequency": 60,
}
FRESH: Final[dict[str, dict[str, Any]]] = {
    "auth": _AUTH,
    "postgrest": {
        "db_schema": "public,graphql_public",
        "db_extra_search_path": "public, extensions",
        "max_rows": 1000,
    },
    # Only what somebody set is shown, so all of it was chosen.
    "postgres": {},
    # The size belongs to the compute; 15 is that of the smallest ones.
    "pooler": {"default_pool_size": 15, "pool_mode": "transaction"},
    "storage": {
        "fileSizeLimit": 52_428_800,
        "features": {
            "imageTransformation": {"enabled": False},
            "s3Protocol": {"enabled": True},
            "purgeCache": {"enabled": False},
            "icebergCatalog": {"enabled": False, "maxNamespaces": 0, "maxTables": 0, "maxCatalogs": 0},
            "vectorBuckets": {"enabled": False, "maxBuckets": 0, "maxIndexes": 0},
        },
        "external": {"upstreamTarget": "main"},
    },
    "realtime": {
        "connection_pool": 2,
        "max_bytes_per_second": 100_000,
        "max_channels_per_client": 100,
        "max_concurrent_users": 200,
        "max_events_per_second": 100,
        "max_joins_per_second": 100,
        "max_payload_size_in_kb": 100,
        "max_presence_events_per_second": 100,
        "presence_enabled": True,
    },
    "ssl": {"database": False},
    "network": {"dbAllowedCidrs": ["0.0.0.0/0"], "dbAllowedCidrsV6": ["::/0"]},
}


def is_fresh(section: str, name: str, value: Any) -> bool:
    """Tell whether a field is as in a project that nobody has configured.

    Args:
        section: its section.
        name: as the API spells it.
        value: as the API shows it.
    """
    known = FRESH[section]
    if isinstance(value, dict):
        return all(member in known.get(name, {}) and known[name][member] == value[member] for member in value)
    if name in known:
        return value is None or bool(value == known[name])
    # Of PostgreSQL's parameters only those are shown that somebody set, to whatever.
    return value is None or (section != "postgres" and not value)
