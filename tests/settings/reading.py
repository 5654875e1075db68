"""Reading settings from values as a stack file has them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pulumi.runtime import set_all_config

from settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CANARY = "CANARY-5f1d"
REMOTE = {"api_url": "https://api.supabase.com", "access_token": CANARY}


def load(keys: Mapping[str, Any], encrypted: Sequence[str] = ()) -> Settings:
    """Load settings from values as a stack file has them; `encrypted` names the keys with a secret inside."""
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in keys.items()}
    set_all_config(
        {f"groundwork:{key}": text for key, text in texts.items()}, [f"groundwork:{key}" for key in encrypted]
    )
    return Settings.load()


def problems(keys: Mapping[str, Any], encrypted: Sequence[str] = ()) -> str:
    """Load settings that must be refused, and give the message."""
    with pytest.raises(SettingsError) as caught:
        load(keys, encrypted)
    return str(caught.value)
