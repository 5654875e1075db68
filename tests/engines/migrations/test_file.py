"""Reading one file: bytes, checksum, directives."""

from __future__ import annotations

import pytest

from engines.migrations.files.file import Directives, checksum, decode, read_directives


def test_bom_is_dropped() -> None:
    """A byte order mark is no part of the SQL."""
    assert decode(b"\xef\xbb\xbfselect 1") == "select 1"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"select 1;\n-- caf\xe9\n", "line 2: is not UTF-8 (byte 0xe9); save it as UTF-8"),
        (b"select 1;\n\0", "line 2: holds a NUL byte"),
        ("select 1".encode("utf-16"), "is UTF-16; save it as UTF-8"),
    ],
)
def test_bytes_that_are_no_text(raw: bytes, message: str) -> None:
    """Bytes that PostgreSQL could not take, or would take wrongly, are named with their line."""
    with pytest.raises(ValueError, match=r".") as caught:
        decode(raw)

    assert message in str(caught.value)


def test_checksum_ignores_line_ends() -> None:
    """A checkout with other line ends is the same file; other blanks are not."""
    assert checksum("a\r\nb\r\n") == checksum("a\nb\n")
    assert checksum("a\nb\n") != checksum("a\n b\n")


def test_directives_at_the_head() -> None:
    """Directives are read from the comments above the first statement."""
    sql = (
        "-- adds a column\n\n-- groundwork: no-transaction\n--groundwork: phase=contract\n"
        "-- groundwork: lock-timeout=2s\n-- groundwork: statement-timeout=10min\nselect 1;"
    )

    assert read_directives(sql) == (Directives(False, "contract", "2s", "10min"), [])


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("-- groundwork: phase=later\n", "line 1: directive `phase=later` is not known"),
        ("-- groundwork: lock-timeout=soon\n", "line 1: directive `lock-timeout=soon` is not known"),
        ("-- groundwork: no-transactions\n", "there are no-transaction, phase=expand|contract"),
        ("select 1;\n-- groundwork: no-transaction\n", "line 2: a directive must stand above"),
    ],
)
def test_wrong_directives(sql: str, message: str) -> None:
    """A directive that would be ignored is a problem with its line."""
    problems = read_directives(sql)[1]

    assert len(problems) == 1
    assert message in problems[0]


def test_cli_directive() -> None:
    """The Supabase CLI's own first line for files without a transaction is understood."""
    assert read_directives("-- pg-delta: transaction=false\nvacuum;")[0].transaction is False
