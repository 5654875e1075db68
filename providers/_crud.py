"""What all dynamic providers share: comparing properties, unknown values, messages to the engine.

Facts about Pulumi that this module relies on: `diff` gets the old OUTPUTS, not the old inputs, so every
provider returns its inputs among its outputs; a value that is not known in preview arrives as an `Unknown`
object; methods are called from several threads of one process.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pulumi.dynamic import CheckResult, DiffResult, ResourceProvider
from pulumi.output import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

Props = dict[str, Any]

# Keys that steer a provider but say nothing about what it manages.
_SILENT = frozenset({"__provider", "log_urn"})


class EngineProvider(ResourceProvider):
    """A provider without state of its own; settings come with the properties.

    Attributes:
        soft: inputs that may be unknown in preview without making the resource look changed: they say
            how to reach what is managed, not what it is.
    """

    # The class is found by its name and holds nothing, so what Pulumi stores of it is no secret.
    serialize_as_secret_always = False
    soft: frozenset[str] = frozenset()

    def check(self, _olds: Props, news: Props) -> CheckResult:
        """Accept every input; settings are validated before they get here."""
        return CheckResult(news, [])

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Ask for an update when an input differs; nothing is ever replaced."""
        return DiffResult(changes=bool(changed_keys(olds, news, self.soft)), replaces=[])


def unknown(value: object) -> bool:
    """Tell whether a value is not known yet, which happens in preview only."""
    return isinstance(value, Unknown)


def changed_keys(olds: Props, news: Props, soft: Collection[str] = ()) -> list[str]:
    """List the inputs that differ from what was stored; an unknown one counts unless it is soft."""
    compared = [key for key in news if key not in _SILENT]
    return [key for key in compared if _differs(olds.get(key), news[key], soft=key in soft)]


def _differs(old: object, new: object, *, soft: bool) -> bool:
    return not soft if unknown(new) else old != new


def plain(props: Props) -> Props:
    """Copy the properties without Pulumi's own."""
    return {key: value for key, value in props.items() if key != "__provider"}


def reporter(props: Props) -> Callable[[str], None]:
    """Give a function that shows a line at the resource while the engine runs.

    The resource's URN comes as the input `log_urn`, because a dynamic provider is not told it. Where there is
    no engine (a provider called from a test), the line goes to stderr.
    """
    urn = props.get("log_urn")
    return lambda message: log(message, urn if isinstance(urn, str) else "")


def log(message: str, urn: str, *, warning: bool = False) -> None:
    """Send one line to the Pulumi engine that started this process."""
    address = sys.argv[1] if len(sys.argv) > 1 else ""
    if not address.startswith("127.0.0.1:"):
        sys.stderr.write(f"{message}\n")
        return
    # Imported here: the program's own process loads this module too, and does not need it.
    import grpc  # noqa: PLC0415
    from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc  # noqa: PLC0415

    severity = engine_pb2.WARNING if warning else engine_pb2.INFO
    request = engine_pb2.LogRequest(severity=severity, message=message, urn=urn, streamId=0)
    with grpc.insecure_channel(address) as channel:
        engine_pb2_grpc.EngineStub(channel).Log(request)
