"""What the settings of a stack do not allow is left out as a whole, and told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from engines.adoption import AdoptionError, Choices, Description, describe, stack_name, without_problems
from engines.adoption.catalog import Bucket, Catalog, Policy
from engines.adoption.reading import Live
from engines.supabase import PostgrestSettings, Project

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROJECT = Project("a" * 20, "demo", "groundwork", "us-east-1", "ACTIVE_HEALTHY")
OWN = "((bucket_id = 'one'::text) AND (owner = auth.uid()))"


def description(root: Path) -> Description:
    """Describe a project with a setting, and a bucket with two policies."""
    policies = tuple(Policy(name, True, ("public",), "select", OWN, None) for name in ("a", "b\x1b[2J\nc"))
    live = Live(
        PROJECT,
        sections={"postgrest": PostgrestSettings.of({"max_rows": 7})},
        buckets=(Bucket("one", public=True),),
        catalog=Catalog(policies=policies),
    )
    return describe(live, Choices("prod", "https://api.test", "migrations", root))


def once(*paths: tuple[str, ...]) -> Any:
    """Give a judge who finds these wrong, until they are gone."""

    def judge(config: Mapping[str, Any]) -> dict[tuple[str, ...], str]:
        return {path: "is wrong" for path in paths if _has(config, path)}

    return judge


def _has(config: Any, path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(config, dict) or name not in config:
            return False
        config = config[name]
    return True


def test_policy_is_never_left_without_its_condition(tmp_path: Path) -> None:
    """A policy whose condition is refused would allow more without it, so it goes as a whole."""
    found = description(tmp_path)
    without_problems(found, once(("supabase", "buckets", "one", "policies", "a", "using")))

    assert found.config["supabase"]["buckets"]["one"]["policies"].keys() == {"b\x1b[2J\nc"}
    assert found.notes.left == ["supabase.buckets.one.policies.a: is wrong"]


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        (("supabase", "buckets", "one", "public"), "buckets"),
        (("supabase", "postgrest", "max_rows"), "postgrest"),
    ],
)
def test_what_is_empty_then_is_gone(tmp_path: Path, path: tuple[str, ...], gone: str) -> None:
    """A field, or a thing with a name, is the smallest part that may be missing."""
    found = description(tmp_path)
    without_problems(found, once(path))

    assert gone not in found.config["supabase"]
    assert found.config["supabase"]["ref"] == PROJECT.ref


def test_what_is_no_part_ends_the_adoption(tmp_path: Path) -> None:
    """Without its project, a stack file says nothing."""
    with pytest.raises(AdoptionError, match="cannot be described as a stack: is wrong"):
        without_problems(description(tmp_path), once(("supabase",)))


def test_names_from_elsewhere_are_only_names(tmp_path: Path) -> None:
    """A line end or a control sequence in a name neither ends a comment nor reaches a terminal."""
    found = description(tmp_path)
    found.notes.leave("policy b\x1b[2J\nc", "is odd")
    text = found.text()

    assert "policy b\\U0000001b[2J\\U0000000ac: is odd" in text
    assert yaml.safe_load(text)["config"]["groundwork:supabase"]["buckets"]["one"]["policies"].keys() == {
        "a",
        "b\x1b[2J\nc",
    }


@pytest.mark.parametrize(
    ("project", "stack"),
    [("My Product!", "my-product"), ("1st", "adopted"), ("Ünï", "n"), ("x" * 40, "x" * 32), ("", "adopted")],
)
def test_stack_is_named_after_the_project(project: str, stack: str) -> None:
    """Whatever a project is called, its stack has a name that Pulumi and the settings take."""
    assert stack_name(project) == stack
