"""Edge functions, each deployed from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, ReadResult, Resource, UpdateResult

import engines
from providers import _cloud
from providers._crud import Props, changed_keys
from providers._named import NamedProvider, before, leave, put

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from engines.supabase import Bundle, Function, ManagementClient

# What a deployment consists of; `dir` is only where the files come from.
_DEPLOYED = frozenset({"digest", "entrypoint", "import_map", "static_patterns", "verify_jwt"})


class EdgeFunctionProvider(NamedProvider):
    """Deploys one function when its files or options changed, here or on the platform."""

    results = frozenset({"version", "bundle", "made"})

    def check(self, _olds: Props, news: Props) -> CheckResult:
        """Read the folder, so that the preview names the files that changed; refuse what cannot run."""
        try:
            files = engines.supabase.function_files.read_files(Path(news["dir"]))
        except engines.supabase.FunctionFilesError as error:
            return CheckResult(news, [CheckFailure("", f"{_key(news)}.dir: {error}")])
        failures = [CheckFailure("", text) for text in _missing(news, files)]
        digests = engines.supabase.function_files.digests(files)
        return CheckResult({**news, "digest": digests}, failures)

    def create(self, props: Props) -> CreateResult:
        """Deploy the function, unless it runs with these files and options already."""
        _cloud.forget(props)
        bundle = _bundle(props)
        with _cloud.client(props) as client:
            live = _running(client, props["project_ref"], bundle)
            now = live or client.functions.deploy(props["project_ref"], bundle)
        return CreateResult(props["slug"], _outputs(props, bundle, now, made=live is None))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Deploy the function anew when its files or options changed."""
        if not before(olds, news):
            return UpdateResult(self.create(news).outs)
        old = {**olds, **{name: olds.get(name) for name in _DEPLOYED}}
        new = {**news, **{name: news.get(name) for name in _DEPLOYED}}
        if not _DEPLOYED.intersection(changed_keys(old, new)):
            kept = {name: olds[name] for name in self.results}
            return UpdateResult(put(news, **kept))
        _cloud.forget(news)
        bundle = _bundle(news)
        with _cloud.client(news) as client:
            now = client.functions.deploy(news["project_ref"], bundle)
        return UpdateResult(_outputs(news, bundle, now, made=True))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Tell whether the function is still the one that was deployed."""
        try:
            running = {one.slug: one for one in _cloud.look(props, "functions")}
        except engines.supabase.NotFoundError:
            running = {}
        if props["slug"] not in running:
            return ReadResult(None, {})
        outs = _seen(props, running[props["slug"]])
        return ReadResult(id_, outs, self.inputs(outs))

    def delete(self, _id: str, props: Props) -> None:
        """Delete the function if the stack deployed it."""
        if not props["made"]:
            leave(props, f"the function {props['slug']}")
            return
        _cloud.forget(props)
        with _cloud.client(props) as client:
            client.functions.delete(props["project_ref"], props["slug"])


def _key(props: Props) -> str:
    return f"groundwork:supabase.functions.{props['slug']}"


def _missing(props: Props, files: Mapping[str, bytes]) -> Iterator[str]:
    for name in ("entrypoint", "import_map"):
        if props.get(name) and props[name] not in files:
            there = ", ".join(sorted(files)[:10]) or "nothing"
            yield f"{_key(props)}.{name}: {props['dir']} has no file {props[name]}; there is {there}"


def _bundle(props: Props) -> Bundle:
    return engines.supabase.Bundle(
        slug=props["slug"],
        entrypoint=props["entrypoint"],
        files=engines.supabase.function_files.read_files(Path(props["dir"])),
        import_map=props.get("import_map"),
        static_patterns=tuple(props.get("static_patterns") or ()),
        verify_jwt=bool(props["verify_jwt"]),
    )


def _running(client: ManagementClient, ref: str, bundle: Bundle) -> Function | None:
    """Give the function if it runs as it is wanted; the platform does not show static patterns."""
    try:
        live = client.functions.get(ref, bundle.slug)
        return live if _has_options(live, bundle) and _has_files(client, ref, bundle) else None
    except (engines.supabase.NotFoundError, engines.supabase.UnexpectedAnswerError):
        return None


def _has_files(client: ManagementClient, ref: str, bundle: Bundle) -> bool:
    if bundle.static_patterns:
        return False
    live = client.functions.files(ref, bundle.slug)
    return engines.supabase.function_files.below(live, bundle.entrypoint) == bundle.files


def _has_options(live: Function, bundle: Bundle) -> bool:
    # The platform shows paths as it unpacked them: file:///tmp/…/source/index.ts.
    entrypoint, import_map = live.entrypoint_path or "", live.import_map_path or ""
    return (
        bool(live.verify_jwt) == bundle.verify_jwt
        and _ends_with(entrypoint, bundle.entrypoint)
        and (_ends_with(import_map, bundle.import_map) if bundle.import_map else not import_map)
    )


def _ends_with(path: str, name: str) -> bool:
    return path == name or path.endswith(f"/{name}")


def _outputs(props: Props, bundle: Bundle, now: Function, *, made: bool) -> dict[str, Any]:
    digest = engines.supabase.function_files.digests(bundle.files)
    return put(props, digest=digest, version=now.version, bundle=now.ezbr_sha256 or "", made=made)


def _seen(props: Props, live: Function) -> dict[str, Any]:
    """Give the outputs with what runs now; another deployment than ours shows in place of the files."""
    bundle = live.ezbr_sha256 or props["bundle"]
    outs = put(props, version=live.version, bundle=bundle)
    if live.verify_jwt is not None:
        outs["verify_jwt"] = live.verify_jwt
    if (live.version, bundle) != (int(props["version"]), props["bundle"] or bundle):
        outs["digest"] = {_cloud.STRANGER: f"version {live.version}"}
    return outs


class EdgeFunction(Resource, module="groundwork", name="EdgeFunction"):
    """One edge function.

    Attributes:
        slug: its name in URLs.
        version: counts its deployments.
        bundle: digest of what the platform made of the files.
    """

    slug: pulumi.Output[str]
    version: pulumi.Output[int]
    bundle: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare a function: how to reach the project, `slug`, `dir`, `entrypoint`, `verify_jwt`, ….

        Further, where they are given: `import_map` and `static_patterns`.
        """
        declared = {**props, **dict.fromkeys(("digest", "version", "bundle", "made"))}
        super().__init__(EdgeFunctionProvider(), name, declared, opts)
