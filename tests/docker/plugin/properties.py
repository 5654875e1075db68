"""The properties that the stand-in serves, named as the official SDK names them (test_contract.py compares).

Explicit names only: `name` is required everywhere, which the official plugin would else make up.
"""

from __future__ import annotations

from tests.docker.plugin.shapes import Many, One, Texts, record

TEXT, WHOLE, FLAG = One(str), One(int), One(bool)

LABELS = Many(record("label", "value", label=TEXT, value=TEXT))
MOUNT = record(
    "target",
    "type",
    target=TEXT,
    type=TEXT,
    source=TEXT,
    readOnly=FLAG,
    tmpfsOptions=record(mode=WHOLE, sizeBytes=WHOLE),
)
HEALTHCHECK = record("tests", tests=Many(TEXT), interval=TEXT, timeout=TEXT, startPeriod=TEXT, retries=WHOLE)
_FILE = {"fileName": TEXT, "fileUid": TEXT, "fileGid": TEXT, "fileMode": WHOLE}
CONTAINER = record(
    "image",
    image=TEXT,
    commands=Many(TEXT),
    args=Many(TEXT),
    dir=TEXT,
    env=Texts(),
    user=TEXT,
    groups=Many(TEXT),
    hostname=TEXT,
    init=FLAG,
    readOnly=FLAG,
    capAdds=Many(TEXT),
    capDrops=Many(TEXT),
    sysctl=Texts(),
    labels=LABELS,
    hosts=Many(record("host", "ip", host=TEXT, ip=TEXT)),
    mounts=Many(MOUNT),
    secrets=Many(record("fileName", "secretId", secretId=TEXT, secretName=TEXT, **_FILE)),
    configs=Many(record("configId", "fileName", configId=TEXT, configName=TEXT, **_FILE)),
    healthcheck=HEALTHCHECK,
    stopGracePeriod=TEXT,
    stopSignal=TEXT,
)
TASK = record(
    "containerSpec",
    containerSpec=CONTAINER,
    resources=record(
        limits=record(memoryBytes=WHOLE, nanoCpus=WHOLE),
        reservation=record(memoryBytes=WHOLE, nanoCpus=WHOLE),
    ),
    restartPolicy=record(condition=TEXT, delay=TEXT, maxAttempts=WHOLE, window=TEXT),
    placement=record(constraints=Many(TEXT), prefs=Many(TEXT), maxReplicas=WHOLE),
    networksAdvanceds=Many(record(id=TEXT, name=TEXT, aliases=Many(TEXT))),
    logDriver=record("name", name=TEXT, options=Texts()),
    forceUpdate=WHOLE,
)
ROLLOUT = record(
    parallelism=WHOLE, delay=TEXT, failureAction=TEXT, monitor=TEXT, maxFailureRatio=TEXT, order=TEXT
)
SERVICE = record(
    "name",
    "taskSpec",
    name=TEXT,
    labels=LABELS,
    taskSpec=TASK,
    mode=record(replicated=record(replicas=WHOLE)),
    updateConfig=ROLLOUT,
    rollbackConfig=ROLLOUT,
    endpointSpec=record(
        mode=TEXT,
        ports=Many(
            record(
                "targetPort",
                targetPort=WHOLE,
                name=TEXT,
                protocol=TEXT,
                publishMode=TEXT,
                publishedPort=WHOLE,
            )
        ),
    ),
    convergeConfig=record(delay=TEXT, timeout=TEXT),
)
NETWORK = record(
    "name",
    name=TEXT,
    driver=TEXT,
    attachable=FLAG,
    internal=FLAG,
    options=Texts(),
    labels=LABELS,
    ipamConfigs=Many(record(subnet=TEXT, gateway=TEXT, ipRange=TEXT)),
)
SECRET = record("data", "name", name=TEXT, data=TEXT, labels=LABELS)
SERVICE_CONFIG = record("name", name=TEXT, data=TEXT, dataRaw=TEXT, labels=LABELS)
IMAGE = record(
    "build",
    "imageName",
    imageName=TEXT,
    build=record(
        "context",
        context=TEXT,
        dockerfile=TEXT,
        args=Texts(),
        target=TEXT,
        platform=TEXT,
        builderVersion=TEXT,
    ),
    registry=record(server=TEXT, username=TEXT, password=TEXT),
    buildOnPreview=FLAG,
    skipPush=FLAG,
)
PROVIDER = record(host=TEXT, registryAuth=Many(record("address", address=TEXT, username=TEXT, password=TEXT)))
