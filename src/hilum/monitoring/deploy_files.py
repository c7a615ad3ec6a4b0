"""The files of a deployment that are made from the catalogue, and where they lie.

Knows nothing of what is in them: each comes from the module of its name.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hilum.domain.errors import ConfigError
from hilum.files import write_atomic
from hilum.monitoring.alertmanager import make_alertmanager
from hilum.monitoring.dashboard import make_dashboard
from hilum.monitoring.prometheus_rules import make_rules
from hilum.monitoring.rule_tests import make_rule_tests

RULES = "prometheus/alerts.yml"
TESTS = {"prometheus/alerts_test.yml": 1, "prometheus/alerts_hours_test.yml": 60}
"""Files of promtool's tests, and the minutes between two samples in them."""

ALERTMANAGER = "alertmanager/alertmanager.yml"
DASHBOARD = "grafana/hilum.json"
_WIDTH = 10_000  # one line for an expression, so that it can be searched for


def make_deploy_files(receivers: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return path within the folder of the deployment to text.

    Parameters
    ----------
    receivers
        Of `hilum.monitoring.alertmanager.make_alertmanager`.
    """
    rules_name = Path(RULES).name
    made: dict[str, Any] = {
        RULES: make_rules(),
        **{path: make_rule_tests(rules_name, step_min=step) for path, step in TESTS.items()},
        ALERTMANAGER: make_alertmanager(receivers),
    }
    texts = {path: to_yaml(value) for path, value in made.items()}
    return {**texts, DASHBOARD: json.dumps(make_dashboard(), indent=1, allow_nan=False) + "\n"}


def write_deploy_files(out: Path, receivers: Path | None = None) -> list[Path]:
    """Write every file into a folder and return their paths.

    Parameters
    ----------
    receivers
        YAML file of a receiver's name to its settings.

    Raises
    ------
    ConfigError
        The file of receivers cannot be read, or does not name each of them.
    """
    texts = make_deploy_files(None if receivers is None else _read_receivers(receivers))
    written = []
    for path, text in texts.items():
        file = out / path
        write_atomic(file, text)
        written.append(file)
    return written


def to_yaml(value: Any) -> str:
    """Return a value as YAML that says where it comes from."""
    body = yaml.dump(value, Dumper=_Plain, sort_keys=False, width=_WIDTH, allow_unicode=True)
    return f"# Made by `hilum monitor rules` from hilum.monitoring.catalogue: change that, not this.\n{body}"


class _Plain(yaml.SafeDumper):
    """Writes a value that occurs twice out twice: names of YAML anchors would say nothing."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature of PyYAML
        return True


def _read_receivers(path: Path) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"receivers: {path} cannot be read as YAML ({type(error).__name__})") from None
    if not isinstance(found, Mapping):
        raise ConfigError(f"receivers: {path} must map each receiver's name to its settings")
    return found
