"""Whether a policy depends on more than its own table, so that a DROP … CASCADE of that may take it along.

Source: "Dependency Tracking" in the PostgreSQL manual. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pglast.visitors import Visitor

if TYPE_CHECKING:
    from pglast import ast

# Functions that no DROP … CASCADE of a product's own objects takes along.
_SAFE_SCHEMAS: Final = {"auth", "pg_catalog"}
_SAFE: Final = {"current_setting", "now", "lower", "upper", "length", "split_part", "jsonb_extract_path_text"}


class _Needs(Visitor):
    """Looks for what a policy's expression depends on besides its own table."""

    def __init__(self) -> None:
        """Start with nothing found."""
        self.found = False

    def visit_RangeVar(self, _ancestors: Any, _node: ast.RangeVar) -> None:  # noqa: N802  # pglast's name
        """See another table or view."""
        self.found = True

    def visit_FuncCall(self, _ancestors: Any, node: ast.FuncCall) -> None:  # noqa: N802  # pglast's name
        """See a function, which may depend on tables itself."""
        self.found = self.found or not _is_safe(node)


def is_entangled(expression: Any) -> bool:
    """Say whether dropping another object with CASCADE may drop a policy with this expression."""
    if expression is None:
        return False
    needs = _Needs()
    needs(expression)
    return needs.found


def _is_safe(call: ast.FuncCall) -> bool:
    *schema, name = (part.sval for part in call.funcname or ())
    return schema[0] in _SAFE_SCHEMAS if schema else name in _SAFE
