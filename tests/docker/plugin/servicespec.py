"""A service's properties as the Engine API's ServiceSpec (docs.docker.com/reference/api/engine)."""

from __future__ import annotations

import re
from typing import Any

Spec = dict[str, Any]
_UNITS_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
# The official provider's default for files of secrets and configs (resource_docker_service.go).
_FILE_MODE = 0o444


def nanoseconds(text: str) -> int:
    """Read a duration as Go writes it, such as `1m30s` or `500ms`.

    Raises:
        ValueError: it is none.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)", text)
    if "".join(number + unit for number, unit in parts) != text or not parts:
        raise ValueError(f"{text!r} is no duration (such as 1m30s)")
    return round(sum(float(number) * _UNITS_NS[unit] for number, unit in parts))


def seconds(text: str) -> float:
    """Read a duration as Go writes it.

    Raises:
        ValueError: it is none.
    """
    return nanoseconds(text) / 10**9


def labels_of(given: list[dict[str, str]] | None) -> dict[str, str]:
    """Turn the SDK's list of labels into a mapping."""
    return {one["label"]: one["value"] for one in given or []}


def env_of(given: dict[str, str] | None) -> list[str]:
    """Turn variables into the API's list, in a lasting order: another one would restart the tasks."""
    return [f"{name}={value}" for name, value in sorted((given or {}).items())]


def service_spec(given: Spec) -> Spec:
    """Translate all properties of a service.

    Raises:
        ValueError: a duration or ratio is none.
    """
    return _present(
        Name=given["name"],
        Labels=labels_of(given.get("labels")),
        TaskTemplate=_task(given["taskSpec"]),
        Mode={"Replicated": {"Replicas": replicas_of(given)}},
        UpdateConfig=_rollout(given.get("updateConfig")),
        RollbackConfig=_rollout(given.get("rollbackConfig")),
        EndpointSpec=_endpoint(given.get("endpointSpec")),
    )


def replicas_of(given: Spec) -> int:
    """Give the number of tasks that a service is to have; one, when nothing is said."""
    return int(given.get("mode", {}).get("replicated", {}).get("replicas", 1))


def _present(**fields: Any) -> Spec:
    return {name: value for name, value in fields.items() if value is not None}


def _duration(given: Spec, name: str) -> int | None:
    return nanoseconds(given[name]) if name in given else None


def _task(given: Spec) -> Spec:
    return _present(
        ContainerSpec=_container(given["containerSpec"]),
        Resources=_resources(given.get("resources")),
        RestartPolicy=_restart(given.get("restartPolicy")),
        Placement=_placement(given.get("placement")),
        Networks=[
            _present(Target=one.get("id") or one.get("name"), Aliases=one.get("aliases"))
            for one in given.get("networksAdvanceds", [])
        ],
        LogDriver=_log_driver(given.get("logDriver")),
        ForceUpdate=given.get("forceUpdate", 0),
    )


def _container(given: Spec) -> Spec:
    return _present(
        Image=given["image"],
        Command=given.get("commands"),
        Args=given.get("args"),
        Dir=given.get("dir"),
        Env=env_of(given.get("env")),
        User=given.get("user"),
        Groups=given.get("groups"),
        Hostname=given.get("hostname"),
        Init=given.get("init"),
        ReadOnly=given.get("readOnly"),
        CapabilityAdd=given.get("capAdds"),
        CapabilityDrop=given.get("capDrops"),
        Sysctls=given.get("sysctl"),
        Labels=labels_of(given.get("labels")),
        Hosts=[f"{one['ip']} {one['host']}" for one in given.get("hosts", [])],
        Mounts=[_mount(one) for one in given.get("mounts", [])],
        Secrets=[_file("Secret", one) for one in given.get("secrets", [])],
        Configs=[_file("Config", one) for one in given.get("configs", [])],
        Healthcheck=_healthcheck(given.get("healthcheck")),
        StopGracePeriod=_duration(given, "stopGracePeriod"),
        StopSignal=given.get("stopSignal"),
    )


def _mount(given: Spec) -> Spec:
    options = given.get("tmpfsOptions")
    return _present(
        Target=given["target"],
        Type=given["type"],
        Source=given.get("source"),
        ReadOnly=given.get("readOnly"),
        TmpfsOptions=options and _present(Mode=options.get("mode"), SizeBytes=options.get("sizeBytes")),
    )


def _file(kind: str, given: Spec) -> Spec:
    target = {
        "Name": given["fileName"],
        "UID": given.get("fileUid", "0"),
        "GID": given.get("fileGid", "0"),
        "Mode": given.get("fileMode", _FILE_MODE),
    }
    lower = kind.lower()
    # The engine refuses a reference without a name; it is passed on as given, as the official provider does.
    return {
        f"{kind}ID": given[f"{lower}Id"],
        f"{kind}Name": given.get(f"{lower}Name", ""),
        "File": target,
    }


def _healthcheck(given: Spec | None) -> Spec | None:
    return given and _present(
        Test=given["tests"],
        Interval=_duration(given, "interval"),
        Timeout=_duration(given, "timeout"),
        StartPeriod=_duration(given, "startPeriod"),
        Retries=given.get("retries"),
    )


def _resources(given: Spec | None) -> Spec | None:
    return given and _present(
        Limits=_amounts(given.get("limits")), Reservations=_amounts(given.get("reservation"))
    )


def _amounts(given: Spec | None) -> Spec | None:
    return given and _present(MemoryBytes=given.get("memoryBytes"), NanoCPUs=given.get("nanoCpus"))


def _restart(given: Spec | None) -> Spec | None:
    return given and _present(
        Condition=given.get("condition"),
        Delay=_duration(given, "delay"),
        MaxAttempts=given.get("maxAttempts"),
        Window=_duration(given, "window"),
    )


def _placement(given: Spec | None) -> Spec | None:
    return given and _present(
        Constraints=given.get("constraints"),
        Preferences=[{"Spread": {"SpreadDescriptor": one}} for one in given.get("prefs", [])],
        MaxReplicas=given.get("maxReplicas"),
    )


def _log_driver(given: Spec | None) -> Spec | None:
    return given and _present(Name=given["name"], Options=given.get("options"))


def _rollout(given: Spec | None) -> Spec | None:
    return given and _present(
        Parallelism=given.get("parallelism", 1),
        Delay=_duration(given, "delay"),
        FailureAction=given.get("failureAction"),
        Monitor=_duration(given, "monitor"),
        MaxFailureRatio=float(given.get("maxFailureRatio", "0.0")),
        Order=given.get("order"),
    )


def _endpoint(given: Spec | None) -> Spec | None:
    return given and _present(Mode=given.get("mode"), Ports=[_port(one) for one in given.get("ports", [])])


def _port(given: Spec) -> Spec:
    return _present(
        Name=given.get("name"),
        Protocol=given.get("protocol", "tcp"),
        TargetPort=given["targetPort"],
        PublishedPort=given.get("publishedPort"),
        PublishMode=given.get("publishMode", "ingress"),
    )
