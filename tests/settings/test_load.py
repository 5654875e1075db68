"""What a stack gets that sets nothing, and what the committed stack files say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from settings import Docker, Proxy, Settings
from tests.settings.reading import CANARY, load, problems

ROOT = Path(__file__).parents[2]


def stack_file(stack: str) -> dict[str, Any]:
    """Read the configuration that a committed stack file holds."""
    content = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())
    return {key.removeprefix("groundwork:"): value for key, value in content["config"].items()}


def project_keys() -> dict[str, dict[str, Any]]:
    """Read the keys that Pulumi.yaml declares."""
    keys: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    return keys


class TestDefaults:
    """What a stack that sets nothing gets."""

    def test_an_empty_configuration_is_a_local_product(self) -> None:
        """Without any key, everything runs as processes beside a stand-in of the cloud."""
        settings = load({})

        assert settings.environment == "local"
        assert settings.project_name == "groundwork-local"
        assert settings.host.kind == "process"
        assert settings.supabase.api_url is None
        assert settings.secrets.session_key.accepted == (1,)

    def test_the_project_name_follows_the_environment(self) -> None:
        """A stack that names its environment names its project alike."""
        assert load({"environment": "review-7"}).project_name == "groundwork-review-7"

    def test_settings_do_not_change(self) -> None:
        """Nobody can change settings after they were read, maps included."""
        settings = load({"variables": {"REPLY_PRICE": 2}})

        with pytest.raises(ValueError, match="frozen"):
            settings.app.port = 1
        with pytest.raises(TypeError):
            settings.variables.environment("agent")["REPLY_PRICE"] = "3"  # type: ignore[index]  # on purpose


class TestFiles:
    """Pulumi.yaml and the committed stack files."""

    def test_pulumi_yaml_declares_every_key(self) -> None:
        """The project file and the settings know the same keys, each with a description."""
        assert list(project_keys()) == list(Settings.model_fields)
        assert all(len(key["description"]) > 20 for key in project_keys().values())

    def test_defaults_of_pulumi_yaml_change_nothing(self) -> None:
        """A stack that sets nothing means the same with the project file's defaults."""
        declared = {key: value["default"] for key, value in project_keys().items()}

        assert load(declared) == load({})

    @pytest.mark.parametrize(
        "section", ["supabase", "host", "app", "agent", "migrations", "health", "backup"]
    )
    def test_descriptions_name_every_nested_key(self, section: str) -> None:
        """Who reads Pulumi.yaml finds each key of a section."""
        annotation: Any = Settings.model_fields[section].annotation
        model = next(iter(get_args(annotation)), annotation)
        words = re.findall(r"\w+", project_keys()[section]["description"])

        assert set(model.model_fields) - set(words) == set()

    @pytest.mark.parametrize("model", [Docker, Proxy])
    def test_the_description_of_the_host_goes_two_levels_deep(self, model: type[Docker | Proxy]) -> None:
        """Each key of the engine and of the proxy is there."""
        keys = {f"{model.__name__.lower()}.{field}" for field in model.model_fields}

        assert keys <= set(re.findall(r"[\w.]+\w", project_keys()["host"]["description"]))

    def test_the_local_stack_loads(self) -> None:
        """The committed local stack is complete as it is."""
        settings = load(stack_file("local"))

        assert settings.app.demo_accounts
        assert settings.cron["run-jobs"].path == "/jobs/run"

    @pytest.mark.parametrize("stack", ["staging", "prod"])
    def test_other_stacks_lack_only_their_secrets(self, stack: str) -> None:
        """A committed stack asks for its secrets, and for nothing else."""
        message = problems(stack_file(stack))

        assert "has 2 problems" in message
        assert (
            "groundwork:supabase.access_token: is needed because groundwork:supabase.api_url is set"
            in message
        )
        assert "groundwork:secrets.ai_api_key.value: is needed" in message

    @pytest.mark.parametrize("stack", ["staging", "prod"])
    def test_other_stacks_load_with_their_secrets(self, stack: str) -> None:
        """With the secrets set, the committed stacks load, and they differ where environments differ."""
        file = stack_file(stack)
        file["supabase"]["access_token"] = CANARY
        file["secrets"] = {**file.get("secrets", {}), "ai_api_key": {"value": CANARY}}

        settings = load(file)

        assert settings.host.kind == "swarm"
        assert settings.supabase.protect == (stack == "prod")

    def test_no_stack_file_holds_a_secret(self) -> None:
        """Nothing encrypted or given is committed."""
        texts = [path.read_text() for path in ROOT.glob("Pulumi.*.yaml")]

        assert len(texts) == 3
        assert not any("secure:" in text for text in texts)
