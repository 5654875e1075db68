"""How mistakes in a configuration are reported."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from settings import SettingsError
from tests.settings.reading import CANARY, REMOTE, problems


class TestProblems:
    """How mistakes are reported."""

    def test_all_problems_are_reported_at_once(self) -> None:
        """One run shows a wrong type, an unknown key, a missing key, and a broken combination."""
        message = problems(
            {
                "agent": {"port": "abc", "ai_provider": "openai"},
                "agnet": {},
                "backup": {"regoin": "x"},
                "host": "docker",
            }
        )

        assert "groundwork:agent.port: must be a whole number" in message
        assert 'groundwork:agnet: is not a known key; did you mean "agent"?' in message
        assert 'groundwork:backup.regoin: is not a known key; did you mean "region"?' in message
        assert "groundwork:backup.bucket: is needed" in message
        assert 'groundwork:supabase.api_url: is needed because groundwork:host.kind is "docker"' in message
        assert 'the configuration of stack "local" (Pulumi.local.yaml) has 5 problems' in message

    @pytest.mark.parametrize(
        ("section", "value", "expected"),
        [
            ("agent", {"port": 70000}, "agent.port: must be less than or equal to 65535"),
            ("agent", {"port": True}, "agent.port: must be a whole number"),
            ("agent", {"ai_provider": "gpt"}, "agent.ai_provider: must be 'echo', 'openai' or 'anthropic'"),
            ("agent", "text", "agent: must be a map of keys to values"),
            ("agent", [], "agent: must be a map of keys to values"),
            ("app", {"demo_accounts": "yes"}, "app.demo_accounts: must be true or false"),
            ("app", {"public_url": "example.com"}, "app.public_url: must be an https:// address"),
            ("app", {"public_url": "http://example.com"}, "app.public_url: must be an https:// address"),
            ("app", {"public_url": "https://u:p@example.com"}, "app.public_url: must be an https:// address"),
            (
                "app",
                {"public_url": "https://example.com:99999"},
                "app.public_url: must be an https:// address",
            ),
            ("environment", "PROD", "environment: must be up to 32 of a-z, 0-9 and -"),
            ("health", {"timeout": "soon"}, 'health.timeout: must be a duration above zero such as "500ms"'),
            ("health", {"timeout": 0}, "health.timeout: must be a duration above zero"),
            ("host", "kubernetes", "host.kind: must be 'process', 'docker' or 'swarm'"),
            ("host", {"kind": 3}, "host.kind: must be 'process', 'docker' or 'swarm'"),
            (
                "host",
                {"kind": "docker", "docker": {"registry": "https://r.io/"}},
                "host.docker.registry: must be a registry and a path",
            ),
            ("host", {"proxy": {"redirect_port": 99999}}, "host.proxy.redirect_port: must be less than"),
            (
                "host",
                {"kind": "docker", "docker": {"platform": "amd64"}},
                "host.docker.platform: must be a platform such as linux/amd64",
            ),
            ("app", {"image": "app:latest"}, "app.image: must be an image by its digest"),
            ("app", {"memory": "512MB"}, 'app.memory: must be a size such as "512MiB" or "2GiB"'),
            ("app", {"memory": 512}, 'app.memory: must be a size such as "512MiB" or "2GiB"'),
            ("app", {"replicas": 0}, "app.replicas: must be greater than or equal to 1"),
            ("app", {"cpus": 0}, "app.cpus: must be greater than or equal to 0.05"),
            ("app", {"drain": "1h"}, "app.drain: must be less than or equal to 600"),
            ("supabase", {"region": "mars"}, "supabase.region: must be 'us-east-1'"),
            ("cron", {"Bad Name": {}}, "cron.Bad Name: must be named by a-z, 0-9, - and _"),
            ("cron", {"a": {"schedule": "@daily", "path": "/"}}, "cron.a.schedule: must be five cron fields"),
            ("cron", {"a": {"schedule": "* * * * *"}}, "cron.a.path: is needed"),
            (
                "cron",
                {"a": {"scheduel": "* * * * *"}},
                'cron.a.scheduel: is not a known key; did you mean "schedule"?',
            ),
            (
                "secrets",
                {"agent_secret": {}},
                'secrets.agent_secret: is not a known key; did you mean "agent_shared_secret"',
            ),
            (
                "secrets",
                {"session_key": {"version": 0}},
                "secrets.session_key.version: must be greater than or equal to 1",
            ),
            (
                "secrets",
                {"app_database_password": {"version": 3, "accept": [2, 1]}},
                "secrets.app_database_password.accept: cannot hold 1 beside version 3: two roles take turns",
            ),
            (
                "secrets",
                {"session_key": {"version": 2, "accept": [2]}},
                "must hold versions below version, which is 2",
            ),
        ],
    )
    def test_a_wrong_value_is_named(self, section: str, value: Any, expected: str) -> None:
        """A wrong value is reported by its full key, with what is allowed."""
        assert f"groundwork:{expected}" in problems({section: value}) or expected in problems(
            {section: value}
        )

    @pytest.mark.parametrize(
        ("keys", "both"),
        [
            ({"supabase": {"access_token": CANARY}}, ("supabase.access_token", "supabase.api_url")),
            ({"supabase": {"ref": "a" * 20}}, ("supabase.ref", "supabase.api_url")),
            (
                {"supabase": {"api_url": "https://api.supabase.com"}},
                ("supabase.access_token", "supabase.api_url"),
            ),
            ({"host": "docker"}, ("supabase.api_url", "host.kind")),
            ({"host": {"kind": "process", "docker": {}}}, ("host.docker", "host.kind")),
            ({"host": {"kind": "process", "proxy": {}}}, ("host.proxy", "host.kind")),
            ({"app": {"replicas": 2}}, ("app.replicas", "host.kind")),
            ({"agent": {"drain": "5s"}}, ("agent.drain", "host.kind")),
            ({"host": "docker"}, ("agent.port", "host.kind")),
            ({"host": "swarm"}, ("app.port", "host.kind")),
            ({"host": "swarm"}, ("agent.image", "host.docker.registry")),
            (
                {"host": {"kind": "docker", "docker": {"registry": "r.io", "registry_username": "a"}}},
                ("host.docker.registry_password", "host.docker.registry_username"),
            ),
            (
                {
                    "host": {
                        "kind": "docker",
                        "docker": {"registry_username": "a", "registry_password": CANARY},
                    }
                },
                ("host.docker.registry", "host.docker.registry_username"),
            ),
            (
                {"host": {"kind": "docker", "proxy": {"redirect_port": 80}}},
                ("host.proxy.certificate", "host.proxy.redirect_port"),
            ),
            (
                {"host": {"kind": "docker", "proxy": {"redirect_port": 80}}},
                ("app.public_url", "host.proxy.redirect_port"),
            ),
            (
                {"host": {"kind": "docker", "proxy": {"redirect_port": 80}}, "app": {"port": 80}},
                ("host.proxy.redirect_port", "app.port"),
            ),
            ({"app": {"port": 80}, "agent": {"port": 80}}, ("app.port", "agent.port")),
            ({"agent": {"ai_provider": "openai"}}, ("secrets.ai_api_key.value", "agent.ai_provider")),
            ({"agent": {"ai_provider": "openai"}}, ("agent.ai_model", "agent.ai_provider")),
            (
                {"supabase": REMOTE, "cron": {"a": {"schedule": "* * * * *", "path": "/"}}},
                ("agent.public_url", "cron"),
            ),
            (
                {"supabase": {"protect": True}, "app": {"demo_accounts": True}},
                ("app.demo_accounts", "supabase.protect"),
            ),
            (
                {"supabase": {"protect": True, "on_destroy": "delete"}},
                ("supabase.on_destroy", "supabase.protect"),
            ),
            (
                {"supabase": {"protect": True}, "migrations": {"disposable": True}},
                ("migrations.disposable", "supabase.protect"),
            ),
        ],
    )
    def test_a_bad_combination_names_both_keys(self, keys: dict[str, Any], both: tuple[str, str]) -> None:
        """Keys that exclude or need each other are reported on one line, both by name."""
        line = next(
            line for line in problems(keys).splitlines() if line.startswith(f"  groundwork:{both[0]}: ")
        )

        assert f"groundwork:{both[1]}" in line.removeprefix(f"  groundwork:{both[0]}: ")

    def test_text_instead_of_a_map_is_reported(self) -> None:
        """A section that is no JSON at all is a problem of that section, not a crash."""
        assert "groundwork:cron: must be a map of keys to values" in problems({"cron": "nightly"})

    def test_the_error_is_shown_without_a_stack_trace(self) -> None:
        """Pulumi prints the text of a RunError alone."""
        assert issubclass(SettingsError, pulumi.RunError)
