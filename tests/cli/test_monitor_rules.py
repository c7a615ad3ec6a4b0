import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from hilum.cli.main import app
from hilum.domain.errors import ConfigError
from hilum.monitoring.alertmanager import RECEIVERS
from hilum.monitoring.catalogue import CATALOGUE
from hilum.monitoring.runbooks import make_heading


def run(*words: str) -> str:
    done = CliRunner().invoke(app, ["monitor", "rules", *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0
    return done.stdout


def test_rules_writes_what_the_deployment_loads_and_names_each_file(tmp_path: Path):
    printed = run("--out", str(tmp_path)).splitlines()
    assert {str(path) for path in tmp_path.rglob("*") if path.is_file()} == set(printed)
    rules = yaml.safe_load((tmp_path / "prometheus/alerts.yml").read_text())
    named = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    assert {kind.name for kind in CATALOGUE} < named
    first = (tmp_path / "prometheus/alerts.yml").read_text().splitlines()[0]
    assert first.startswith("# Made by `hilum monitor rules`")


def test_rules_tells_whom_a_file_names(tmp_path: Path):
    own = {name: {"webhook_configs": [{"url": f"http://{name}/"}]} for name in RECEIVERS}
    (tmp_path / "receivers.yml").write_text(yaml.safe_dump(own))
    run("--out", str(tmp_path), "--receivers", str(tmp_path / "receivers.yml"))
    config = tmp_path / "alertmanager/alertmanager.yml"
    assert "alerts.invalid" not in config.read_text()
    assert (
        subprocess.run(["amtool", "check-config", config], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a list", "must map each receiver's name"),
        ("team: {", "cannot be read as YAML"),
        ("team: {webhook_configs: []}", "receivers: ciso, on-call, security, team-lead: each of"),
    ],
)
def test_receivers_that_cannot_be_used_are_refused_and_nothing_is_written(
    tmp_path: Path, text: str, said: str
):
    (tmp_path / "receivers.yml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        run("--out", str(tmp_path / "out"), "--receivers", str(tmp_path / "receivers.yml"))
    assert not (tmp_path / "out").exists()


def test_a_file_of_receivers_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"none\.yml cannot be read"):
        run("--out", str(tmp_path / "out"), "--receivers", str(tmp_path / "none.yml"))


def test_rules_brings_the_heads_of_runbooks_up_to_date(tmp_path: Path):
    pages = tmp_path / "runbooks"
    pages.mkdir()
    for kind in CATALOGUE:
        (pages / kind.runbook).write_text(make_heading(kind).replace(kind.title, "old") + "advice\n")
    run("--out", str(tmp_path / "out"), "--runbooks", str(pages))
    for kind in CATALOGUE:
        assert (pages / kind.runbook).read_text() == make_heading(kind) + "advice\n"
