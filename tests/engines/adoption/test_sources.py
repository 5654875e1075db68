"""Files of functions come into folders of their own, whole, and never outside of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.adoption import AdoptionError, write_source
from engines.adoption.notes import Notes
from engines.adoption.reading import Live
from engines.adoption.sources import Source, describe_functions
from engines.supabase import Function, Project

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = Project("a" * 20, "demo", "groundwork", "us-east-1", "ACTIVE_HEALTHY")
UNPACKED = "/tmp/user_fn_abc/source"  # noqa: S108 - the platform's folder


def live(entrypoint: str, files: dict[str, bytes], import_map: str | None = None) -> Live:
    """Give a project with one function."""
    function = Function(
        id="1",
        slug="hello",
        name="hello",
        status="ACTIVE",
        version=1,
        verify_jwt=True,
        entrypoint_path=entrypoint,
        import_map_path=import_map,
    )
    return Live(PROJECT, functions=(function,), files={"hello": files})


def test_unpacked_paths_become_relative() -> None:
    """The platform says where it unpacked the files; only what is below the folder they share matters."""
    files = {f"{UNPACKED}/hello/index.ts": b"1", f"{UNPACKED}/_shared/a.ts": b"2"}
    found = live(f"file://{UNPACKED}/hello/index.ts", files)
    described, (source,) = describe_functions(found, Notes())

    assert described == {
        "hello": {"dir": "functions/hello", "entrypoint": "hello/index.ts", "verify_jwt": True}
    }
    assert source.files == {"hello/index.ts": b"1", "_shared/a.ts": b"2"}


def test_import_map_is_one_of_the_files() -> None:
    """It is named as it lies in the folder."""
    found = live("index.ts", {"index.ts": b"1", "deno.json": b"{}"}, f"file://{UNPACKED}/deno.json")

    assert describe_functions(found, Notes())[0]["hello"]["import_map"] == "deno.json"


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "its files cannot be read"),
        ({"index.ts": b"", "../evil.ts": b""}, "'../evil.ts' would not be inside of its folder"),
        ({"index.ts": b"", "/etc/evil": b""}, "'/etc/evil' would not be inside of its folder"),
        ({"main.ts": b""}, "none of its files is the one that starts it"),
    ],
)
def test_odd_files_are_left_on_the_platform(files: dict[str, bytes], why: str) -> None:
    """No name from elsewhere is trusted; the function is noted, and the rest adopted."""
    notes = Notes()

    assert describe_functions(live("index.ts", files), notes) == ({}, ())
    assert why in notes.left[0]


def test_half_a_folder_is_never_there(tmp_path: Path) -> None:
    """When one file cannot be written, nothing of the folder is left."""
    with pytest.raises(AdoptionError, match="hello cannot be written"):
        write_source(tmp_path, Source("functions/hello", {"a": b"1", "a/b": b"2"}))

    assert list((tmp_path / "functions").iterdir()) == []
