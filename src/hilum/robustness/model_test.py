"""One model put to the test: its films scored clean, corrupted, attacked and elsewhere, as plain figures.

Measuring is handed in, because figures belong to the evaluation. Scores are kept until the report is written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hilum.data.ingest import open_dataset
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import ATTACK_EPSILONS_GREY
from hilum.model.scoring import Scorer
from hilum.robustness.adversarial import ATTACKS, attack_films
from hilum.robustness.corruptions import CORRUPTIONS, SEVERITIES, corrupt_films
from hilum.robustness.films import FilmSet, find_external, select_films
from hilum.robustness.scores import Logits, ScoreStore

Record = dict[str, Any]
Table = pd.DataFrame
"""Rows with path, label, source, patient_id, age, sex, view and calibrated logit_<class>."""

_GROUP_COLUMNS = ("sex", "age", "view")


@dataclass(frozen=True, slots=True)
class Measures:
    """How figures are made, handed in because measuring belongs to the evaluation; all return plain JSON.

    Parameters
    ----------
    change
        (clean, changed) tables of the same films.
    elsewhere
        (here, there) tables of two sites.
    groups
        A table to one record per group of films.
    """

    change: Callable[[Table, Table], Record]
    elsewhere: Callable[[Table, Table], Record]
    groups: Callable[[Table], list[Record]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tested.

    Parameters
    ----------
    split
        Of the data: the films that are changed.
    films
        Size of a stratified sample of each set; None takes all.
    attacked_films
        Size of the sample that is attacked, out of those films; 0 attacks none.
    external
        Folders or tables with films of other sites.
    """

    split: str = "test"
    films: int | None = None
    attacked_films: int = 96
    external: tuple[Path, ...] = ()


class ModelTest:
    """One model's films and what is to be done with them."""

    def __init__(
        self,
        scorer: Scorer,
        facts: Mapping[str, Any],
        data: Path,
        out: Path,
        *,
        plan: Plan,
        measures: Measures,
    ) -> None:
        self.scorer, self.facts, self.measures = scorer, facts, measures
        self.seed = scorer.config.reproducibility.seed
        dataset = open_dataset(data, scorer.config)
        self.films = select_films(dataset, plan.split).sample(plan.films, seed=self.seed)
        self.attacked = self.films.sample(plan.attacked_films, seed=self.seed)
        self.external = tuple(
            films.sample(plan.films, seed=self.seed)
            for films in find_external(dataset, plan.split, plan.external, scorer.config)
        )
        contents = [films.rows["sha256"].tolist() for films in (self.films, self.attacked, *self.external)]
        strengths = {name: corruption.strengths for name, corruption in CORRUPTIONS.items()}
        self.store = ScoreStore(
            out / "scores", [scorer.weights_sha256, scorer.side_px, self.seed, contents, strengths]
        )
        self._advance: Callable[[int], None] = lambda _: None

    def __len__(self) -> int:
        """Films to be scored."""
        changed = len(self.films) * (1 + len(CORRUPTIONS) * len(SEVERITIES))
        attacked = len(self.attacked) * len(ATTACKS) * len(ATTACK_EPSILONS_GREY)
        return changed + attacked + sum(map(len, self.external))

    def run(self, advance: Callable[[int], None]) -> Record:
        """Return this model's report, telling `advance` how many films were done with."""
        self._advance = advance
        clean = self._table(self.films, self._score("clean", self.films, lambda: self.films.pixels))
        rows = self.films.rows
        return {
            "name": self.facts["name"],
            "weights_sha256": self.scorer.weights_sha256,
            "input_px": self.scorer.side_px,
            "temperature": self.facts["temperature"],
            "clean": self.measures.change(clean, clean)["figures"],
            "corruptions": {name: self._corrupt(name, clean) for name in CORRUPTIONS},
            "attacks": self._attack(clean) if len(self.attacked) else None,
            "external": [self._look_elsewhere(number, clean) for number in range(len(self.external))],
            "groups": self.measures.groups(clean),
            "unknown_columns": [column for column in _GROUP_COLUMNS if rows[column].isna().all()],
        }

    def _corrupt(self, name: str, clean: Table) -> Record:
        levels = []
        for severity in SEVERITIES:

            def change(severity: int = severity) -> NDArray[np.uint8]:
                return corrupt_films(self.films.pixels, name, severity, seed=self.seed)

            changed = self._table(self.films, self._score(f"{name}-{severity}", self.films, change))
            setting = CORRUPTIONS[name].setting(severity)
            levels.append({"severity": severity, "setting": setting, **self.measures.change(clean, changed)})
        return {"title": CORRUPTIONS[name].title, "levels": levels}

    def _attack(self, clean: Table) -> Record:
        before = clean[clean["path"].isin(self.attacked.rows["path"])].reset_index(drop=True)
        labels = np.array([CLASS_NAMES.index(label) for label in self.attacked.rows["label"]], np.int64)
        levels = []
        for name in ATTACKS:
            for epsilon in ATTACK_EPSILONS_GREY:

                def attack(name: str = name, epsilon: float = epsilon) -> Logits:
                    return attack_films(
                        self.scorer,
                        self.attacked.pixels,
                        labels,
                        name,
                        epsilon=epsilon,
                        on_films=self._advance,
                    )[0]

                logits = self._keep(f"{name}-{epsilon}", len(labels), attack)
                changed = self.measures.change(before, self._table(self.attacked, logits))
                levels.append({"attack": name, "epsilon": epsilon, **changed})
        return {
            "films": len(labels),
            "clean": self.measures.change(before, before)["figures"],
            "levels": levels,
        }

    def _look_elsewhere(self, number: int, clean: Table) -> Record:
        films = self.external[number]
        there = self._table(films, self._score(f"external-{number}", films, lambda: films.pixels))
        return {"name": films.name, "seen": films.seen, **self.measures.elsewhere(clean, there)}

    def _score(self, key: str, films: FilmSet, change: Callable[[], NDArray[np.uint8]]) -> Logits:
        return self._keep(key, len(films), lambda: self.scorer.score(change(), on_films=self._advance).logits)

    def _keep(self, key: str, films: int, compute: Callable[[], Logits]) -> Logits:
        if self.store.has(key):
            self._advance(films)
        return self.store.get(key, compute)

    def _table(self, films: FilmSet, logits: Logits) -> Table:
        calibrated = logits / np.float32(self.facts["temperature"])
        columns = {f"logit_{name}": calibrated[:, index] for index, name in enumerate(CLASS_NAMES)}
        return films.rows.assign(**columns)
