import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from hilum.cli.main import app
from hilum.domain.errors import ConfigError
from hilum.monitoring.catalogue import CATALOGUE, AlertKind, find_alert
from hilum.monitoring.runbooks import make_heading, read_advice, write_headings

RUNBOOKS = Path(__file__).parents[2] / "docs/runbooks"
PARTS = [
    "In plain words",
    "How urgent",
    "Look first",
    "Likely causes, in order",
    "What to do",
    "When it ends",
]
COMMAND = re.compile(r"`hilum ((?:[a-z-]+)[^`]*)`")
LEAST_WORDS = 120


def pages() -> dict[str, str]:
    return {path.stem: path.read_text() for path in RUNBOOKS.glob("*.md")}


def test_every_alert_has_a_page_and_every_page_an_alert():
    assert set(pages()) == {kind.name for kind in CATALOGUE} | {"README"}


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.name)
def test_the_head_of_a_page_says_what_the_catalogue_says(kind: AlertKind):
    text = pages()[kind.name]
    advice = read_advice(text, name=kind.name)
    assert text == make_heading(kind) + advice, "run hilum monitor rules --runbooks docs/runbooks"


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.name)
def test_a_page_says_what_it_means_where_to_look_what_to_do_and_when_it_ends(kind: AlertKind):
    advice = read_advice(pages()[kind.name], name=kind.name)
    assert re.findall(r"^## (.+)$", advice, re.MULTILINE) == PARTS
    parts = dict(zip(PARTS, re.split(r"^## .+$", advice, flags=re.MULTILINE)[1:], strict=True))
    assert all(text.strip() for text in parts.values())
    for ordered in ("Look first", "Likely causes, in order"):
        assert re.search(r"^1\. .*^2\. ", parts[ordered], re.MULTILINE | re.DOTALL), ordered
    assert len(advice.split()) > LEAST_WORDS


def test_no_two_pages_give_the_same_advice():
    said: dict[str, str] = {}
    for name, text in pages().items():
        for line in text.splitlines():
            if len(line.split()) > 20 and line.startswith(("-", "1", "2", "3", "4", "5", "6")):
                assert said.setdefault(line, name) == name, line


def commands() -> list[tuple[str, str]]:
    return sorted({(name, found) for name, text in pages().items() for found in COMMAND.findall(text)})


@pytest.mark.parametrize(("page", "words"), commands(), ids=lambda value: value.replace(" ", "-")[:40])
def test_every_command_that_a_page_names_exists_with_its_options(page: str, words: str):
    command: Any = typer.main.get_command(app)
    rest = shlex.split(words)
    while hasattr(command, "commands") and rest:
        assert rest[0] in command.commands, f"{page}: hilum {words}"
        command = command.commands[rest.pop(0)]
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= options, f"{page}: hilum {words}"


def test_the_search_for_commands_finds_them():
    found = {words.split()[0] for _, words in commands()}
    assert {"monitor", "rollback", "commission", "audit-log", "keys", "verify", "retrain"} <= found


def test_every_page_and_document_that_is_linked_exists():
    for name, text in pages().items():
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert (RUNBOOKS / target).exists(), f"{name}: {target}"
        for target in re.findall(r"docs/[\w/-]+\.md", text):
            assert (RUNBOOKS.parents[1] / target).exists(), f"{name}: {target}"


def test_every_series_and_setting_that_a_page_names_exists():
    from hilum.serving.metrics import Metrics
    from hilum.serving.settings import ServiceSettings

    exposed = Metrics().expose().decode()
    settings = {f"HILUM_{name.upper()}" for name in ServiceSettings.model_fields}
    for name, text in pages().items():
        for series in set(re.findall(r"\bhilum_[a-z_]+\b", text)):
            family = series.removesuffix("_total").removesuffix("_bucket")
            assert f"# TYPE {family}" in exposed, f"{name}: {series}"
        assert set(re.findall(r"HILUM_[A-Z_]*[A-Z]", text)) <= settings, name


def test_the_incidents_of_the_report_have_a_page():
    rows = pages()["README"].split("## The incidents")[1].split("## All pages")[0]
    for incident in ("Model failure", "Data breach", "Misdiagnosis report", "Performance degradation"):
        (row,) = re.findall(rf"^\| {incident} \| (.*) \|$", rows, re.MULTILINE)
        for name in re.findall(r"\[(\w+)\]", row):
            assert incident.lower() in pages()[name].lower() or name in {
                "HilumNotReady", "HilumDown", "HilumFailedLogins", "HilumShedding"
            }  # fmt: skip


def test_the_list_of_pages_has_the_severity_of_each():
    rows = re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (\w+) \| (.*) \|$", pages()["README"], re.MULTILINE)
    assert rows == [(kind.name, str(kind.severity), kind.title) for kind in CATALOGUE]


def test_heads_are_brought_up_to_date_and_what_a_person_wrote_stays(tmp_path: Path):
    for kind in CATALOGUE:
        (tmp_path / kind.runbook).write_text(make_heading(kind) + "\nadvice\n")
    page = tmp_path / "HilumSlow.md"
    page.write_text(page.read_text().replace("0.5", "0.7"))
    assert write_headings(tmp_path) == [page]
    assert page.read_text() == make_heading(find_alert("HilumSlow")) + "\nadvice\n"
    assert write_headings(tmp_path) == []


def test_a_page_that_is_missing_or_has_lost_its_mark_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"no page for HilumAccuracyDrop\.md, "):
        write_headings(tmp_path)
    for kind in CATALOGUE:
        (tmp_path / kind.runbook).write_text(make_heading(kind))
    (tmp_path / "HilumSlow.md").write_text("# HilumSlow\n\nby hand\n")
    with pytest.raises(ConfigError, match=r"HilumSlow\.md: the line .* is missing"):
        write_headings(tmp_path)


def test_the_head_says_who_is_next():
    assert "| if nobody takes it | the team lead after 15m |" in make_heading(find_alert("HilumSlow"))
    security = make_heading(find_alert("HilumLockdown"))
    assert "| if nobody takes it | the team lead after 15m; the CISO after 1h |" in security
    assert "it stays with the team" in make_heading(find_alert("HilumInputDrift"))
