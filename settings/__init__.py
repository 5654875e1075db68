"""Stack configuration read from Pulumi, as one frozen and validated description.

`Settings.load()` is the only reader of `pulumi.Config`. Every problem of a configuration is reported at
once, by its full key, in one `SettingsError`.

    values.py    what a single value may look like: seconds, schedules, addresses, secrets
    hosting.py   what runs the services
    sections.py  one model per key below `groundwork:`
    variables.py every variable that the services get, declared once
    kinds.py     what the value of a variable may be
    delivery.py  who gets which value
    rules.py     what sections demand of each other
    problems.py  how a problem is worded
    load.py      Settings itself, and how it is read
"""

from __future__ import annotations

from settings.hosting import Docker, Host, Proxy
from settings.load import Settings
from settings.problems import SettingsError
from settings.sections import (
    Agent,
    App,
    Backup,
    CronJob,
    Generated,
    Given,
    Health,
    Migrations,
    Secrets,
    Supabase,
)

__all__ = [
    "Agent",
    "App",
    "Backup",
    "CronJob",
    "Docker",
    "Generated",
    "Given",
    "Health",
    "Host",
    "Migrations",
    "Proxy",
    "Secrets",
    "Settings",
    "SettingsError",
    "Supabase",
]
