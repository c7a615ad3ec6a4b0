import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hilum.serving.settings import ServiceSettings

from .container_files import DEPLOY, DIGEST, all_of, read_stages

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PASSWORD_IN_URL = re.compile(r"//[^/@\s]*:[^/@\s]*@")


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_has_nothing_it_does_not_need(name: str):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service
    assert int(service["user"].split(":")[0]) > 0
    assert any(mount.startswith(("/tmp", "/data")) for mount in service["tmpfs"])


def test_the_services_are_those_of_the_design():
    assert set(SERVICES) == {"hilum", "postgres", "redis", "prometheus", "alertmanager", "grafana"}


def test_foreign_images_are_pinned_by_digest():
    images = [service["image"] for service in SERVICES.values() if "build" not in service]
    assert all(DIGEST.search(image) for image in images), images


def test_secrets_are_files_and_none_stands_in_an_environment():
    assert all(list(secret) == ["file"] for secret in COMPOSE["secrets"].values())
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            assert not PASSWORD_IN_URL.search(value), f"{name} {variable}"
            if re.search("PASS|SECRET|PEPPER|KEY", variable):
                assert value.startswith("/run/secrets/"), f"{name} {variable}"


def test_each_secret_is_given_to_those_who_name_it_and_is_made_by_the_script():
    script = (DEPLOY / "make-secrets").read_text()
    given = {secret for service in SERVICES.values() for secret in service.get("secrets", ())}
    assert given == set(COMPOSE["secrets"])
    assert all(name in script for name in given)
    assert "postgres-password" not in SERVICES["hilum"]["secrets"]
    assert "pepper" not in SERVICES["prometheus"]["secrets"]


def test_only_hilum_and_the_loopback_are_reachable_from_outside():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "hilum": ["8443:8000"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "alertmanager": ["127.0.0.1:9093:9093"],
        "grafana": ["127.0.0.1:3000:3000"],
    }
    assert COMPOSE["networks"]["store"]["internal"] is True
    assert SERVICES["postgres"]["networks"] == SERVICES["redis"]["networks"] == ["store"]


def test_hilum_takes_its_settings_together_with_those_of_the_image(monkeypatch: pytest.MonkeyPatch):
    image = {}
    for one in all_of(read_stages()[-1], "ENV"):
        image.update(re.findall(r"(HILUM_\w+)=(\S+)", one.rest))
    for name, value in {**image, **SERVICES["hilum"]["environment"]}.items():
        monkeypatch.setenv(name, value)
    settings = ServiceSettings()
    assert settings.host == "0.0.0.0"  # noqa: S104
    assert settings.has_tls
    assert settings.workers == 2
    assert settings.database_url == "postgresql://hilum@postgres/hilum"


def test_every_variable_of_hilum_in_every_file_is_a_setting():
    files = [path for path in DEPLOY.rglob("*") if path.is_file() and path.parent.name != "secrets"]
    named = {word for path in files for word in re.findall(r"HILUM_[A-Z_]+", path.read_text())}
    known = {f"HILUM_{name.upper()}" for name in ServiceSettings.model_fields}
    assert named
    assert named <= known, named - known


def test_the_grace_is_longer_than_the_drain():
    drain = ServiceSettings.model_fields["drain_s"].default
    assert float(SERVICES["hilum"]["stop_grace_period"].removesuffix("s")) > drain


def test_prometheus_reads_the_metrics_with_a_key_from_a_file_over_tls():
    settings = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    (job,) = [one for one in settings["scrape_configs"] if one["job_name"] == "hilum"]
    assert job["scheme"] == "https"
    assert "insecure_skip_verify" not in job["tls_config"]
    mounted = {f"/run/secrets/{name}" for name in SERVICES["prometheus"]["secrets"]}
    assert {job["tls_config"]["ca_file"], job["authorization"]["credentials_file"]} == mounted


def test_the_script_makes_secrets_that_no_one_else_may_read_and_never_overwrites(tmp_path: Path):
    script = tmp_path / "make-secrets"
    script.write_text((DEPLOY / "make-secrets").read_text())
    script.chmod(0o700)
    done = subprocess.run([script, "xray.example"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = {path.name: path for path in (tmp_path / "secrets").iterdir()}
    assert set(made) == set(COMPOSE["secrets"])
    assert all(path.stat().st_mode & 0o077 == 0 for path in made.values())
    assert len(made["pepper"].read_bytes()) == len(made["chain-key"].read_bytes()) == 32
    password = made["postgres-password"].read_text()
    assert made["pgpass"].read_text() == f"postgres:5432:hilum:hilum:{password}\n"
    before = made["pepper"].read_bytes()
    assert subprocess.run([script], capture_output=True, check=False).returncode == 1
    assert made["pepper"].read_bytes() == before
