"""Commands of use: predict."""

import csv
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from hilum.domain.findings import CLASS_NAMES
from hilum.domain.notice import NOTICE
from hilum.domain.scenario import Scenario
from hilum.files import guard_cell, show_name

if TYPE_CHECKING:
    from hilum.inference.predict import Network, Prediction
    from hilum.registry.site_profile import SiteProfile

_STDIN = "-"
Write = Callable[["Prediction", Mapping[str, Any], Path | None], None]


def predict(
    paths: Annotated[list[str], typer.Argument(help="Films, folders, or - for a list of paths on stdin.")],
    model: Annotated[
        list[Path] | None,
        typer.Option(help="Checkpoint or bundle; the shipped model by default. Repeated: an ensemble."),
    ] = None,
    site: Annotated[Path | None, typer.Option(help="Site profile made by hilum commission.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header.")] = False,
    explain: Annotated[Path | None, typer.Option(help="Folder for heatmap overlays.")] = None,
    no_gate: Annotated[
        bool,
        typer.Option("--no-gate", help="Answer for films that the gate or their header refuses; say so."),
    ] = False,
    scenario: Annotated[
        Scenario | None,
        typer.Option(help="Thresholds in force; the site's own, or screening, if not given."),
    ] = None,
) -> None:
    """Classify films; a film that cannot be used is reported with its reason and sets exit code 1."""
    from hilum.explain.map_verdict import judge_map
    from hilum.inference.age_range import AgeRange
    from hilum.inference.answer import AnswerRules
    from hilum.inference.gate import make_gate
    from hilum.inference.predict import find_films, predict_films
    from hilum.progress import progress_bar

    network, side_px, facts, profile = _open_network(model or [], site)
    _introduce(facts, profile)
    write = _write_json if as_json else _make_csv_writer() if as_csv else _write_text
    tally = _Tally()
    films = predict_films(
        find_films(_expand(paths)),
        network,
        side_px=side_px,
        rules=AnswerRules.from_facts(facts, profile, scenario),
        judge_map=partial(judge_map, facts.get("explanations")) if explain else None,
        gate=make_gate(facts, profile),
        overrule_gate=no_gate,
        ages=AgeRange.from_facts(facts, profile),
    )
    with progress_bar("classifying", shown=not sys.stdout.isatty()) as bar:
        for film in films:
            write(film, facts, _save_overlay(film, explain))
            tally.add(film)
            bar.update()
    tally.print()
    if tally.unused:
        raise typer.Exit(1)


class _Tally:
    """What a run of films came to, for its last lines on stderr."""

    def __init__(self) -> None:
        self._named: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._films = self._referred = 0
        self._since = time.perf_counter()

    @property
    def unused(self) -> int:
        """Films without an answer."""
        return self._reasons.total()

    def add(self, film: "Prediction") -> None:
        """Count a film."""
        self._films += 1
        if film.answer is None:
            self._reasons[film.refusal.code if film.refusal else film.reason.partition(":")[0]] += 1
            return
        self._named.update(film.answer.called or (film.answer.headline,))
        self._referred += bool(film.answer.referral)

    def print(self) -> None:
        """Print the summary of several films, and how many could not be used."""
        if self._films > 1:
            parts = [f"{name} {count}" for name, count in self._named.most_common()]
            parts.append(f"to a reader {self._referred}")
            if self._reasons:
                codes = ", ".join(f"{code} {count}" for code, count in self._reasons.most_common())
                parts.append(f"not classified {self.unused} ({codes})")
            seconds = time.perf_counter() - self._since
            print(f"hilum: {self._films} films in {seconds:.1f} s: {'; '.join(parts)}", file=sys.stderr)
        if self.unused:
            print(f"hilum: {self.unused} film(s) could not be used, see their reason", file=sys.stderr)


def _open_network(
    models: list[Path], site: Path | None
) -> "tuple[Network, int, Mapping[str, Any], SiteProfile | None]":
    """Open the graph of a bundle, as the service does; a checkpoint and an ensemble need torch."""
    from hilum.inference.graphs import GraphNetwork, read_graph
    from hilum.registry.bundle import find_released

    if len(models) > 1:
        return *_open_ensemble(models, site), None
    model = models[0] if models else find_released()
    if model.is_dir():
        served = read_graph(model, site)
        network = GraphNetwork(served)
        return network.score, network.side_px, served.facts, served.site
    from hilum.registry.scorers import load_model
    from hilum.registry.site_profile import read_site_profile

    scorer, facts = load_model(model)
    profile = read_site_profile(site, weights_sha256=scorer.weights_sha256) if site else None
    scorer = scorer.with_statistics(profile.statistics) if profile else scorer
    return scorer.score, scorer.side_px, facts, profile


def _open_ensemble(models: list[Path], site: Path | None) -> "tuple[Network, int, Mapping[str, Any]]":
    from hilum.domain.errors import ConfigError
    from hilum.registry.scorers import load_models

    if site is not None:
        raise ConfigError("--site: a site profile belongs to one model and not to an ensemble; leave it out.")
    scorer, facts = load_models(models)
    return scorer.score, scorer.side_px, facts


