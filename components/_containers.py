"""How containers run in a Swarm: what is the same for every service, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi_docker as docker

from engines import proxy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pulumi

    from components.host import Containers, Text

# Where services listen inside their containers; their images read it from PORT (workloads/*/Dockerfile).
PORT = 8000
# The user of our images (workloads/*/Dockerfile), and the one of HAProxy's official images.
_USER, _PROXY_USER = "10001", "99"
# What running requests get after the drain: serve.py's own patience, and the agent's, and some more.
_PATIENCE_S = 45
# The proxy has no setting for it: it is changed rarely.
_MONITOR_S = 5.0
# How often an engine asks by default, and what it takes to be ended: so many bad answers, and so long a time.
_CHECK_INTERVAL_S, _UNHEALTHY_CHECKS, _UNHEALTHY_S = 5.0, 6, 30.0
_PROXY_MEMORY = 256 << 20
_SCRATCH_BYTES = 64 << 20
_CONFIGURATION = "/usr/local/etc/haproxy/haproxy.cfg"
# The check's own patience, and what starting it may take besides on a machine that is out of breath.
_ANSWER_S, _START_S = 15, 5
# Without a shell, curl or Python's site packages: cheap enough to ask every few seconds.
_ASK = (
    "import socket, sys; s = socket.create_connection(('127.0.0.1', {port}), {answer}); "
    "s.sendall(b'GET /ready HTTP/1.0\\r\\n\\r\\n'); sys.exit(b' 200 ' not in s.recv(64))"
)


def duration(seconds: float) -> str:
    """Write seconds as Go shortens them: the engine gives that back, and another text would be a change."""
    milliseconds = round(seconds * 1000)
    if milliseconds % 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def ready_check(port: int = PORT) -> list[str]:
    """Give the command that asks a service at `/ready`, and ends with 0 if it answers 200."""
    return ["python", "-IS", "-c", _ASK.format(port=port, answer=_ANSWER_S)]


def workload(
    image: Text,
    containers: Containers,
    environment: Mapping[str, Text],
    secrets: Mapping[str, docker.Secret],
    labels: Mapping[str, str],
    check_interval: float = _CHECK_INTERVAL_S,
) -> docker.ServiceTaskSpecContainerSpecArgs:
    """Describe a container of ours: no root, nothing to write to but /tmp, secrets as files."""
    return docker.ServiceTaskSpecContainerSpecArgs(
        image=image,
        env={
            **environment,
            "PORT": str(PORT),
            "DRAIN_S": f"{containers.drain:g}",
            "SECRETS_DIR": "/run/secrets",
        },
        labels=[
            docker.ServiceTaskSpecContainerSpecLabelArgs(label=label, value=value)
            for label, value in labels.items()
        ],
        user=_USER,
        read_only=True,
        cap_drops=["ALL"],
        init=True,
        mounts=[_scratch()],
        secrets=[_secret_file(name, secret, _USER) for name, secret in secrets.items()],
        healthcheck=docker.ServiceTaskSpecContainerSpecHealthcheckArgs(
            tests=["CMD", *ready_check()],
            # It ends what hangs for minutes, not what is slow: under load, fewer containers are slower still.
            # Whether one gets requests is for the proxy to say, in moments.
            interval=duration(check_interval),
            timeout=duration(_ANSWER_S + _START_S),
            start_period="1m",
            retries=max(_UNHEALTHY_CHECKS, round(_UNHEALTHY_S / check_interval)),
        ),
        stop_signal="SIGTERM",
        stop_grace_period=duration(containers.drain + _PATIENCE_S),
    )


def balancer(
    image: str, configuration: docker.ServiceConfig, secrets: Mapping[str, docker.Secret]
) -> docker.ServiceTaskSpecContainerSpecArgs:
    """Describe the proxy's container; SIGUSR1 lets HAProxy end what runs (management manual, "Stopping")."""
    return docker.ServiceTaskSpecContainerSpecArgs(
        image=image,
        commands=["haproxy", "-W", "-db", "-f", _CONFIGURATION],
        user=_PROXY_USER,
        read_only=True,
        cap_drops=["ALL"],
        configs=[
            docker.ServiceTaskSpecContainerSpecConfigArgs(
                config_id=configuration.id,
                config_name=configuration.name,
                file_name=_CONFIGURATION,
                file_uid=_PROXY_USER,
                file_gid=_PROXY_USER,
                file_mode=0o444,
            )
        ],
        secrets=[_secret_file(name, secret, _PROXY_USER) for name, secret in secrets.items()] or None,
        stop_signal="SIGUSR1",
        stop_grace_period=duration(proxy.HARD_STOP_S + 10),
    )


