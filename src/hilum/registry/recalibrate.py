"""The same weights with another temperature, as a patch release: everything that rests on it is fitted again.

Prediction sets, referral rules and WHO's cut-off are on calibrated probabilities. With three classes another
temperature changes which of two films has the higher probability of a class, so no cut-off can be carried
over: each is fitted again on validation films at the new temperature, and the bundle is measured with it,
wherever it was measured before. The temperature itself is given, and is never fitted on those films. Promotes
nothing.
"""

from datetime import date
from pathlib import Path

from hilum.domain.errors import ConfigError
from hilum.evaluation.calibration import Temperature
from hilum.evaluation.evaluate import GivenAnswers
from hilum.evaluation.run import run_evaluation
from hilum.explain.attention_summary import summarize_attention
from hilum.registry.bundle import Bundle, read_bundle
from hilum.registry.measured import look_up, read_measured
from hilum.registry.release import write_bundle
from hilum.registry.scorers import load_scorer
from hilum.registry.store import ModelStore
from hilum.registry.versions import propose_version


def release_recalibrated(
    store: ModelStore,
    name: str,
    data: Path | None,
    out: Path,
    *,
    temperature: float,
    films: int,
    by: str,
    today: date,
    private_key: Path | None = None,
) -> Bundle:
    """Release a bundle's weights with another temperature.

    Parameters
    ----------
    name
        Of the bundle, or production.
    data
        The data set it was evaluated on: its validation films give the cut-offs, the splits of the bundle's
        evaluations the figures.
    out
        Folder of the evaluations.
    films
        Labelled answers that the temperature was fitted on.

    Raises
    ------
    ConfigError
        Without data: the cut-offs cannot be carried over.
    CheckpointError, DatasetError, EmptyDataset
        If bundle or data cannot be used.
    """
    if data is None:
        raise ConfigError(
            "a new temperature asks for new cut-offs: with three classes those of the bundle would decide"
            " otherwise on the same films. Give its data set (--data): they are fitted on its validation"
            " films."
        )
    bundle = read_bundle(store.resolve(name))
    given = GivenAnswers(Temperature(temperature, films=films, reason=f"fitted on {films} labelled answers"))
    scorer = load_scorer(bundle)
    folders = []
    for label, evaluation in read_measured(bundle).evaluations.items():
        folders.append(out / f"evaluation-{label}")
        split = str(look_up(evaluation, "provenance", "split"))
        run_evaluation(
            scorer, bundle.name, data, folders[-1], split=split, attention=summarize_attention, given=given
        )
    newest = store.newest()
    facts = {key: bundle.facts[key] for key in ("class_names", "settings", "weights_sha256")}
    made = write_bundle(
        bundle.folder, folders, store.root, version=propose_version(facts, newest.facts if newest else None),
        released=today, private_key=private_key,
    )  # fmt: skip
    store.record_release(made.name, by=by, reason=f"recalibrated: temperature {temperature:.4f}")
    return made