def _introduce(facts: Mapping[str, Any], profile: "SiteProfile | None") -> None:
    """Say on stderr what answers, and what is known against it."""
    lines = []
    if not facts["is_calibrated"]:
        kind = "an ensemble" if "members" in facts["provenance"] else "a bare checkpoint"
        lines.append(f"{facts['name']} is {kind}: its probabilities are not calibrated")
    lines.append(f"{facts['name']}. {NOTICE}")
    if not facts.get("input_gate"):
        lines.append("this model carries no input gate")
    lines += [f"known to fail, {failure}" for failure in facts.get("known_failures", ())]
    if profile is not None:
        lines.append(f"site {profile.name}: {' or '.join(profile.diseases)} in question")
        lines += [f"not supported at this site: {sentence}" for sentence in profile.facts["unsupported"]]
    for line in lines:
        print(f"hilum: {line}", file=sys.stderr)


def _save_overlay(film: "Prediction", folder: Path | None) -> Path | None:
    if folder is None or film.cam is None or film.probabilities is None:
        return None
    from hilum.explain.overlay import save_overlay

    named = film.answer.called or (film.decision,) if film.answer else ()
    title = ", ".join(f"{name} {film.probabilities[str(name)]:.0%}" for name in named)
    return save_overlay(Path(film.path), film.cam, field=film.field, folder=folder, title=title)


def _expand(arguments: list[str]) -> Iterator[Path]:
    for argument in arguments:
        if argument == _STDIN:
            yield from map(Path, _listed(sys.stdin))
        else:
            yield Path(argument)


def _listed(stdin: TextIO) -> Iterator[str]:
    """Read paths from stdin: by lines or NUL bytes, in UTF-8 or UTF-16, names that are not UTF-8 included."""
    raw = getattr(stdin, "buffer", None)
    if raw is None:
        yield from (line.strip() for line in stdin if line.strip())
        return
    data = raw.read()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16")
    else:
        text = os.fsdecode(data.removeprefix(b"\xef\xbb\xbf"))
    yield from (line.strip() for line in re.split(r"[\0\r\n]+", text) if line.strip())


def _write_text(film: "Prediction", facts: Mapping[str, Any], overlay: Path | None) -> None:
    del facts
    if film.answer is None:
        print(f"{show_name(film.path)}: not classified. {film.reason}")
        return
    answer = film.answer
    scores = ", ".join(f"{name} {value:.1%}" for name, value in answer.probabilities.items())
    heatmap = f" heatmap {overlay}" if overlay else ""
    print(f"{show_name(film.path)}: {answer.headline}, {answer.scenario} ({scores}){heatmap}")
    if film.refusal:
        print(f"  the input gate was overruled. {film.refusal}")
    for reason in answer.referral:
        print(f"  to a reader ({reason.code}): {reason.sentence}")
    for note in answer.notes:
        print(f"  note: {note}")
    if film.map_withheld:
        print(f"  heatmap withheld: {film.map_withheld}")
    for note in film.map_notes:
        print(f"  heatmap: {note}")


def _write_json(film: "Prediction", facts: Mapping[str, Any], overlay: Path | None) -> None:
    answer = film.answer
    record = {
        "path": show_name(film.path),
        "probabilities": film.probabilities,
        "headline": answer.headline if answer else None,
        "called": answer.called if answer else None,
        "scenario": answer.scenario if answer else None,
        "thresholds": answer.thresholds if answer else None,
        "decision": film.decision,
        "scenarios": answer.scenarios if answer else None,
        "prediction_set": answer.prediction_set if answer else None,
        "referral": [asdict(reason) for reason in answer.referral] if answer else None,
        "notes": answer.notes if answer else (),
        "reason": film.reason,
        "refusal": film.refusal.code if film.refusal else None,
        "gate_overruled": film.refusal is not None and answer is not None,
        "overlay": str(overlay) if overlay else None,
        "map_withheld": film.map_withheld,
        "map_notes": film.map_notes,
        "model": facts["name"],
        "temperature": facts["temperature"],
        "is_calibrated": facts["is_calibrated"],
        "notice": NOTICE,
    }
    print(json.dumps(record, allow_nan=False), flush=True)


def _make_csv_writer() -> Write:
    rows = csv.writer(sys.stdout)
    rows.writerow(["path", *CLASS_NAMES, "called", "scenario", "decision", "referral", "refusal", "reason"])

    def write(film: "Prediction", facts: Mapping[str, Any], overlay: Path | None) -> None:
        del facts, overlay
        probabilities = film.probabilities or {}
        scores = [f"{probabilities[name]:.6f}" if name in probabilities else "" for name in CLASS_NAMES]
        answer = film.answer
        codes = " ".join(reason.code for reason in answer.referral) if answer else ""
        called = [answer.headline, answer.scenario] if answer else ["", ""]
        refusal = film.refusal.code if film.refusal else ""
        rows.writerow(
            [
                guard_cell(show_name(film.path)),
                *scores,
                *called,
                film.decision or "",
                codes,
                refusal,
                guard_cell(film.reason),
            ]
        )
        sys.stdout.flush()

    return write


COMMANDS = (predict,)
