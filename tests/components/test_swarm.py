"""What the stacks in containers declare, under mocks: no engine is asked anything."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from components._containers import duration, ready_check
from tests.components.fix_mocks import Declared, run_program, stack_config

if TYPE_CHECKING:
    from collections.abc import Mapping

REGISTRY = "registry.example.com/groundwork"
DIGEST = f"registry.example.com/other/app@sha256:{'0' * 64}"
GIVEN = {"ai_api_key": {"value": "CANARY-ai"}}
# How Pulumi marks what is secret on its way to the engine (rpc.py, _special_secret_sig).
SECRET = "4dabf18193072939515e22adb298388d"
CERTIFICATE = "-----BEGIN PRIVATE KEY-----\nCANARY-pem\n-----END PRIVATE KEY-----"


def declare(stack: str = "prod", changes: Mapping[str, Mapping[str, Any]] | None = None) -> Declared:
    """Run a stack file with the values that a user adds, and with some sections changed."""
    config = stack_config(stack)
    config["groundwork:supabase"] = {**config["groundwork:supabase"], "access_token": "sbp_test"}
    config["groundwork:secrets"] = {**config.get("groundwork:secrets", {}), **GIVEN}
    for section, values in (changes or {}).items():
        config[f"groundwork:{section}"] = {**config[f"groundwork:{section}"], **values}
    return run_program(stack, config)


def on_one_engine(**more: object) -> Declared:
    """Run prod on one engine without a registry."""
    return declare(changes={"host": {"kind": "docker", "docker": {}, **more}})


@pytest.fixture(scope="module")
def prod() -> Declared:
    """Give what prod declares."""
    return declare()


def container(found: Declared, service: str) -> dict[str, Any]:
    """Give how the containers of a service run."""
    return dict(found.of("Service")[service]["taskSpec"]["containerSpec"])


def configuration(found: Declared) -> str:
    """Give the proxy's configuration."""
    return base64.b64decode(found.of("ServiceConfig")["host-balancer-configuration"]["data"]).decode()


@pytest.mark.parametrize("service", ["app", "agent", "proxy"])
def test_a_container_can_do_little(prod: Declared, service: str) -> None:
    """No root, no capability, nothing to write to, and an end to what it may use."""
    runs = container(prod, service)
    limits = prod.of("Service")[service]["taskSpec"]["resources"]["limits"]

    assert int(runs["user"]) > 0
    assert runs["readOnly"] is True
    assert runs["capDrops"] == ["ALL"]
    assert limits["memoryBytes"] >= 256 << 20
    assert limits["nanoCpus"] == 1e9


@pytest.mark.parametrize("service", ["app", "agent"])
def test_a_release_starts_the_new_before_it_ends_the_old(prod: Declared, service: str) -> None:
    """One after the other, turned back by the first that fails, with time to end what runs."""
    inputs = prod.of("Service")[service]
    runs = container(prod, service)

    assert inputs["updateConfig"]["order"] == inputs["rollbackConfig"]["order"] == "start-first"
    assert inputs["updateConfig"]["failureAction"] == "rollback"
    assert inputs["updateConfig"]["parallelism"] == 1
    # In a pause the provider would see as many as it wants, and take some of the old ones for the new.
    assert inputs["updateConfig"]["delay"] == "0s"
    assert inputs["mode"]["replicated"]["replicas"] == 3
    assert runs["healthcheck"]["tests"][0] == "CMD"
    assert "/ready" in runs["healthcheck"]["tests"][-1]


def test_a_container_that_ends_serves_on_for_a_while(prod: Declared) -> None:
    """The engine waits longer than drain and running requests take."""
    assert container(prod, "app")["env"]["DRAIN_S"] == "5"
    assert container(prod, "app")["stopGracePeriod"] == "50s"
    assert container(prod, "agent")["env"]["DRAIN_S"] == "30"
    assert container(prod, "agent")["stopGracePeriod"] == "1m15s"


def test_only_the_proxy_is_reached_from_outside(prod: Declared) -> None:
    """Its ports are the node's; names resolve to containers, so that no kernel module is needed."""
    services = prod.of("Service")
    ports = services["proxy"]["endpointSpec"]["ports"]

    assert {services[name]["endpointSpec"]["mode"] for name in services} == {"dnsrr"}
    assert [name for name in services if services[name]["endpointSpec"].get("ports")] == ["proxy"]
    assert [(one["publishedPort"], one["targetPort"]) for one in ports] == [(8080, 8000), (8081, 8001)]
    assert {one["publishMode"] for one in ports} == {"host"}


def test_the_app_reaches_the_agent_through_the_proxy(prod: Declared) -> None:
    """No replica is addressed by itself."""
    assert container(prod, "app")["env"]["AGENT_URL"] == "http://groundwork-prod-proxy:8001"
    assert "server-template agent 32 tasks.groundwork-prod-agent:8000" in configuration(prod)


