"""Which bucket a policy on storage.objects is about, and what it says beside that.

PostgreSQL shows a condition with every operation in parentheses: `((bucket_id = 'a'::text) AND (x = y))`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUCKET: Final = re.compile(r"\(bucket_id = '((?:[^']|'')*)'::text\)")
# Quoted names and texts, parentheses, and the word that joins.
_TOKENS: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[()]| AND ")


def split(condition: str) -> tuple[str | None, str | None]:
    """Tell which bucket a condition demands, and word the rest as a stack may.

    What a stack says without `bucket_id` holds in the bucket only: `bucket_id = 'a' and (…)`. So only a rest
    that makes the same condition again is told apart.

    Returns:
        The bucket's name, or None when it does not demand exactly one; and the rest, or the whole condition;
        None when there is no rest.
    """
    parts = list(_parts(condition))
    buckets = [found for part in parts if (found := _BUCKET.fullmatch(part))]
    if len(buckets) != 1:
        return None, condition
    bucket = buckets[0][1].replace("''", "'")
    if parts == [buckets[0][0]]:
        return bucket, None
    is_again = len(parts) == 2 and parts[0] == buckets[0][0] and "bucket_id" not in parts[1]
    return bucket, parts[1] if is_again else condition


def _parts(condition: str) -> Iterator[str]:
    """Give what is joined by AND at the top."""
    inner = condition.strip()
    if _BUCKET.fullmatch(inner) or not _is_wrapped(inner):
        yield inner
        return
    depth, start, inner = 0, 0, inner[1:-1]
    for token in _TOKENS.finditer(inner):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if token[0] == " AND " and not depth:
            yield inner[start : token.start()]
            start = token.end()
    # A condition that joins nothing keeps its parentheses.
    yield inner[start:] if start else f"({inner})"


def _is_wrapped(text: str) -> bool:
    """Tell whether the first parenthesis is closed by the last letter."""
    depth = 0
    for token in _TOKENS.finditer(text):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if not depth and token[0] == ")":
            return token.end() == len(text) and text.startswith("(")
    return False
