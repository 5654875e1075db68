"""A policy's condition is split into its bucket and the rest."""

from __future__ import annotations

import pytest

from engines.adoption.conditions import split


@pytest.mark.parametrize(
    ("condition", "bucket", "rest"),
    [
        ("(bucket_id = 'a'::text)", "a", None),
        ("((bucket_id = 'a'::text) AND (owner = auth.uid()))", "a", "(owner = auth.uid())"),
        ("((owner = auth.uid()) AND (bucket_id = 'a'::text))", "a", ...),
        ("((bucket_id = 'it''s'::text) AND (x = 1) AND (y = 2))", "it's", ...),
        ("((bucket_id = 'a'::text) AND (NOT (bucket_id = 'b'::text)))", "a", ...),
        (
            "((bucket_id = 'a'::text) AND ((x = ' AND ('::text) OR (\" AND \" = 2)))",
            "a",
            "((x = ' AND ('::text) OR (\" AND \" = 2))",
        ),
        ("((bucket_id = 'a'::text) OR (owner = auth.uid()))", None, ...),
        ("((bucket_id = 'a'::text) AND (bucket_id = 'b'::text))", None, ...),
        ("(bucket_id = ANY (ARRAY['a'::text, 'b'::text]))", None, ...),
        ("(owner = auth.uid())", None, ...),
        ("true", None, ...),
        ("((NOT (bucket_id = 'a'::text)) AND (x = 1))", None, ...),
    ],
)
def test_bucket_is_what_a_condition_demands(condition: str, bucket: str | None, rest: object) -> None:
    """Only what is joined by AND at the top is demanded; a rest that would not make the same stays whole."""
    assert split(condition) == (bucket, condition if rest is ... else rest)
