from typing import Any

import pytest
import yaml

from .container_files import DEPLOY

FILES = {path.name: path for path in (DEPLOY / "k8s").glob("*.yaml")}
OBJECTS: list[dict[str, Any]] = [
    each for path in FILES.values() for each in yaml.safe_load_all(path.read_text()) if each
]
UNTOUCHABLE = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def only(kind: str) -> dict[str, Any]:
    (found,) = [each for each in OBJECTS if each["kind"] == kind]
    return found


def pods() -> dict[str, dict[str, Any]]:
    return {
        "Deployment": only("Deployment")["spec"]["template"]["spec"],
        "CronJob": only("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"],
        "Pod": only("Pod")["spec"],
    }


@pytest.mark.parametrize("kind", ["Deployment", "CronJob", "Pod"])
def test_pods_run_as_nobody_with_nothing_to_write_to_but_their_volumes(kind: str):
    pod = pods()[kind]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == UNTOUCHABLE
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    for mount in container["volumeMounts"]:
        if "secret" in volumes[mount["name"]]:
            assert mount["readOnly"] is True
            assert volumes[mount["name"]]["secret"]["defaultMode"] & 0o007 == 0, "hilum refuses such a key"


def test_the_probes_ask_what_they_are_meant_to():
    (container,) = pods()["Deployment"]["containers"]
    paths = {name: probe["httpGet"]["path"] for name, probe in container.items() if name.endswith("Probe")}
    assert paths == {
        "startupProbe": "/health/ready",
        "livenessProbe": "/health/live",
        "readinessProbe": "/health/ready",
    }
    assert {container[name]["httpGet"]["scheme"] for name in paths} == {"HTTPS"}


def test_the_pod_is_given_time_to_drain():
    from hilum.serving.settings import ServiceSettings

    pod = pods()["Deployment"]
    notice = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}["HILUM_DRAIN_NOTICE_S"]
    drain = ServiceSettings.model_fields["drain_s"].default
    assert pod["terminationGracePeriodSeconds"] > float(notice) + drain


def test_no_secret_is_kept_in_the_repository():
    assert set(only("Secret")["data"].values()) == {""}
    for path in FILES.values():
        assert "BEGIN" not in path.read_text()


def test_secrets_come_as_files_never_by_the_environment():
    for pod in pods().values():
        assert not [one for one in pod["containers"][0].get("env", []) if "valueFrom" in one]
        assert "envFrom" not in pod["containers"][0]


def test_sqlite_has_one_pod_at_a_time_and_retention_runs_beside_it():
    spec = only("Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    (rule,) = pods()["CronJob"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert rule["labelSelector"]["matchLabels"] == spec["template"]["metadata"]["labels"]


def test_retention_runs_daily_and_never_twice_at_once():
    job = only("CronJob")["spec"]
    assert job["concurrencyPolicy"] == "Forbid"
    assert job["schedule"].split(" ")[2:] == ["*", "*", "*"]
    assert pods()["CronJob"]["containers"][0]["command"] == ["hilum", "audit-log", "retention"]


def test_the_network_policy_lets_named_namespaces_in_and_nothing_out():
    spec = only("NetworkPolicy")["spec"]
    assert spec["podSelector"] == {}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["egress"] == []
    (rule,) = spec["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 8000}]
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"hilum-client": "true"}}}]


def test_the_kustomization_names_every_file_that_is_not_applied_by_hand():
    named = set(yaml.safe_load(FILES["kustomization.yaml"].read_text())["resources"])
    assert named == set(FILES) - {"kustomization.yaml", "first-key.yaml", "secret.template.yaml"}
