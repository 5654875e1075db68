"""What a stack file says of the settings is what the platform has, field by field."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engines.adoption.defaults import FRESH, is_fresh
from engines.adoption.notes import Notes
from engines.adoption.sections import describe_sections
from engines.adoption.text import to_yaml
from engines.supabase import SECTIONS, AuthSettings, InvalidSettingError, StorageSettings, differing
from settings import Supabase

pytestmark = pytest.mark.usefixtures("settings_loop_of_module")

SCHEMAS = {name: kind.model_json_schema() for name, kind in SECTIONS.items()}


def fitting(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Make values that a schema allows."""
    if "$ref" in schema:
        return fitting(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return st.one_of([fitting(one, definitions) for one in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    low, high = schema.get("minimum"), schema.get("maximum")
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    return {
        "null": st.none,
        "boolean": st.booleans,
        "integer": lambda: st.integers(low, high),
        "number": lambda: st.floats(0, 1e6),
        "string": lambda: st.from_regex(schema["pattern"], fullmatch=True) if "pattern" in schema else text,
        "array": lambda: st.lists(fitting(schema["items"], definitions), max_size=3),
        "object": lambda: _object(schema, definitions),
    }[schema["type"]]()


def _object(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    members = {name: fitting(one, definitions) for name, one in schema["properties"].items()}
    required = set(schema.get("required", ()))
    return st.fixed_dictionaries(
        {name: one for name, one in members.items() if name in required},
        optional={name: one for name, one in members.items() if name not in required},
    )


@st.composite
def live_settings(draw: st.DrawFn) -> dict[str, Any]:
    """Make some settings of one or several sections, as the platform may show them."""
    found: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(sorted(SECTIONS)), min_size=1, max_size=3, unique=True)):
        schema = SCHEMAS[name]
        properties, definitions = schema["properties"], schema.get("$defs", {})
        fields = draw(st.lists(st.sampled_from(sorted(properties)), max_size=6, unique=True))
        values = {field: draw(fitting(properties[field], definitions)) for field in fields}
        try:
            found[name] = SECTIONS[name].of(values)
        except InvalidSettingError:  # a pattern that Python reads otherwise
            assume(condition=False)
    return found


def read_back(described: dict[str, Any]) -> dict[str, Any]:
    """Give the sections that the settings of a stack make of a file with these."""
    text = to_yaml({"config": {"groundwork:supabase": described}}, {})
    supabase = Supabase.model_validate(yaml.safe_load(text)["config"]["groundwork:supabase"])
    return {name: getattr(supabase, name) for name in described}


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(live_settings(), st.booleans())
def test_a_file_says_what_is_there(live: dict[str, Any], every: bool) -> None:  # noqa: FBT001 - drawn
    """Read back through the settings, each section names what is on the platform, and so changes nothing."""
    notes = Notes()
    described = describe_sections(live, notes, every=every)
    sections = read_back(described)

    assert notes.left == []
    for name, fields in sections.items():
        assert differing(fields, live[name].values()) == {}
    for name, found in live.items():
        named = {*sections.get(name, {}), *(field for part, field in notes.secrets if part == name)}
        missing = {field: value for field, value in found.values().items() if field not in named}
        assert all(is_fresh(name, field, value) for field, value in missing.items() if value)


def test_every_default_is_one_that_the_api_knows() -> None:
    """The table has names and values that could be set."""
    assert FRESH.keys() == SECTIONS.keys()
    for name, fields in FRESH.items():
        SECTIONS[name].of(fields)


def test_secret_is_noted_and_never_written() -> None:
    """A masked value is neither a value nor nothing."""
    notes = Notes()
    live = {"auth": AuthSettings.read({"smtp_pass": "a1b2", "external_apple_secret": None, "jwt_exp": 60})}

    assert describe_sections(live, notes) == {"auth": {"jwt_exp": 60}}
    assert notes.secrets == [("auth", "smtp_pass")]


@pytest.mark.parametrize("every", [False, True])
def test_what_may_not_be_set_is_left_out(*, every: bool) -> None:
    """Facts among the settings are no settings; a value that the API would refuse is noted."""
    notes = Notes()
    raw = {
        "migrationVersion": "x",
        "fileSizeLimit": -1,
        "features": {"s3Protocol": {"enabled": False}, "new": 1},
    }

    described = describe_sections({"storage": StorageSettings.read(raw)}, notes, every=every)

    assert described == {"storage": {"features": {"s3Protocol": {"enabled": False}}}}
    assert [text.partition(":")[0] for text in notes.left] == [
        "supabase.storage.features.new",
        "supabase.storage.fileSizeLimit",
    ]