def task(
    container: docker.ServiceTaskSpecContainerSpecArgs,
    network: pulumi.Output[str],
    *,
    memory: int = _PROXY_MEMORY,
    cpus: float = 1.0,
) -> docker.ServiceTaskSpecArgs:
    """Put a container on the network, within limits; it is started again whenever it ends."""
    return docker.ServiceTaskSpecArgs(
        container_spec=container,
        # By id: the engine gives the id back, and the name would then be a change.
        networks_advanceds=[docker.ServiceTaskSpecNetworksAdvancedArgs(id=network)],
        resources=docker.ServiceTaskSpecResourcesArgs(
            limits=docker.ServiceTaskSpecResourcesLimitsArgs(memory_bytes=memory, nano_cpus=round(cpus * 1e9))
        ),
        restart_policy=docker.ServiceTaskSpecRestartPolicyArgs(condition="any", delay="1s"),
        log_driver=docker.ServiceTaskSpecLogDriverArgs(
            name="json-file", options={"max-size": "10m", "max-file": "5"}
        ),
    )


def update(order: str, monitor: float = _MONITOR_S) -> docker.ServiceUpdateConfigArgs:
    """One at a time; the first that does not become healthy, or does not stay so, turns the update back.

    Without a pause between two: in it as many run as should, and the provider, which counts those that run of
    any version, would call it done; the app would follow an agent of which some are still the old ones.
    """
    return docker.ServiceUpdateConfigArgs(
        parallelism=1,
        order=order,
        delay="0s",
        monitor=duration(monitor),
        failure_action="rollback",
        max_failure_ratio="0.0",
    )


def rollback(order: str) -> docker.ServiceRollbackConfigArgs:
    """Like an update, only that there is nothing to turn back to."""
    return docker.ServiceRollbackConfigArgs(
        parallelism=1, order=order, delay="0s", monitor="5s", failure_action="pause", max_failure_ratio="0.0"
    )


def endpoint(published: Mapping[int, int]) -> docker.ServiceEndpointSpecArgs:
    """Publish ports of the node (port there → port inside); names resolve to containers, without IPVS.

    Only host mode goes with names that resolve to containers, and it keeps the caller's address.
    """
    return docker.ServiceEndpointSpecArgs(
        mode="dnsrr",
        ports=[
            docker.ServiceEndpointSpecPortArgs(
                protocol="tcp", publish_mode="host", published_port=outside, target_port=inside
            )
            for outside, inside in published.items()
        ]
        or None,
    )


def replicated(replicas: int) -> docker.ServiceModeArgs:
    """Run that many."""
    return docker.ServiceModeArgs(replicated=docker.ServiceModeReplicatedArgs(replicas=replicas))


def converged() -> docker.ServiceConvergeConfigArgs:
    """Wait until all containers are the new ones."""
    return docker.ServiceConvergeConfigArgs(delay="1s", timeout="10m")


def service_labels(labels: Mapping[str, Text]) -> Sequence[docker.ServiceLabelArgs]:
    """Label the service itself, as `docker service ls --filter label=…` finds it."""
    return [docker.ServiceLabelArgs(label=label, value=value) for label, value in labels.items()]


def _scratch() -> docker.ServiceTaskSpecContainerSpecMountArgs:
    return docker.ServiceTaskSpecContainerSpecMountArgs(
        type="tmpfs",
        target="/tmp",  # noqa: S108 - a file system of the container's own, in memory
        tmpfs_options=docker.ServiceTaskSpecContainerSpecMountTmpfsOptionsArgs(
            mode=0o1777, size_bytes=_SCRATCH_BYTES
        ),
    )


def _secret_file(
    name: str, secret: docker.Secret, user: str
) -> docker.ServiceTaskSpecContainerSpecSecretArgs:
    return docker.ServiceTaskSpecContainerSpecSecretArgs(
        secret_id=secret.id,
        secret_name=secret.name,
        file_name=name,
        file_uid=user,
        file_gid=user,
        file_mode=0o400,
    )
