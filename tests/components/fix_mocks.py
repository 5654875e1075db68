"""The program under Pulumi's mocks: every registration is kept, every unexpected call is refused."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pulumi
import yaml

ROOT = Path(__file__).parent.parent.parent
DYNAMIC = "pulumi-python:dynamic/groundwork:"
# What may be stored under a name by content.
NAMED = (
    "agent_shared_secret", "ai_api_key", "billing_webhook_secret", "certificate.pem", "database_url",
    "haproxy.cfg", "mail_api_key", "session_key",
)  # fmt: skip
# What the providers would answer; a value that a later resource reads must be there.
ANSWERS: dict[str, dict[str, Any]] = {
    "GeneratedSecret": {"values": {"1": "v1"}, "current": "v1", "standby": {"2": "v2"}},
    "GivenSecret": {"values": {"1": "g1"}, "current": "g1"},
    "ApiKey": {"api_key": "sb_secret_jobs"},
    "Parity": {"matrix": {}},
    "Process": {"url": "http://127.0.0.1:4000", "port": 4000},
    "SupabaseProject": {
        "project_ref": "abcdefghijklmnopqrst",
        "url": "http://127.0.0.1:4000/projects/abcdefghijklmnopqrst",
        "anon_key": "anon",
        "service_role_key": "service",
        "publishable_key": "sb_publishable_x",
        "secret_key": "sb_secret_x",
        "direct_url": "postgresql://postgres@127.0.0.1:5432/postgres",
        "session_url": "postgresql://postgres@127.0.0.1:5432/postgres",
        "transaction_url": "",
        "host": "127.0.0.1",
        "port": 5432,
        "database": "postgres",
        "user_suffix": "",
    },
    "OwnerPassword": {"url": "postgresql://postgres:pw@127.0.0.1:5432/postgres"},
    "Migrations": {"latest": "012", "applied": 12, "history_table": "supabase_migrations.schema_migrations"},
    "Login": {"login": "app_a", "url": "postgresql://app_a:pw@127.0.0.1:5432/postgres"},
    "ContentNames": {"names": dict.fromkeys(NAMED, "a-name")},
    "docker:index/image:Image": {"repoDigest": "registry.example.com/x@sha256:1"},
    "HealthGate": {"status": "healthy", "checked_at": "2026-01-01T00:00:00Z"},
}


@dataclass
class Recorder(pulumi.runtime.Mocks):
    """Keeps what the program registers.

    Attributes:
        resources: name → (type, inputs), in the order of registration.
    """

    resources: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        """Keep the registration and answer as the provider would."""
        # A component and a child may have one name: the child, which comes later, stands at its own place.
        self.resources.pop(args.name, None)
        self.resources[args.name] = (args.typ, args.inputs)
        return f"{args.name}-id", {**args.inputs, **ANSWERS.get(args.typ.removeprefix(DYNAMIC), {})}

    def call(self, args: pulumi.runtime.MockCallArgs) -> NoReturn:
        """Refuse: the program calls no function."""
        raise AssertionError(f"unexpected call of {args.token}")


def stack_config(stack: str) -> dict[str, Any]:
    """Read a stack file's values."""
    return dict(yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"])


@dataclass(frozen=True)
class Declared:
    """What a program declared.

    Attributes:
        resources: name → (type, inputs), in the order of registration.
    """

    resources: dict[str, tuple[str, dict[str, Any]]]

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Give the inputs of all resources of one type, by name."""
        return {name: inputs for name, (typ, inputs) in self.resources.items() if typ.endswith(f":{kind}")}


def run_program(stack: str, config: dict[str, Any]) -> Declared:
    """Run `__main__.py` for a stack in a process of its own, for the SDK keeps what it did in globals."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.components.fix_mocks", stack],
        input=json.dumps(config),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Declared(json.loads(done.stdout))


def _main(stack: str, config: dict[str, Any]) -> None:
    recorder = Recorder()
    pulumi.runtime.set_mocks(recorder, project="groundwork", stack=stack, preview=False)
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    pulumi.runtime.set_all_config(texts)
    pulumi.runtime.test(lambda: runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__") and None)()
    json.dump(recorder.resources, sys.stdout, default=str)


if __name__ == "__main__":
    _main(sys.argv[1], json.load(sys.stdin))
