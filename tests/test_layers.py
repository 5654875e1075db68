"""The architecture is a table of who may import whom, and names that are stored in state."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = {"components", "providers", "engines", "emulator", "settings", "workloads", "__main__"}
MAY_IMPORT = {
    "__main__": {"settings", "components"},
    "settings": {"settings", "engines"},
    "components": {"components", "providers", "engines"},
    "providers": {"providers", "engines"},
    "engines": {"engines"},
    "emulator": {"emulator"},
    "workloads": set(),
}
# Of the engines, components may use only what is pure.
PURE_ENGINES = {"engines", "content", "proxy"}
SOURCES = sorted(
    Path(name)
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    if Path(name).parts[0].removesuffix(".py") in LAYERS
)


def _imports(path: Path) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    nodes = list(ast.walk(tree))
    named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    from_nodes = [
        node for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level
    ]
    return named | {f"{node.module}.{alias.name}" for node in from_nodes for alias in node.names}


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_go_one_way(path: Path) -> None:
    """A module imports only from the layers that the table allows."""
    layer = path.parts[0].removesuffix(".py")
    ours = {name.split(".")[0] for name in _imports(path)} & LAYERS

    assert ours <= MAY_IMPORT[layer]


@pytest.mark.parametrize("path", [one for one in SOURCES if one.parts[0] == "engines"], ids=str)
def test_engines_know_nothing_of_pulumi(path: Path) -> None:
    """An engine works from a test or a shell, without Pulumi."""
    assert not [name for name in _imports(path) if name.split(".")[0] == "pulumi"]


@pytest.mark.parametrize("path", [one for one in SOURCES if one.parts[0] == "components"], ids=str)
def test_components_use_only_pure_engines(path: Path) -> None:
    """A component decides from plain values; what does I/O is a provider's."""
    used = {name.split(".")[1] for name in _imports(path) if name.startswith("engines.")}

    assert used <= PURE_ENGINES


def test_a_program_loads_no_engine() -> None:
    """Each preview runs the program twice or more: it must not wait for HTTP clients and database drivers."""
    modules = [f"components.{path.stem}" for path in (ROOT / "components").glob("[!_]*.py")]
    # The Docker SDK is loaded on demand, and is not ours.
    wanted = ", ".join(sorted(set(modules) - {"components.balancer", "components.swarm"}))
    heavy = {"engines.supabase", "httpx", "psycopg", "pglast", "pulumi_docker"}
    shown = f"print(sorted({heavy!r} & set(sys.modules)))"
    command = [sys.executable, "-c", f"import sys; import {wanted}, settings; {shown}"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_component_tokens_follow_their_module() -> None:
    """A token is groundwork:<module>:<Type>, for it is stored in every state."""
    for path in (ROOT / "components").glob("[!_]*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                assigned = [item for item in node.body if isinstance(item, ast.Assign)]
                tokens = [ast.literal_eval(item.value) for item in assigned if _is_token(item)]
                assert tokens in ([], [f"groundwork:{path.stem}:{node.name}"])


def _is_token(item: ast.Assign) -> bool:
    return [ast.unparse(target) for target in item.targets] == ["token"]


def test_stored_provider_names_still_exist() -> None:
    """State refers to provider classes by module and name; a rename would break every existing stack."""
    expected = {
        "providers.addons": ["AddonsProvider"],
        "providers.api_keys": ["ApiKeyProvider"],
        "providers.backup": ["RestorePointProvider"],
        "providers.buckets": ["BucketProvider"],
        "providers.configuration": ["SupabaseSettingsProvider"],
        "providers.database": ["DemoAccountsProvider", "LoginProvider", "VaultSecretProvider"],
        "providers.function_secrets": ["FunctionSecretsProvider"],
        "providers.functions": ["EdgeFunctionProvider"],
        "providers.health": ["HealthGateProvider"],
        "providers.hostname": ["CustomHostnameProvider"],
        "providers.migrations": ["MigrationsProvider"],
        "providers.names": ["ContentNamesProvider"],
        "providers.owner": ["OwnerPasswordProvider"],
        "providers.parity": ["ParityProvider"],
        "providers.process": ["ProcessProvider"],
        "providers.schedule": ["CronJobProvider", "CronRosterProvider"],
        "providers.secret": ["GeneratedSecretProvider", "GivenSecretProvider"],
        "providers.signing_keys": ["SigningKeysProvider"],
        "providers.supabase": ["SupabaseProjectProvider"],
        "providers.third_party": ["ThirdPartyProvider"],
    }
    found = {
        f"providers.{path.stem}": sorted(
            node.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ClassDef) and node.name.endswith("Provider")
        )
        for path in (ROOT / "providers").glob("[!_]*.py")
    }

    assert found == expected


def test_main_has_no_logic() -> None:
    """The entry point reads like the architecture: no branch, no loop, at most 190 lines."""
    text = (ROOT / "__main__.py").read_text()
    branches = (ast.If, ast.For, ast.While, ast.Try, ast.IfExp, ast.FunctionDef)

    assert not [node for node in ast.walk(ast.parse(text)) if isinstance(node, branches)]
    assert len(text.splitlines()) <= 190
