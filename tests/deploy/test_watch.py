"""What watches hilum in containers and in Kubernetes: it loads rules, tells people, shows the dashboard."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hilum.monitoring.dashboard import DATASOURCE
from hilum.monitoring.deploy_files import make_deploy_files

from .container_files import DEPLOY, DIGEST

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
FOLDER = DEPLOY / "k8s/watch"
OBJECTS: list[dict[str, Any]] = [
    each for path in FOLDER.glob("*.yaml") for each in yaml.safe_load_all(path.read_text()) if each
]
NAMES = ("prometheus", "alertmanager", "grafana")


def find(kind: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in OBJECTS if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = find("Deployment", name)["spec"]["template"]["spec"]
    return spec


def mounts(name: str) -> dict[str, str]:
    """Return the path in a container of compose to the file of the repository that lies there."""
    pairs = [one.split(":") for one in SERVICES[name]["volumes"]]
    return {there: here for here, there, *_ in pairs if here.startswith("./")}


@pytest.mark.parametrize("path", make_deploy_files())
def test_what_the_catalogue_makes_is_what_is_deployed(path: str):
    assert (DEPLOY / path).read_text() == make_deploy_files()[path], "run hilum monitor rules --out deploy"


def test_prometheus_of_compose_finds_its_rules_beside_its_settings():
    found = mounts("prometheus")
    settings = yaml.safe_load((DEPLOY / found["/etc/prometheus/prometheus.yml"]).read_text())
    for name in settings["rule_files"]:
        assert (DEPLOY / found[f"/etc/prometheus/{name}"]).exists()


def test_everything_that_is_mounted_exists():
    for name in NAMES:
        for path in mounts(name).values():
            assert (DEPLOY / path).exists(), path


def test_prometheus_tells_the_alertmanager_and_reads_whether_it_delivers():
    settings = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    (one,) = settings["alerting"]["alertmanagers"]
    (told,) = one["static_configs"]
    assert told["targets"] == ["alertmanager:9093"]
    assert {job["job_name"] for job in settings["scrape_configs"]} == {"hilum", "alertmanager"}
    assert set(SERVICES["alertmanager"]["networks"]) == set(SERVICES["prometheus"]["networks"])


def test_grafana_has_the_source_that_the_dashboard_names_and_finds_the_dashboard():
    source = DEPLOY / "grafana/provisioning/datasources/prometheus.yml"
    (given,) = yaml.safe_load(source.read_text())["datasources"]
    assert (given["type"], given["uid"]) == (DATASOURCE["type"], DATASOURCE["uid"])
    assert given["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/hilum.yml").read_text())[
        "providers"
    ]
    (there,) = [path for path in mounts("grafana") if path.endswith(".json")]
    assert str(Path(there).parent) == provider["options"]["path"]
    assert json.loads((DEPLOY / mounts("grafana")[there]).read_text())["uid"] == "hilum"


@pytest.mark.parametrize("name", NAMES)
def test_pods_run_as_nobody_with_a_root_that_is_read_only(name: str):
    spec = pod(name)
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in spec["volumes"]
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_images_are_those_of_compose_by_digest(name: str):
    (container,) = pod(name)["containers"]
    assert container["image"] == SERVICES[name]["image"]
    assert DIGEST.search(container["image"])


@pytest.mark.parametrize("name", NAMES)
def test_every_service_reaches_the_port_of_its_pod(name: str):
    (port,) = find("Service", name)["spec"]["ports"]
    (container,) = pod(name)["containers"]
    assert {one["name"]: one["containerPort"] for one in container["ports"]} == {"http": port["port"]}
    labels = find("Deployment", name)["spec"]["template"]["metadata"]["labels"]
    assert find("Service", name)["spec"]["selector"] == labels


def test_every_config_map_secret_and_claim_is_made_or_named_in_the_steps():
    steps = (FOLDER / "kustomization.yaml").read_text()
    by_hand = set(re.findall(r"create (?:configmap|secret generic) (\w+)", steps))
    made = {
        one["metadata"]["name"] for one in OBJECTS if one["kind"] in {"ConfigMap", "PersistentVolumeClaim"}
    }
    for name in NAMES:
        for volume in pod(name)["volumes"]:
            sources = {
                "configMap": "name",
                "secret": "secretName",
                "persistentVolumeClaim": "claimName",
            }
            for kind, key in sources.items():
                if kind in volume:
                    assert volume[kind][key] in made | by_hand, volume
    for path in re.findall(r"from-file=(deploy/\S+)", steps):
        assert (DEPLOY.parent / path).exists(), path


def test_the_settings_in_the_cluster_are_those_of_compose_but_for_addresses_and_paths():
    here = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    there = yaml.safe_load(find("ConfigMap", "prometheus")["data"]["prometheus.yml"])
    assert there["rule_files"] == ["/etc/rules/alerts.yml"]
    assert (there["global"], there["alerting"]) == (here["global"], here["alerting"])
    jobs = [{job["job_name"]: job.get("scheme") for job in one["scrape_configs"]} for one in (here, there)]
    assert jobs[0] == jobs[1]
    provisioned = find("ConfigMap", "grafana")["data"]
    folder = DEPLOY / "grafana/provisioning"
    assert provisioned["datasource.yml"] == (folder / "datasources/prometheus.yml").read_text()
    assert provisioned["dashboards.yml"] == (folder / "dashboards/hilum.yml").read_text()


def test_the_namespace_may_read_the_metrics_and_is_held_to_the_same_rules():
    labels = find("Namespace", "hilum-watch")["metadata"]["labels"]
    assert labels == {"hilum-client": "true", "pod-security.kubernetes.io/enforce": "restricted"}


def test_the_kustomization_names_every_file():
    named = set(yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"])
    assert named == {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