def test_secrets_are_files_and_nothing_else(prod: Declared) -> None:
    """Only the service's user reads them; no environment, label or name holds a value."""
    files = {one["fileName"]: one for one in container(prod, "agent")["secrets"]}
    services = json.dumps(prod.of("Service"))

    assert set(files) == {"database_url", "agent_shared_secret", "ai_api_key"}
    assert {(one["fileUid"], one["fileMode"]) for one in files.values()} == {("10001", 0o400)}
    assert files["ai_api_key"]["secretName"] == prod.of("Secret")["agent-ai_api_key"]["name"]
    assert "CANARY" not in services
    assert "postgresql://" not in services


def test_what_is_stored_is_named_by_content(prod: Declared) -> None:
    """Names come from digests, which are secret themselves: a value that can be guessed stays hidden."""
    names = prod.of("ContentNames")
    told = names["agent-names"]["contents"]

    assert {names[one]["prefix"] for one in names} == {
        "groundwork-prod-app",
        "groundwork-prod-agent",
        "groundwork-prod-proxy",
    }
    assert SECRET in told
    assert set(told["value"]) == {"database_url", "agent_shared_secret", "ai_api_key"}
    assert "CANARY" not in json.dumps(told)


def test_an_image_says_what_it_is_built_of(prod: Declared) -> None:
    """Its tag is the version of the code, and it is pushed to where the nodes pull it by digest."""
    image = prod.of("Image")["app-image"]
    built = image["build"]["args"]

    assert image["imageName"] == f"{REGISTRY}/groundwork-prod-app:{built['VERSION']}"
    assert set(built) == {"VERSION", "COMMIT"}
    assert image["build"]["platform"] == "linux/amd64"
    assert image["skipPush"] is False
    # Not of the repository that the provider happens to name.
    assert container(prod, "app")["image"] == f"{REGISTRY}/groundwork-prod-app@sha256:1"
    assert {one["label"] for one in container(prod, "app")["labels"]} == {
        "org.opencontainers.image.version",
        "org.opencontainers.image.revision",
    }


def test_a_service_says_which_release_it_is_and_the_gate_knows_it(prod: Declared) -> None:
    """The gate finds by its label what passed; a label of the containers would start them anew."""
    [gate] = prod.of("HealthGate").values()
    labels = {one["label"]: one["value"] for one in prod.of("Service")["app"]["labels"]}

    assert labels["groundwork.release"] == gate["app_release"]
    assert "groundwork.release" not in str(container(prod, "app"))


@pytest.mark.parametrize(
    "changes",
    [{"app": {"memory": "1GiB"}}, {"app": {"replicas": 5}}, {"host": {"docker": {"base_image": DIGEST}}}],
)
def test_how_containers_run_is_part_of_a_release(changes: dict[str, Any]) -> None:
    """A limit that is too low, or another base, breaks a service as well as new code does."""
    one_engine = {"kind": "docker", "docker": {}}
    host = {"host": {**one_engine, **changes.get("host", {})}}
    [before] = on_one_engine().of("HealthGate").values()
    [after] = declare(changes={**changes, **host}).of("HealthGate").values()

    assert before["app_release"] != after["app_release"]


def test_an_image_by_its_digest_is_not_built() -> None:
    """What somebody else has built runs as it is; the other service is still built here."""
    found = declare(changes={"app": {"image": DIGEST, "memory": "1GiB", "cpus": 0.5, "replicas": 4}})
    limits = found.of("Service")["app"]["taskSpec"]["resources"]["limits"]

    assert set(found.of("Image")) == {"agent-image"}
    assert container(found, "app")["image"] == DIGEST
    assert (limits["memoryBytes"], limits["nanoCpus"]) == (1 << 30, 5e8)
    assert found.of("Service")["app"]["mode"]["replicated"]["replicas"] == 4


def test_one_engine_needs_no_registry() -> None:
    """There the image stays where it is built, on the base that the stack names."""
    found = on_one_engine(docker={"base_image": "python:3.12-slim-bookworm@sha256:1"})
    image = found.of("Image")["app-image"]

    assert image["imageName"].startswith("groundwork-prod-app:")
    assert image["skipPush"] is True
    assert "platform" not in image["build"]
    assert image["build"]["args"]["BASE"] == "python:3.12-slim-bookworm@sha256:1"
    assert found.of("docker")["host-engine"]["host"] == "unix:///var/run/docker.sock"


def test_tls_ends_at_the_proxy_where_there_is_a_certificate() -> None:
    """It is a secret's file; the app still reaches the agent inside, without TLS."""
    found = on_one_engine(proxy={"certificate": CERTIFICATE, "redirect_port": 80})
    ports = found.of("Service")["proxy"]["endpointSpec"]["ports"]

    assert {one["publishedPort"]: one["targetPort"] for one in ports} == {80: 8080, 8080: 8443, 8081: 8444}
    assert "bind :8443 ssl crt /run/secrets/certificate.pem" in configuration(found)
    assert "redirect prefix https://app.example.com code 308" in configuration(found)
    assert container(found, "proxy")["secrets"][0]["fileName"] == "certificate.pem"
    assert container(found, "app")["env"]["AGENT_URL"] == "http://groundwork-prod-proxy:8001"
    assert "CANARY" not in configuration(found) + json.dumps(found.of("Service"))


