"""The command; what it plays is tested in tests/monitoring/test_drills.py."""

import pytest
from typer.testing import CliRunner

from hilum.cli.drill import render
from hilum.cli.main import app
from hilum.domain.errors import ConfigError

ROW = {
    "fault": "silence", "title": "No film", "detected": 2, "repeats": 3, "days_to_detection": 2,
    "films_to_detection": 30.5, "first": ["HilumUnusualVolume"], "all": ["HilumUnusualVolume", "HilumSlow"],
    "cause": ["named", "named", "not named"],
}  # fmt: skip
RECORD = {
    "films": "12 films", "films_per_day": 40.0, "repeats": 3,
    "faults": [
        ROW,
        {**ROW, "fault": "burst", "detected": 0, "days_to_detection": None, "films_to_detection": None,
         "first": [], "all": [], "cause": ["not named"]},
        {"fault": "children-only", "title": "", "not_drilled": "these films hold no source kermany"},
    ],
    "fault_free": {
        "years": 2, "alarms": 1, "per_year": 0.5, "low": 0.01, "high": 2.8, "required": 2.0,
        "which": [{"name": "HilumSlow", "sentence": "it was slow"}],
    },
}  # fmt: skip


def test_the_table_tells_what_was_not_detected_and_what_was_not_drilled():
    lines = render(RECORD).splitlines()
    silence, burst, children = (next(line for line in lines if line.startswith(name)) for name in
                                ("silence", "burst", "children-only"))  # fmt: skip
    assert silence.split()[1:4] == ["2/3", "2", "30.5"]
    assert silence.endswith("UnusualVolume, Slow")
    assert burst.split()[1:] == ["NO", "not", "named", "none"]
    assert children == "children-only        not drilled: these films hold no source kermany"
    assert "1 alarms in 2 simulated years, 0.5 a year (95 %: 0.0 to 2.8)" in render(RECORD)
    assert lines[-1] == "  HilumSlow: it was slow"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "name a --fault, or --all"), (["--fault", "flood"], "there is no fault flood")],
)
def test_a_fault_must_be_named_and_known(arguments: list[str], said: str):
    result = CliRunner().invoke(app, ["drill", *arguments])
    assert isinstance(result.exception, ConfigError)
    assert said in str(result.exception)
    assert "scanner-change" in str(result.exception)
