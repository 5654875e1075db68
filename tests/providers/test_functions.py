"""Edge functions: deployed from a folder when their files changed, here or on the platform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engines.supabase import Bundle, function_files
from providers import _cloud
from providers.functions import EdgeFunctionProvider

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fix_named import Driver

FUNCTIONS = EdgeFunctionProvider()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a function's folder, with things that are no part of it."""
    files = {
        "index.ts": "Deno.serve(() => new Response('1'))",
        "deno.json": "{}",
        "lib/a.ts": "export {}",
        "node_modules/x/index.js": "",
        ".env": "SECRET=CANARY",
        "lib/.DS_Store": "",
    }
    for name, text in files.items():
        path = tmp_path / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "code"


def inputs(folder: Path, slug: str, **more: Any) -> dict[str, Any]:
    """Give a function's inputs."""
    return {"slug": slug, "dir": str(folder), "entrypoint": "index.ts", "verify_jwt": True, **more}


def test_deployed_when_a_file_changed(driver: Driver, folder: Path) -> None:
    """The preview names the file that changed; only then there is another deployment."""
    given = inputs(folder, "hello", import_map="deno.json")
    outs = driver.create(FUNCTIONS, **given)
    assert driver.client.functions.files(driver.ref, "hello").keys() == {"index.ts", "deno.json", "lib/a.ts"}
    assert driver.refreshed(FUNCTIONS, outs) == outs

    (folder / "lib" / "a.ts").write_text("export const a = 1", encoding="utf-8")
    news = driver.checked(FUNCTIONS, outs, **given)
    assert [name for name in news["digest"] if news["digest"][name] != outs["digest"][name]] == ["lib/a.ts"]
    changed = driver.update(FUNCTIONS, outs, **given)
    assert changed["version"] == outs["version"] + 1
    FUNCTIONS.delete("id", changed)
    assert driver.refreshed(FUNCTIONS, changed) is None


def test_options_are_deployed(driver: Driver, folder: Path) -> None:
    """Another option is another deployment; another way to the project is none."""
    outs = driver.create(FUNCTIONS, **inputs(folder, "options", static_patterns=["*.html"]))
    open_to_all = inputs(folder, "options", verify_jwt=False)
    changed = driver.update(FUNCTIONS, outs, **open_to_all)
    assert driver.client.functions.get(driver.ref, "options").verify_jwt is False

    moved = {**changed, "api_url": "http://127.0.0.1:1"}
    assert driver.update(FUNCTIONS, moved, **open_to_all) == changed


def test_equal_one_is_taken_over(driver: Driver, folder: Path) -> None:
    """A function that runs with these files is not deployed again, and stays when the stack goes."""
    bundle = Bundle("ready", "index.ts", function_files.read_files(folder), "deno.json")
    before = driver.client.functions.deploy(driver.ref, bundle)
    outs = driver.create(FUNCTIONS, **inputs(folder, "ready", import_map="deno.json"))
    FUNCTIONS.delete("id", outs)

    assert driver.client.functions.get(driver.ref, "ready") == before
    differing = driver.create(FUNCTIONS, **inputs(folder, "ready"))
    assert differing["version"] == before.version + 1


def test_deployment_of_others_is_seen_and_replaced(driver: Driver, folder: Path) -> None:
    """What somebody else deployed shows in a refresh, and the next update deploys the stack's files."""
    given = inputs(folder, "contested")
    outs = driver.create(FUNCTIONS, **given)
    driver.client.functions.deploy(driver.ref, Bundle("contested", "x.ts", {"x.ts": b"1"}, verify_jwt=False))

    seen = driver.refreshed(FUNCTIONS, outs)
    assert seen is not None
    assert (seen["version"], seen["verify_jwt"]) == (2, False)
    assert seen["bundle"] != outs["bundle"]
    assert seen["digest"] == {_cloud.STRANGER: "version 2"}
    assert driver.refreshed(FUNCTIONS, seen) == seen
    again = driver.update(FUNCTIONS, seen, **given)
    assert again["version"] == 3
    assert driver.client.functions.files(driver.ref, "contested").keys() == outs["digest"].keys()


def test_what_cannot_be_deployed_is_refused(driver: Driver, folder: Path) -> None:
    """The preview says which setting leads nowhere, and what is there."""
    wrong = inputs(folder, "wrong", entrypoint="main.ts", import_map="map.json")
    reasons = driver.reasons(FUNCTIONS, {}, **wrong)
    assert [reason.split(": ")[0] for reason in reasons] == [
        "groundwork:supabase.functions.wrong.entrypoint",
        "groundwork:supabase.functions.wrong.import_map",
    ]
    assert "has no file main.ts; there is deno.json, index.ts, lib/a.ts" in reasons[0]

    [reason] = driver.reasons(FUNCTIONS, {}, **inputs(folder / "none", "wrong"))
    assert reason.startswith("groundwork:supabase.functions.wrong.dir: there is no folder")


def test_too_large_a_folder_is_refused(driver: Driver, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with more than the platform takes is refused before anything is sent."""
    monkeypatch.setattr(function_files, "LARGEST_SOURCE", 40)
    [reason] = driver.reasons(FUNCTIONS, {}, **inputs(folder, "large"))
    assert "larger than 0 MiB together" in reason
    assert "node_modules and dot files do not count" in reason
