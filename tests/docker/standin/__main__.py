"""Two services on a Swarm: `web` in two tasks, exchanged one by one, and `door` on a port of the machine."""

from __future__ import annotations

import base64
import hashlib

import pulumi
import pulumi_docker as docker

config = pulumi.Config()
prefix = config.require("prefix")
token = config.require_secret("token")
greeting = config.get("greeting") or "hello"

engine = docker.Provider("engine", host=config.get("host"))
options = pulumi.ResourceOptions(provider=engine)

network = docker.Network("network", name=f"{prefix}-net", driver="overlay", attachable=True, opts=options)
# The name is the content's: another content is another secret, made before the old one is deleted.
digest = token.apply(lambda text: hashlib.sha256(text.encode()).hexdigest()[:12])
secret = docker.Secret(
    "token",
    name=pulumi.Output.unsecret(pulumi.Output.concat(f"{prefix}-token-", digest)),
    data=token.apply(lambda text: base64.b64encode(text.encode()).decode()),
    opts=options,
)
note = docker.ServiceConfig("note", name=f"{prefix}-note", data_raw="a note\n", opts=options)
image = docker.Image(
    "image",
    image_name=f"{prefix}/answer:1",
    skip_push=True,
    build=docker.DockerBuildArgs(context="image", args={"BASE": config.require("base")}),
    opts=options,
)


def service(
    name: str, replicas: int, order: str, ports: list[docker.ServiceEndpointSpecPortArgs]
) -> docker.Service:
    """Declare one service as the product's hosts do."""
    container = docker.ServiceTaskSpecContainerSpecArgs(
        image=config.get("image") or image.image_name,
        env={"GREETING": greeting},
        user="10001",
        init=True,
        read_only=True,
        cap_drops=["ALL"],
        mounts=[
            docker.ServiceTaskSpecContainerSpecMountArgs(
                target="/tmp",  # noqa: S108 - inside the container
                type="tmpfs",
                tmpfs_options=docker.ServiceTaskSpecContainerSpecMountTmpfsOptionsArgs(
                    size_bytes=2**20, mode=0o1777
                ),
            )
        ],
        secrets=[
            docker.ServiceTaskSpecContainerSpecSecretArgs(
                secret_id=secret.id,
                secret_name=secret.name,
                file_name="token",
                file_uid="10001",
                file_mode=0o400,
            )
        ],
        configs=[
            docker.ServiceTaskSpecContainerSpecConfigArgs(
                config_id=note.id, config_name=note.name, file_name="/srv/note"
            )
        ],
        healthcheck=docker.ServiceTaskSpecContainerSpecHealthcheckArgs(
            tests=["CMD", "python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000')"],
            interval="1s",
            timeout="5s",
            retries=3,
        ),
        stop_grace_period="1s",
    )
    return docker.Service(
        name,
        name=f"{prefix}-{name}",
        labels=[docker.ServiceLabelArgs(label="greeting", value=greeting)],
        task_spec=docker.ServiceTaskSpecArgs(
            container_spec=container,
            resources=docker.ServiceTaskSpecResourcesArgs(
                limits=docker.ServiceTaskSpecResourcesLimitsArgs(memory_bytes=128 * 2**20)
            ),
            restart_policy=docker.ServiceTaskSpecRestartPolicyArgs(condition="any", delay="500ms"),
            networks_advanceds=[docker.ServiceTaskSpecNetworksAdvancedArgs(id=network.id, aliases=[name])],
            log_driver=docker.ServiceTaskSpecLogDriverArgs(name="json-file", options={"max-size": "1m"}),
        ),
        mode=docker.ServiceModeArgs(replicated=docker.ServiceModeReplicatedArgs(replicas=replicas)),
        update_config=docker.ServiceUpdateConfigArgs(
            parallelism=1, order=order, monitor="1s", failure_action="rollback"
        ),
        rollback_config=docker.ServiceRollbackConfigArgs(
            parallelism=1, order=order, monitor="1s", failure_action="pause"
        ),
        endpoint_spec=docker.ServiceEndpointSpecArgs(mode="dnsrr", ports=ports),
        converge_config=docker.ServiceConvergeConfigArgs(delay="0s", timeout=config.get("timeout") or "60s"),
        opts=options,
    )


web = service("web", 2, "start-first", [])
pulumi.export("web", web.id)
pulumi.export("secret", secret.name)
if published := config.get_int("port"):
    # Stopped first: two tasks cannot have one port of the machine.
    port = docker.ServiceEndpointSpecPortArgs(target_port=8000, published_port=published, publish_mode="host")
    service("door", 1, "stop-first", [port])
