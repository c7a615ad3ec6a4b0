import re
from pathlib import Path
from typing import Any

import pytest

from hilum.monitoring.catalogue import CATALOGUE, AlertKind, Direction
from hilum.monitoring.dashboard import make_dashboard, measured
from hilum.monitoring.signal import Group
from hilum.serving.metrics import Metrics
from tests.harness.promtool import run_promtool, write_yaml

PANELS: list[dict[str, Any]] = make_dashboard()["panels"]
METRIC = re.compile(r"\b(?:hilum_\w+|ALERTS|up)\b")


def expressions() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel.get("targets", ())]


def test_promtool_can_read_every_expression(tmp_path: Path):
    rules = [{"record": f"panel:{place}", "expr": found} for place, found in enumerate(expressions())]
    path = write_yaml(tmp_path / "panels.yml", {"groups": [{"name": "panels", "rules": rules}]})
    done = run_promtool("check", "rules", str(path))
    assert done.returncode == 0, done.stdout
    assert f"{len(rules)} rules found" in done.stdout


def test_promtool_would_see_an_expression_that_is_wrong(tmp_path: Path):
    rules = [{"record": "panel:0", "expr": "sum by (le) (rate(x[5m])"}]
    path = write_yaml(tmp_path / "panels.yml", {"groups": [{"name": "panels", "rules": rules}]})
    assert run_promtool("check", "rules", str(path)).returncode == 1


def test_every_series_is_one_that_the_service_tells():
    exposed = Metrics().expose().decode()
    families = set(re.findall(r"^# TYPE (\w+) ", exposed, re.MULTILINE)) | {"ALERTS", "up"}
    named = {
        re.sub(r"_bucket$", "", word)
        for expression in expressions()
        for word in METRIC.findall(re.sub(r"\{[^}]*\}", "", expression))
    }
    assert named <= families, named - families
    assert "hilum_signal_value" in named


def test_the_rows_are_the_categories_of_the_report_between_now_and_traffic():
    rows = [panel["title"] for panel in PANELS if panel["type"] == "row"]
    assert rows == [
        "Now", "Drift of films and calls", "Performance", "Calibration", "Operation", "Traffic and latency",
    ]  # fmt: skip
    assert len(rows) == len(Group) + 2


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.name)
def test_every_alert_is_drawn_with_its_threshold(kind: AlertKind):
    (panel,) = [one for one in PANELS if one.get("description", "").startswith(f"{kind.name}, ")]
    defaults = panel["fieldConfig"]["defaults"]
    first, second = defaults["thresholds"]["steps"]
    assert (first["value"], second["value"]) == (None, kind.threshold)
    well = "green" if kind.direction is Direction.ABOVE else "red"
    assert first["color"] == well
    assert defaults["custom"]["thresholdsStyle"]["mode"] == "line+area"
    assert [target["expr"] for target in panel["targets"]] == [measured(kind)]


def test_what_is_drawn_is_what_the_rule_compares():
    by_name = {kind.name: kind for kind in CATALOGUE}
    assert measured(by_name["HilumInputDrift"]) == 'hilum_signal_value{signal=~"psi(:.*)?"}'
    assert measured(by_name["HilumDown"]) == 'up{job="hilum"}'
    assert measured(by_name["HilumMonitorSilent"]) == "time() - hilum_monitor_looked_timestamp_seconds"
    assert measured(by_name["HilumCertificateExpiring"]) == "(hilum_certificate_expiry_seconds != 0)"
    for kind in CATALOGUE:
        if kind.expression:
            assert kind.promql.startswith(measured(kind))


def test_no_panel_lies_on_another_and_each_has_its_number():
    assert [panel["id"] for panel in PANELS] == list(range(1, len(PANELS) + 1))
    taken: dict[tuple[int, int], int] = {}
    for panel in PANELS:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["id"]) == panel["id"]


def test_every_panel_that_asks_has_a_source_a_title_and_a_reference():
    for panel in PANELS:
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["datasource"]["uid"] == "hilum-prometheus"
            references = [target["refId"] for target in panel["targets"]]
            assert len(references) == len(set(references)) > 0
