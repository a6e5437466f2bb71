"""Containerfile, compose file and Kubernetes manifests match the program that they run."""

import asyncio
import re
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

from deploy import probe
from redrive.cli.settings import DEFAULT_PORT
from server.settings import _OTHER_NAMES, Settings
from tests.e2e.processes import free_port
from tests.server.api.edge import Edge

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
KNOWN = {f"REDRIVE_{name.upper()}" for name in Settings.model_fields} | _OTHER_NAMES
IMAGE = f"redrive:{tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['version']}"


def documents(path: Path) -> list[dict[str, Any]]:
    return list(YAML(typ="safe").load_all(path))


def manifests() -> Iterator[dict[str, Any]]:
    for path in KUBERNETES.glob("*.yaml"):
        if path.name != "kustomization.yaml":
            yield from documents(path)


def pods() -> Iterator[dict[str, Any]]:
    """Yield the pod specifications of all workloads."""
    for manifest in manifests():
        if manifest["kind"] == "Deployment":
            yield manifest["spec"]["template"]["spec"]
        elif manifest["kind"] == "CronJob":
            yield manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def containers() -> Iterator[dict[str, Any]]:
    for pod in pods():
        yield from (*pod.get("initContainers", ()), *pod["containers"])


def manifest(kind: str) -> dict[str, Any]:
    [found] = [one for one in manifests() if one["kind"] == kind]
    return found


[COMPOSE] = documents(DEPLOY / "compose.yaml")


def locked(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / name).read_text(), flags=re.MULTILINE))


def test_the_image_has_all_dependencies_in_the_tested_versions() -> None:
    image, tested = locked("requirements-server.lock"), locked("requirements.lock")
    asked = [
        Requirement(line)
        for path in (ROOT / "pyproject.toml", ROOT / "clients" / "pyproject.toml")
        for line in tomllib.loads(path.read_text())["project"]["dependencies"]
    ]

    missing = [one.name for one in asked if canonicalize_name(one.name) not in {*image, "redrive"}]

    assert not missing
    assert image.items() <= tested.items()
    assert not {"pytest", "mypy", "nicegui", "ruff"} & image.keys()


def test_the_image_is_built_from_files_that_the_dockerignore_allows() -> None:
    copied = [
        words
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", CONTAINERFILE, re.MULTILINE)
        for words in line.split()
    ]
    seen = {line[1:] for line in (DEPLOY / "Containerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}

    assert set(copied) == seen
    assert all((ROOT / name).exists() for name in copied)


def test_every_variable_in_deploy_files_is_a_setting() -> None:
    named = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in DEPLOY.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
        for name in re.findall(r"\bREDRIVE_[A-Z_]+\b", path.read_text())
    }

    assert named
    assert not [place for place in named if place[1] not in KNOWN]


def test_the_secrets_file_has_settings_that_the_server_reads() -> None:
    [secret, _] = documents(KUBERNETES / "secret.template.yaml")

    given = tomllib.loads(secret["stringData"]["redrive.toml"])

    assert given.keys() <= Settings.model_fields.keys()
    assert given.keys() == {"database_url", "secret_key"}


def test_containers_run_unprivileged_on_a_read_only_root() -> None:
    user = int(re.findall(r"^USER (\d+):(\d+)$", CONTAINERFILE, re.MULTILINE)[-1][0])

    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == user > 0
        assert pod["automountServiceAccountToken"] is False
    for container in containers():
        assert container["image"] == IMAGE
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
    for name in ("migrate", "server-1", "server-2"):
        service = COMPOSE["services"][name]
        assert (service["image"], service["read_only"], service["cap_drop"]) == (IMAGE, True, ["ALL"])


def test_servers_get_more_time_to_stop_than_they_need_to_drain() -> None:
    drain = int(manifest("ConfigMap")["data"]["REDRIVE_DRAIN_SECONDS"])
    grace = manifest("Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]

    assert grace > drain == Settings.model_fields["drain_seconds"].default
    assert COMPOSE["services"]["server-1"]["stop_grace_period"] == f"{grace}s"


def test_the_tables_are_created_before_a_server_starts() -> None:
    [migrate] = manifest("Deployment")["spec"]["template"]["spec"]["initContainers"]

    assert migrate["args"] == ["migrate"] == COMPOSE["services"]["migrate"]["command"]
    for name in ("server-1", "server-2"):
        assert COMPOSE["services"][name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert COMPOSE["services"]["migrate"]["depends_on"]["database"]["condition"] == "service_healthy"


def test_callers_authenticate_and_one_pod_may_be_unavailable() -> None:
    settings = manifest("ConfigMap")["data"]
    labels = manifest("Deployment")["spec"]["selector"]["matchLabels"]

    assert settings["REDRIVE_AUTH"] == COMPOSE["services"]["server-1"]["environment"]["REDRIVE_AUTH"] == "database"
    assert manifest("Deployment")["spec"]["replicas"] > manifest("PodDisruptionBudget")["spec"]["minAvailable"]
    for chosen in (manifest("PodDisruptionBudget"), manifest("NetworkPolicy")):
        assert (chosen["spec"].get("selector") or chosen["spec"]["podSelector"])["matchLabels"] == labels
    assert manifest("Service")["spec"]["selector"] == labels


def test_ports_are_the_same_in_all_files() -> None:
    settings = manifest("ConfigMap")["data"]
    [server] = manifest("Deployment")["spec"]["template"]["spec"]["containers"]
    ports = {one["name"]: one["containerPort"] for one in server["ports"]}
    asked = {server[probe]["grpc"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    allowed = {port["port"] for rule in manifest("NetworkPolicy")["spec"]["ingress"] for port in rule["ports"]}

    assert asked == {ports["grpc"]} == {DEFAULT_PORT}
    assert settings["REDRIVE_LISTEN"].endswith(f":{ports['grpc']}")
    assert settings["REDRIVE_METRICS_LISTEN"].endswith(f":{ports['metrics']}")
    assert (
        allowed
        == set(ports.values())
        == set(map(int, re.findall(r"^EXPOSE (.*)$", CONTAINERFILE, re.MULTILINE)[0].split()))
    )


def test_an_outside_scheduler_calls_the_cli_and_the_timer_can_be_off() -> None:
    [pod] = [pod for pod in pods() if "initContainers" not in pod]
    [job] = pod["containers"]

    assert job["command"] == ["redrive", "retry", "run", "--output", "json"]
    assert Settings(retry_interval="off").retry_interval == "off"
    minutes = int(re.findall(r"\*/(\d+) ", manifest("CronJob")["spec"]["schedule"])[0])
    assert timedelta(minutes=minutes).total_seconds() == int(manifest("ConfigMap")["data"]["REDRIVE_RETRY_INTERVAL"])


async def test_the_probe_distinguishes_a_serving_server_from_a_draining_one(edge: Edge) -> None:
    port = edge.address.rpartition(":")[2]

    assert await asyncio.to_thread(probe.serves, port)
    assert await asyncio.to_thread(probe.listens, port)

    await edge.server.stop(timedelta(0))

    assert not await asyncio.to_thread(probe.serves, port)


@pytest.mark.parametrize("check", [probe.serves, probe.listens])
def test_the_probe_fails_without_a_server(check: Any) -> None:
    assert not check(str(free_port()))