def test_a_login_of_the_registry_is_used_both_ways() -> None:
    """Who pushes is who pulls on the nodes; the password is secret in both places."""
    login = {"registry": REGISTRY, "registry_username": "ci", "registry_password": "CANARY-pw"}
    found = declare(changes={"host": {"kind": "swarm", "docker": login}})
    pushes = found.of("Image")["app-image"]["registry"]
    pulls = json.dumps(found.of("docker")["host-engine"]["registryAuth"])

    assert SECRET in pushes
    assert pushes["value"]["server"] == "registry.example.com"
    assert SECRET in pulls
    assert "registry.example.com" in pulls


def test_another_login_changes_the_service_and_no_container() -> None:
    """A Swarm pulls with what came with a service's last change; the label says nothing of the login."""
    first, second = (_with_password(f"CANARY-{one}") for one in ("a", "b"))
    labels = [{one["label"]: one["value"] for one in service["labels"]} for service in (first, second)]
    logins = [one.pop("groundwork.login") for one in labels]

    assert logins[0] != logins[1]
    assert labels[0] == labels[1]
    assert first["taskSpec"] == second["taskSpec"]
    assert "CANARY" not in json.dumps(first)


def _with_password(password: str) -> Mapping[str, Any]:
    login = {"registry": REGISTRY, "registry_username": "ci", "registry_password": password}
    return dict(declare(changes={"host": {"kind": "swarm", "docker": login}}).of("Service")["app"])


def test_nodes_get_the_login_of_who_updates(prod: Declared) -> None:
    """Without one in the settings the provider takes what `docker login` wrote; nodes' own does not count."""
    logins = json.loads(prod.of("docker")["host-engine"]["registryAuth"])

    assert logins == [{"address": "registry.example.com"}]
    assert "registry" not in prod.of("Image")["app-image"]


def test_images_that_stay_need_no_login() -> None:
    """One engine pulls nothing."""
    assert "registryAuth" not in on_one_engine().of("docker")["host-engine"]


def test_the_network_is_joined_by_its_id() -> None:
    """The engine tells the id, so that looking again finds no change."""
    found = on_one_engine(docker={"network": "inner"})

    assert found.of("Network") == {"host-network": {"name": "inner", "driver": "overlay", "attachable": True}}
    assert found.of("Service")["app"]["taskSpec"]["networksAdvanceds"] == [{"id": "host-network-id"}]


def test_an_encrypted_network_is_another_one() -> None:
    """No network can become encrypted: a new one takes the place of the old one, under a name of its own."""
    found = on_one_engine(docker={"encrypt_network": True}).of("Network")

    assert set(found) == {"host-encrypted-network"}
    assert found["host-encrypted-network"]["name"] == "groundwork-prod-encrypted"
    assert found["host-encrypted-network"]["options"] == {"encrypted": "true"}


def test_the_app_comes_after_the_proxy_and_the_agent(prod: Declared) -> None:
    """Who takes a service's address finds both there: the service and the proxy, which is the way to it."""
    order = [name for name, (kind, _) in prod.resources.items() if kind.endswith(":Service")]

    assert set(order) == {"proxy", "agent", "app"}
    assert order[-1] == "app"


def test_a_second_run_declares_the_same(prod: Declared) -> None:
    """Nothing depends on the time or on chance."""
    assert declare().resources == prod.resources


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.5, "500ms"), (5, "5s"), (60, "1m"), (75, "1m15s"), (3600, "1h"), (3661, "1h1m1s")],
)
def test_durations_are_written_as_the_engine_writes_them(seconds: float, text: str) -> None:
    """Another spelling of the same would be shown as a change for ever."""
    assert duration(seconds) == text


class _Ready(BaseHTTPRequestHandler):
    """Answers `/ready` with the status that the test wants, and everything else with 500."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(int(self.server.status) if self.path == "/ready" else 500)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(("status", "code"), [(200, 0), (404, 1), (503, 1)])
def test_the_health_check_is_good_for_200_only(status: int, code: int) -> None:
    """The command that containers run asks a real server."""
    with HTTPServer(("127.0.0.1", 0), _Ready) as server:
        server.status = status  # type: ignore[attr-defined]
        answering = threading.Thread(target=server.handle_request)
        answering.start()
        done = subprocess.run([sys.executable, *ready_check(server.server_port)[1:]], check=False)
        answering.join()

    assert done.returncode == code


def test_a_container_is_ended_after_minutes_only(prod: Declared) -> None:
    """What counts is what the check itself waits for, which must be less than the engine gives it."""
    check = prod.of("Service")["app"]["taskSpec"]["containerSpec"]["healthcheck"]
    interval, limit = (int(check[name].removesuffix("s")) for name in ("interval", "timeout"))
    patience = int(check["tests"][-1].partition("), ")[2].partition(")")[0])

    assert patience < limit
    assert check["retries"] * (interval + patience) >= 120
