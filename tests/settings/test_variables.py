"""The variables of services: what is declared, what a value may be, who gets it, and what is refused."""

from __future__ import annotations

import ast
import asyncio
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from settings import delivery
from settings.kinds import KINDS, Kind, written
from settings.variables import CATALOGUE, RESERVED_VARIABLES, Service, Variable
from tests.settings.reading import CANARY, load, problems

ROOT = Path(__file__).parents[2]
LEVEL = Variable(name="LOG_LEVEL", services=("app", "agent"), description="What is logged")
TAX = Variable(name="TAX_KEY", services=("app",), description="Key of the tax service", secret=True)
QUOTA = Variable(name="QUOTA", kind="integer", services=("agent",), description="Quota", required=False)
OURS = Variable(name="WHERE", services=("app",), description="Where", source="groundwork")
MADE = (LEVEL, TAX, QUOTA, OURS)


def refused(values: object, catalogue: tuple[Variable, ...] = MADE) -> dict[str, str]:
    """Read values that must be refused, and give what is said of each variable."""
    with pytest.raises(ValidationError) as caught:
        delivery.read(values, catalogue)
    assert CANARY not in str(caught.value)
    return {str(detail["loc"][0]): detail["msg"] for detail in caught.value.errors()}


class TestDeclarations:
    """The catalogue, and what can be declared at all."""

    def test_names_are_used_once(self) -> None:
        """Two variables of one name would be one in the environment."""
        names = [one.name for one in CATALOGUE]

        assert sorted(names) == sorted(set(names))

    @pytest.mark.parametrize("service", ["app", "agent"])
    def test_what_a_service_reads_is_declared_for_it(self, service: Service) -> None:
        """Each setting of a workload's own configuration is a variable in the catalogue."""
        tree = ast.parse((ROOT / "workloads" / service / "config.py").read_text())
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"]
        fields = [node.target for node in classes[0].body if isinstance(node, ast.AnnAssign)]
        read = {target.id.upper() for target in fields if isinstance(target, ast.Name)}

        assert read
        assert read - {one.name for one in CATALOGUE if service in one.services} == set()

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"name": "log_level"}, "must be named by A-Z"),
            ({"services": ()}, "must name the services"),
            ({"default": "x", "secret": True}, "must have no default, because it is secret"),
            ({"default": "x", "kind": "integer"}, "must be a whole number"),
            ({"default": "01", "kind": "integer"}, "must have its default as a service gets it"),
        ],
    )
    def test_a_declaration_that_cannot_be_delivered(self, change: dict[str, Any], words: str) -> None:
        """A mistake in a declaration is found when it is read, not when a service starts."""
        with pytest.raises(ValueError, match=words):
            replace(LEVEL, **change)


class TestKinds:
    """What a value may be."""

    @pytest.mark.parametrize(
        ("kind", "value", "expected"),
        [
            ("text", "a b\nc", "a b\nc"),
            ("text", 123, "123"),
            ("text", True, "true"),
            ("integer", 512, "512"),
            ("integer", "-007", "-7"),
            ("number", 0.5, "0.5"),
            ("number", "1.50", "1.50"),
            ("number", 3, "3"),
            ("boolean", False, "false"),
            ("boolean", "true", "true"),
            ("url", "https://a.example.com/", "https://a.example.com"),
        ],
    )
    def test_values_as_services_get_them(self, kind: Kind, value: object, expected: str) -> None:
        """A value is good as YAML types it and as the CLI writes it, and always arrives as one text."""
        assert written(kind, value) == expected

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("text", ""),
            ("text", "a\0b"),
            ("text", "\ud800"),
            ("text", 1.5),
            ("text", None),
            ("text", ["a"]),
            ("text", "x" * 100_001),
            ("integer", "1.0"),
            ("integer", 1.0),
            ("integer", True),
            ("integer", "²"),
            ("integer", 10**18),
            ("number", "nan"),
            ("number", math.inf),
            ("number", "1e999"),
            ("number", "1_000"),
            ("boolean", "True"),
            ("boolean", 1),
            ("url", "example.com"),
            ("url", "http://example.com"),
            ("url", 5),
        ],
    )
    def test_what_is_no_value(self, kind: Kind, value: object) -> None:
        """What a service could not read as the kind is refused."""
        with pytest.raises(ValueError, match=r"^must be "):
            written(kind, value)

    @given(
        st.sampled_from(KINDS),
        st.text() | st.floats() | st.integers() | st.booleans() | st.none() | st.lists(st.text()),
    )
    def test_kinds_never_surprise(self, kind: Kind, value: object) -> None:
        """Whatever is given becomes a text that is of the kind again, or is refused by one error."""
        try:
            text = written(kind, value)
        except ValueError as error:
            assert str(error).startswith("must be ")  # noqa: PT017  # both outcomes are right here
        else:
            assert written(kind, text) == text

    @given(st.integers(-(10**17), 10**17), st.floats(allow_nan=False, allow_infinity=False))
    def test_numbers_arrive(self, whole: int, decimal: float) -> None:
        """A number is the same number to the service."""
        assert int(written("integer", whole)) == whole
        assert float(written("number", decimal)) == decimal


