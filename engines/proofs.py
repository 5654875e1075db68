"""A proof that somebody holds a secret, which can be shown to everybody.

Whoever asks chooses the nonce, and the same secrets sign sessions and webhooks by HMAC-SHA256 as well. Signed
with the value itself, a nonce that reads as a session would be answered with the session's signature; so a
fingerprint has a key of its own, derived from the value. The services have the same in `held.py`.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

PURPOSE: Final = b"groundwork fingerprint"


def fingerprint(value: str, nonce: str) -> str:
    """Prove a value: HMAC-SHA256 in hexadecimal (RFC 2104) of the nonce, by a key derived from the value."""
    key = hmac.digest(value.encode(), PURPOSE, hashlib.sha256)
    return hmac.new(key, nonce.encode(), hashlib.sha256).hexdigest()
