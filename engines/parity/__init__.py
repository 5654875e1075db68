"""Who holds which version of which secret, proven without showing one.

Services answer their health document with a fingerprint of a nonce for each version that they hold
(`engines.proofs`); the vault and the logins are asked in the database; of edge functions' secrets the
platform shows digests. A matrix says it all: secret → place → version.
"""

from __future__ import annotations

from engines.parity.known import MISSING, REFUSED, UNKNOWN, Known, ParityError, matrix, mismatches
from engines.parity.places import Stack, look
from engines.parity.proof import check_services, prove
from engines.parity.webhooks import deliver

__all__ = [
    "MISSING",
    "REFUSED",
    "UNKNOWN",
    "Known",
    "ParityError",
    "Stack",
    "check_services",
    "deliver",
    "look",
    "matrix",
    "mismatches",
    "prove",
]
