import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hilum.cli.main import app
from hilum.domain.errors import ConfigError, InputError, JournalUnavailable
from hilum.registry.bundle import find_released, read_bundle
from hilum.serving.secret_files import load_secrets
from hilum.serving.settings import read_settings
from tests.monitoring import worlds

YESTERDAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data of a service whose gate refused 20 of 60 films yesterday, with the released model."""
    folder = tmp_path / "data"
    folder.mkdir()
    settings = read_settings(data=folder)
    monkeypatch.setattr(worlds, "CHAIN_KEY", load_secrets(settings).chain_key)
    monkeypatch.setattr(worlds, "MODEL", read_bundle(find_released()).name)
    monkeypatch.setattr(worlds, "START", YESTERDAY)
    world = worlds.make_world(folder, url=settings.database_url)
    world.play([worlds.draw_film(world.random, refused=place % 3 == 0) for place in range(60)])
    world.journal.close()
    return folder


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["monitor", *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def test_check_ends_with_one_when_something_is_over(data: Path):
    code, printed = run("check", "--data", str(data), "--json")
    signals = {signal["name"]: signal for signal in json.loads(printed)}
    assert signals["refused"]["state"] == "over"
    assert signals["refused"]["detail"] == {"codes": {"inverted": 20}}
    assert signals["psi:mean_grey"]["state"] == "not-enough"
    assert code == 1


def test_check_says_in_words_what_it_rests_on(data: Path):
    _, printed = run("check", "--data", str(data))
    assert "over        refused " in printed
    assert "not-enough  calls:Normal" in printed
    assert "the mean grey level of films: not enough yet, 40 of 248 films." in printed


def test_report_writes_a_page_and_names_what_is_over(data: Path, tmp_path: Path):
    code, printed = run("report", "--data", str(data), "--out", str(tmp_path / "out"))
    assert code == 0
    assert "over: refused" in printed
    record = json.loads((tmp_path / "out/monitoring.json").read_text())
    assert [alert["name"] for alert in record["alerts"]] == ["HilumFilmsRefused"]
    assert record["reference"] == "531 test films"


def test_a_baseline_of_too_few_films_is_refused(data: Path):
    day = f"{YESTERDAY:%Y-%m-%d}"
    with pytest.raises(InputError, match="hold 40 answers .* 400 are needed"):
        run("baseline", "--since", day, "--until", day, "--by", "ada", "--data", str(data))


def test_where_no_service_ran_nothing_is_made(tmp_path: Path):
    with pytest.raises((ConfigError, JournalUnavailable)):
        run("check", "--data", str(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()
