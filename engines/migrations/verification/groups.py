"""What is expected of a database, in groups: each is one check."""

from __future__ import annotations

from typing import Final, Literal

Group = Literal["tables", "policies", "row security"]
TABLES: Final = "tables"
POLICIES: Final = "policies"
ROW_SECURITY: Final = "row security"
GROUPS: Final[frozenset[Group]] = frozenset({TABLES, POLICIES, ROW_SECURITY})
