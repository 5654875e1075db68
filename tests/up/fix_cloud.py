"""A stack of the staging or prod file against a stand-in for the cloud, with everything switched on."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import psycopg
import yaml
from psycopg.conninfo import make_conninfo
from pulumi import automation as auto

from tests.fix_emulator import wait_until
from tests.fix_program import Program, copy_program, environment, open_program, open_stack, scratch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import httpx

    from tests.fix_emulator import Emulator

CANARY = "CANARY-cloud-41f7"
FUNCTION = 'Deno.serve(() => new Response("hello"));\n'
OWN = "owner_id = (select auth.uid()::text)"
# What the files do not name already, so that every kind of setting is on.
EVERYTHING: dict[str, Any] = {
    "auth": {"external_google_enabled": True, "external_google_client_id": "client"},
    "pooler": {"default_pool_size": 20},
    "realtime": {"max_concurrent_users": 300},
    "network": {"dbAllowedCidrs": ["0.0.0.0/0"], "dbAllowedCidrsV6": ["::/0"]},
    "addons": {"ipv4": "ipv4_default", "custom_domain": "cd_default"},
    "custom_hostname": "api.example.com",
    "functions": {"hello": {"dir": "functions/hello"}},
    "function_secrets": {"AGENT_TOKEN": {"from": "agent_shared_secret"}},
    "buckets": {"avatars": {"public": True, "policies": {"own avatar": {"command": "select", "using": OWN}}}},
    "api_keys": {"nightly_jobs": {"type": "secret", "description": "the nightly jobs"}},
    "signing_keys": {"first": {"status": "in_use"}, "second": {"status": "standby"}},
    "third_party": {"corporate": {"oidc_issuer_url": "https://id.example.com"}},
}
# The stack's own machine takes the place of the containers' hosts.
HERE: dict[str, Any] = {
    "host": "process",
    "app": {"demo_accounts": False},
    "agent": {"ai_provider": "echo"},
    "cron": {},
}


@dataclass
class Cloud:
    """A stack and the stand-in that it uses.

    Attributes:
        program: the stack.
        emulator: the stand-in.
    """

    program: Program
    emulator: Emulator

    @property
    def ref(self) -> str:
        """The project's reference."""
        return str(self.program.outputs()["supabase_ref"])

    def api(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Change or read something of the project behind the stack's back."""
        answer = self.emulator.client.request(method, f"/v1/projects/{self.ref}{path}", **options)
        return answer.raise_for_status()

    def differences(self) -> dict[str, set[str]]:
        """Give the inputs that the last preview showed as changed, by resource."""
        steps = [
            event.resource_pre_event.metadata for event in self.program.events if event.resource_pre_event
        ]
        ours = [one for one in steps if one.op != auto.OpType.SAME and "pulumi:providers:" not in one.urn]
        # A replacement is a step of its own beside the making of the new thing and the end of the old one.
        both = [one for one in ours if one.old and one.new]
        return {one.urn.split("::")[-1]: _changed(one, "inputs") for one in both}

    def refresh(self) -> dict[str, set[str]]:
        """Run `pulumi refresh` and give the outputs that it found changed, by resource."""
        events: list[Any] = []
        self.program.stack.refresh(on_event=events.append)
        steps = [event.res_outputs_event.metadata for event in events if event.res_outputs_event]
        found = {one.urn.split("::")[-1]: _changed(one, "outputs") for one in steps}
        return {name: fields for name, fields in found.items() if fields}

    def requests_of(self, operation: Any) -> int:
        """Count the requests of an operation, by the limit that is left; both ends must lie in one window."""

        def measured() -> int | None:
            before = self.emulator.client.get("/v1/organizations").headers
            operation()
            after = self.emulator.client.get("/v1/organizations").headers
            used = int(before["x-ratelimit-remaining"]) - int(after["x-ratelimit-remaining"]) - 1
            return used if used >= 0 else None

        return int(wait_until(measured, "an operation within one window of the rate limit"))


def _changed(step: Any, which: str) -> set[str]:
    old: dict[str, Any] = getattr(step.old, which, None) or {}
    new: dict[str, Any] = getattr(step.new, which, None) or {}
    names = (old.keys() | new.keys()) - {"__provider"}
    return {name for name in names if old.get(name) != new.get(name)}


def open_cloud(stack: str, emulator: Emulator) -> Cloud:
    """Open the stack of a file of the repository, with every setting on and the stand-in for the cloud."""
    program = open_program(scratch(), stack)
    (program.folder / "functions" / "hello").mkdir(parents=True)
    (program.folder / "functions" / "hello" / "index.ts").write_text(FUNCTION)
    _configure(program.folder / f"Pulumi.{stack}.yaml", emulator.api_url)
    for key, value in {
        "supabase.access_token": emulator.token,
        "supabase.auth.smtp_pass": f"{CANARY}-smtp",
        "supabase.auth.external_google_secret": f"{CANARY}-google",
        "supabase.function_secrets.MAIL_TOKEN": f"{CANARY}-function",
        "secrets.mail_api_key.value": f"{CANARY}-mail",
    }.items():
        program.stack.set_config(f"groundwork:{key}", auto.ConfigValue(value, secret=True), path=True)
    return Cloud(program, emulator)


def adopt(cloud: Cloud) -> Program:
    """Write a stack file for a project that is there, in another clone, as a user would."""
    folder = copy_program(scratch())
    env = {
        **environment(folder, f"file://{folder}/.local/state"),
        "SUPABASE_ACCESS_TOKEN": cloud.emulator.token,
    }
    (folder / ".local" / "state").mkdir(parents=True)
    command = ["scripts/adopt", cloud.ref, "--stack", "adopted"]
    where = ["--api-url", cloud.emulator.api_url, "--root", str(folder)]
    done = subprocess.run(
        [*command, *where], cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    stack = open_stack(folder, "adopted", env)
    token = auto.ConfigValue(cloud.emulator.token, secret=True)
    stack.set_config("groundwork:supabase.access_token", token, path=True)
    return Program(folder, stack, env)


def _configure(path: Path, api_url: str) -> None:
    file = yaml.safe_load(path.read_text())
    config = file["config"]
    config.update({f"groundwork:{key}": value for key, value in HERE.items()})
    supabase = config["groundwork:supabase"]
    supabase["api_url"] = api_url
    for key, value in EVERYTHING.items():
        supabase[key] = {**supabase.get(key, {}), **value} if isinstance(value, dict) else value
    path.write_text(yaml.safe_dump(file, sort_keys=False))


def words(found: Any) -> set[str]:
    """Give every text in an exported state, however deep, and the passwords in its URLs."""
    if isinstance(found, dict):
        found = [*found, *found.values()]
    if isinstance(found, list):
        return set().union(*map(words, found))
    if not isinstance(found, str):
        return set()
    with contextlib.suppress(ValueError):  # a secret is JSON in a text
        if (inner := json.loads(found)) != found and not isinstance(inner, int | float):
            return words(inner) | {found}
    return {found, *map(unquote, re.findall(r"://[^:/@]*:([^@/]+)@", found))}


def written_words(program: Program) -> set[str]:
    """Give what in the logs and secret files of a stack's services looks like a password."""
    files = [path for path in (program.folder / ".local").rglob("*") if path.is_file()]
    ours = [path for path in files if "state" not in path.parts]
    return {word for path in ours for word in re.findall(r"[\w+/=.-]{12,}", path.read_text(errors="replace"))}


def opening(url: str, passwords: Iterable[str]) -> list[str]:
    """Give those of many passwords that open a database."""
    return [one for one in passwords if one.isprintable() and _opens(make_conninfo(url, password=one))]


def _opens(dsn: str) -> bool:
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return False
    return True


def plain_state(program: Program) -> str:
    """Give everything that the state backend keeps, history and backups included."""
    files = sorted((program.folder / ".local" / "state").rglob("*"))
    return "".join(file.read_text(errors="replace") for file in files if file.is_file())