class TestDelivery:
    """Who gets what."""

    def test_a_variable_reaches_the_services_named(self) -> None:
        """A plain variable is in the environment of its services, a secret one a file of its services."""
        found = delivery.read({"LOG_LEVEL": "debug", "TAX_KEY": CANARY, "QUOTA": 5}, MADE)

        assert found.environment("app") == {"LOG_LEVEL": "debug"}
        assert found.environment("agent") == {"LOG_LEVEL": "debug", "QUOTA": "5"}
        assert set(found.secrets("app")) == {"tax_key"}
        assert found.secrets("agent") == {}

    def test_a_secret_stays_one(self) -> None:
        """A secret value is an Output that Pulumi encrypts, and no text shows it."""
        found = delivery.read({"LOG_LEVEL": "debug", "TAX_KEY": CANARY}, MADE)
        value = found.secrets("app")["tax_key"]

        assert asyncio.get_event_loop().run_until_complete(value.is_secret())
        assert asyncio.get_event_loop().run_until_complete(value.future()) == CANARY
        assert CANARY not in repr(found)

    def test_defaults_are_delivered(self) -> None:
        """A service is told the default of the declaration; without one it is told nothing."""
        found = delivery.read({}, (replace(LEVEL, default="info"), QUOTA))

        assert found.environment("agent") == {"LOG_LEVEL": "info"}

    def test_a_stack_that_sets_none_gets_the_defaults(self) -> None:
        """The product's own variables all have a value without any in the stack file."""
        settings = load({})

        assert settings.variables.environment("agent") == {"AI_MAX_TOKENS": "1024", "REPLY_PRICE": "1"}
        assert settings.variables.environment("app") == {}


