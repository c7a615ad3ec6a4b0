"""What a site gains from its own films: cut-offs without labels by number of films, then 100 labelled ones.

Every figure is of the external site's films that were not used: neither for the statistics nor for the
cut-off. Samples are drawn again and again, so the spread over samples is told, and each sample's figures are
of several hundred films.

    python benchmarks/commissioning.py ../shared/data/cxr [--model FOLDER] [--draws 10]
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from commit import current_commit
from hilum.data.ingest import open_dataset
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import WHO_TRIAGE_MIN_SENSITIVITY, WHO_TRIAGE_MIN_SPECIFICITY
from hilum.evaluation.commissioning import triage_cutoff
from hilum.evaluation.discrimination import weighted_auroc
from hilum.evaluation.inputs import ScoredFilms, read_scored_films
from hilum.evaluation.record import to_plain
from hilum.evaluation.site_score import fit_site_score, screening_cutoff
from hilum.evaluation.unseen_site import abnormal_log_odds, measure_adapted_site, measure_site
from hilum.model.scoring import FilmScores, Scorer
from hilum.registry.scorers import load_model

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured" / "commissioning.json"
UNLABELLED = (16, 32, 64, 128, 256)
PREVALENCES = (0.1, 0.25, 0.75)
LABELLED = 100


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--draws", type=int, default=5)
    arguments = parser.parse_args()
    scorer, facts = load_model(arguments.model)
    rows, pixels = open_dataset(arguments.data, scorer.config).select("external")
    sick = (rows["label"] != CLASS_NAMES[0]).to_numpy()
    site, rng, draws = (
        Site(scorer, facts["temperature"], pixels, sick),
        np.random.default_rng(0),
        arguments.draws,
    )
    whole, temperature = scorer.adapt_to(pixels).score(pixels), facts["temperature"]
    record = {
        "model": facts["name"],
        "films": len(rows),
        "sick": int(sick.sum()),
        "as_shipped": to_plain(measure_site(scored(rows, scorer.score(pixels)))),
        "adapted_to_all": to_plain(
            measure_adapted_site(scored(rows, whole), whole.embedding, temperature=temperature)
        ),
        "unlabelled": [
            {"films": count, **without_labels(site, rng, draws, count=count, share_sick=0.5)}
            for count in UNLABELLED
        ],
        "prevalence": [
            {"share_sick": share, **without_labels(site, rng, draws, count=128, share_sick=share)}
            for share in PREVALENCES
        ],
        "labelled": {"films": LABELLED, **with_labels(site, rng, draws)},
        "draws": draws,
        "command": "python benchmarks/commissioning.py DATA",
        "commit": current_commit(),
    }
    MEASURED.write_text(json.dumps(record, indent=1) + "\n")


def scored(rows: pd.DataFrame, scores: FilmScores) -> ScoredFilms:
    """Return the site's films with their logits."""
    columns = {f"logit_{name}": scores.logits[:, index] for index, name in enumerate(CLASS_NAMES)}
    return read_scored_films(rows.assign(**columns))


@dataclass(frozen=True)
class Site:
    """The model as shipped, the site's films and which of them are sick."""

    scorer: Scorer
    temperature: float
    pixels: np.ndarray
    sick: np.ndarray

    def score_after(self, chosen: np.ndarray) -> np.ndarray:
        """Return the log odds of all films by what `hilum commission` makes of the chosen ones, bool (N,)."""
        scores = self.scorer.adapt_to(self.pixels[chosen]).score(self.pixels)
        log_odds = abnormal_log_odds(scores.logits[chosen])
        return fit_site_score(scores.embedding[chosen], log_odds).score(scores.embedding)


def without_labels(
    site: Site, rng: np.random.Generator, draws: int, *, count: int, share_sick: float
) -> dict[str, object]:
    """Adapt to some films, cut at the screening cut-off, and measure on the site's other films."""
    figures = []
    for _ in range(draws):
        chosen = draw(site.sick, rng, count, share_sick)
        scores = site.score_after(chosen)
        figures.append(rates(scores[~chosen], site.sick[~chosen], screening_cutoff(site.temperature)))
    return spread(figures)


def with_labels(site: Site, rng: np.random.Generator, draws: int) -> dict[str, object]:
    """Adapt to 100 labelled films, choose the cut-off on them, and measure on the site's other films."""
    figures, reached = [], 0
    for _ in range(draws):
        chosen = draw(site.sick, rng, LABELLED, 0.5)
        scores = site.score_after(chosen)
        cutoff = triage_cutoff(scores[chosen], site.sick[chosen])
        found = rates(scores[~chosen], site.sick[~chosen], cutoff)
        reached += (
            found["sensitivity"] >= WHO_TRIAGE_MIN_SENSITIVITY
            and found["specificity"] >= WHO_TRIAGE_MIN_SPECIFICITY
        )
        figures.append(found)
    return {**spread(figures), "draws_that_reach_who": reached}


def draw(sick: np.ndarray, rng: np.random.Generator, count: int, share_sick: float) -> np.ndarray:
    """Return which films are drawn, bool (N,)."""
    ill = round(count * share_sick)
    chosen = np.zeros(len(sick), bool)
    chosen[rng.choice(np.flatnonzero(sick), ill, replace=False)] = True
    chosen[rng.choice(np.flatnonzero(~sick), count - ill, replace=False)] = True
    return chosen


def rates(scores: np.ndarray, sick: np.ndarray, cutoff: float) -> dict[str, float]:
    """Return AUROC, sensitivity and specificity."""
    called = scores >= cutoff
    return {
        "auroc": float(weighted_auroc(scores, sick, np.ones((1, len(sick))))[0]),
        "sensitivity": float(called[sick].mean()),
        "specificity": float((~called[~sick]).mean()),
    }


def spread(figures: list[dict[str, float]]) -> dict[str, object]:
    """Return the mean, lowest and highest of each figure over the draws."""
    table = pd.DataFrame(figures)
    return {
        name: {
            "mean": float(table[name].mean()),
            "lowest": float(table[name].min()),
            "highest": float(table[name].max()),
        }
        for name in table
    }


if __name__ == "__main__":
    main()
