"""The robustness test, as a table of contents: corrupt, attack, look elsewhere, look inside groups, write."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum import __version__
from hilum.audit.record import AuditFinding, finding_record
from hilum.domain.notice import NOTICE
from hilum.domain.thresholds import CONFIDENCE_LEVEL, MIN_FILMS_FOR_CLAIM
from hilum.files import to_json, write_atomic
from hilum.model.scoring import Scorer
from hilum.progress import progress_bar
from hilum.robustness.figures import draw_figures
from hilum.robustness.findings import find_weaknesses
from hilum.robustness.model_test import Measures, ModelTest, Plan, Record
from hilum.robustness.page import render_page

SCHEMA_VERSION = 1
RESULT_FILE = "robustness.json"
PAGE_FILE = "robustness.html"


@dataclass(frozen=True, slots=True)
class RobustnessResult:
    """The record as written, what was found in it (worst first), and the folder."""

    record: Record
    findings: tuple[AuditFinding, ...]
    folder: Path


def run_robustness(
    models: Iterable[tuple[Scorer, Mapping[str, Any]]],
    data: Path,
    out: Path,
    *,
    plan: Plan,
    measures: Measures,
) -> RobustnessResult:
    """Test models under corruption, attack, at other sites and inside groups.

    Writes robustness.json, robustness.html and figures/ into `out`. Can be interrupted: scores that are done
    are taken up again.

    Parameters
    ----------
    models
        Scorer and facts (name, temperature) of each; the first is the one that findings are about.

    Raises
    ------
    EmptyDataset, DatasetError
        If the split has no usable film, or an external set cannot be used.
    """
    tests = [ModelTest(scorer, facts, data, out, plan=plan, measures=measures) for scorer, facts in models]
    with progress_bar("scoring", total=sum(map(len, tests))) as bar:

        def advance(count: int) -> None:
            bar.update(count)

        reports = [test.run(advance) for test in tests]
    findings = find_weaknesses(reports[0])
    record = {
        "schema_version": SCHEMA_VERSION,
        "hilum_version": __version__,
        "notice": NOTICE,
        "findings": [finding_record(finding) for finding in findings],
        "method": {
            "split": plan.split,
            "films": len(tests[0].films),
            "films_asked_for": plan.films or "all",
            "confidence_level": CONFIDENCE_LEVEL,
            "min_films_for_claim": MIN_FILMS_FOR_CLAIM,
            "seed": tests[0].seed,
        },
        "models": reports,
    }
    figures = draw_figures(reports, tests[0].films.pixels, seed=tests[0].seed)
    for name, png in figures.items():
        write_atomic(out / "figures" / f"{name}.png", png)
    write_atomic(out / PAGE_FILE, render_page(record, figures))
    write_atomic(out / RESULT_FILE, to_json(record, indent=1) + "\n")
    for test in tests:  # last: until the report is there, the scores are needed
        test.store.remove()
    return RobustnessResult(record, tuple(findings), out)