class TestProblems:
    """How mistakes are reported."""

    @pytest.mark.parametrize(
        ("values", "name", "words"),
        [
            ({"TAX_KEY": "k"}, "LOG_LEVEL", "is needed by app and agent; set it by `pulumi config set --pl"),
            ({}, "TAX_KEY", "is needed by app; set it by `pulumi config set --secret --path groundwork:var"),
            ({"LOG_LEVLE": "x"}, "LOG_LEVLE", 'did you mean "LOG_LEVEL"?; variables are declared in set'),
            ({"log_level": "x"}, "log_level", 'did you mean "LOG_LEVEL"?'),
            ({"ELSE": "x"}, "ELSE", "known here: LOG_LEVEL, QUOTA, TAX_KEY; variables are declared in"),
            ({"WHERE": "x"}, "WHERE", "is set by Groundwork itself"),
            ({"QUOTA": CANARY}, "QUOTA", "must be a whole number"),
            ({"QUOTA": None}, "QUOTA", "must be a whole number"),
            ({"TAX_KEY": "changeme"}, "TAX_KEY", "is a placeholder"),
            ({"TAX_KEY": f" {CANARY} "}, "TAX_KEY", "must be text without blanks around it"),
        ],
    )
    def test_each_is_named(self, values: dict[str, object], name: str, words: str) -> None:
        """A problem names its variable, what is wrong and what to do, and never the value."""
        assert words in refused(values)[name]

    def test_all_are_reported_at_once(self) -> None:
        """One preview shows what is missing, unknown and wrong."""
        assert set(refused({"QUOTA": "x", "ELSE": "x"})) == {"LOG_LEVEL", "TAX_KEY", "QUOTA", "ELSE"}

    def test_the_full_key_is_named(self) -> None:
        """The message of a stack has the key below the namespace, and other sections are still read."""
        message = problems({"variables": {"AI_MAX_TOKEN": 5, "REPLY_PRICE": "x"}, "agent": {"port": "x"}})

        assert (
            'groundwork:variables.AI_MAX_TOKEN: is not a known key; did you mean "AI_MAX_TOKENS"?' in message
        )
        assert "groundwork:variables.REPLY_PRICE: must be a whole number" in message
        assert "groundwork:agent.port: must be a whole number" in message
        assert "has 3 problems" in message

    @pytest.mark.parametrize("value", [["REPLY_PRICE"], "REPLY_PRICE=5"])
    def test_no_map_is_reported(self, value: object) -> None:
        """Anything but a map is a problem of the key itself."""
        assert "groundwork:variables: must be a map of keys to values" in problems({"variables": value})

    @pytest.mark.parametrize("name", sorted(RESERVED_VARIABLES))
    def test_what_groundwork_sets_is_no_stacks_to_set(self, name: str) -> None:
        """A stack cannot lead a service past what the rest of its settings say."""
        message = problems({"variables": {name: CANARY}})

        assert f"groundwork:variables.{name}: is set by Groundwork itself" in message
        assert "has 1 problem:" in message


class TestEncryption:
    """Secrets are encrypted in the stack file, and nothing else is."""

    def test_a_secret_in_clear_is_refused(self) -> None:
        """The text says that the value is known now, and how to set another."""
        (found,) = delivery.misplaced({"TAX_KEY": False, "LOG_LEVEL": False}, MADE)

        assert str(found) == (
            "groundwork:variables.TAX_KEY: is secret and must be encrypted; replace the value, and set it by "
            "`pulumi config set --secret --path groundwork:variables.TAX_KEY`"
        )

    def test_an_encrypted_value_that_would_be_shown_is_refused(self) -> None:
        """Who encrypted a value does not want it in a diff."""
        (found,) = delivery.misplaced({"TAX_KEY": True, "LOG_LEVEL": True}, MADE)

        assert "variables.LOG_LEVEL: is encrypted, but not declared as secret" in str(found)

    def test_what_is_not_known_is_no_problem(self) -> None:
        """A stack file that is elsewhere cannot be looked into."""
        assert list(delivery.misplaced({}, MADE)) == []

    @pytest.mark.parametrize(
        ("file", "found"),
        [
            ("REPLY_PRICE: {secure: v1}", True),
            ("REPLY_PRICE: 5", False),
            ("OTHER: {secure: v1}", False),
            ("[", False),
            ("", False),
        ],
    )
    def test_the_stack_file_tells_which(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, *, found: bool
    ) -> None:
        """Pulumi calls the whole map secret; the file tells which value is encrypted, if it can be read."""
        lines = f"config:\n  groundwork:variables:\n    {file}\n"
        (tmp_path / "Pulumi.local.yaml").write_text(lines)
        monkeypatch.chdir(tmp_path)

        message = problems({"variables": {"REPLY_PRICE": 5}, "agent": {"port": "x"}}, ["variables"])

        assert ("variables.REPLY_PRICE: is encrypted, but" in message) is found


def test_the_lists_of_the_services_say_what_is_declared() -> None:
    """What a service is told it needs is what the stack's declarations say."""
    read = {
        service: json.loads((ROOT / "workloads" / service / "variables.json").read_text())["variables"]
        for service in ("app", "agent")
    }
    ours = [one for one in CATALOGUE if one.source == "stack"]

    assert [entry["name"] for entry in read["app"]] == [one.name for one in ours if "app" in one.services]
    assert [entry["name"] for entry in read["agent"]] == [one.name for one in ours if "agent" in one.services]
