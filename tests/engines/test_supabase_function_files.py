"""The files of a function: in a folder, and as the platform names them."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from engines.supabase import FunctionFilesError, function_files
from tests.fix_management import REF, Service

FORM = (
    "--B\r\nContent-Disposition: form-data; name=metadata\r\n\r\n{}\r\n"
    "--B\r\nContent-Disposition: form-data; name=file; filename=index.ts\r\n"
    "Supabase-Path: source/fn/index.ts\r\n\r\n1\r\n"
    "--B\r\nContent-Disposition: form-data; name=file; filename=a.ts\r\n"
    "Supabase-Path: source/fn/lib/a.ts\r\n\r\n2\r\n--B--\r\n"
)


def test_files_are_asked_for_and_read_by_their_paths() -> None:
    """The platform answers files only to who asks for a form, and says their paths in a header of its own."""
    kind = {"content-type": "multipart/form-data; boundary=B"}
    service = Service(httpx.Response(200, headers=kind, content=FORM.encode()))
    with service.client() as client:
        files = client.functions.files(REF, "fn")

    assert service.requests[0].headers["accept"] == "multipart/form-data"
    assert files == {"source/fn/index.ts": b"1", "source/fn/lib/a.ts": b"2"}
    assert function_files.below(files, "index.ts") == {"index.ts": b"1", "lib/a.ts": b"2"}
    assert function_files.below(files, "fn/index.ts") == {"fn/index.ts": b"1", "fn/lib/a.ts": b"2"}
    assert function_files.below(files, "main.ts") == files


def test_links_and_hidden_files(tmp_path: Path) -> None:
    """A link to a file is its content, one to a folder is left out, one that leads nowhere is an error."""
    (tmp_path / "shared.ts").write_text("shared")
    folder = tmp_path / "fn"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("x")
    (folder / "index.ts").symlink_to(tmp_path / "shared.ts")
    (folder / "all").symlink_to(tmp_path)
    assert function_files.read_files(folder) == {"index.ts": b"shared"}

    (folder / "gone.ts").symlink_to(tmp_path / "none")
    with pytest.raises(FunctionFilesError, match=r"gone\.ts cannot be read: No such file"):
        function_files.read_files(folder)


def test_file_of_somebody_else_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is there and may not be read is an error of ours, with its name."""
    (tmp_path / "index.ts").write_text("1")

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(FunctionFilesError, match=r"index\.ts cannot be read: Permission denied"):
        function_files.read_files(tmp_path)
