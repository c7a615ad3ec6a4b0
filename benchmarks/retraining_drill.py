"""The retraining drill: drift, trigger, candidate, gates, promotion, rollback, and the decision record.

A model is trained, released and promoted; its films come day after day through the journal; then the scanner
is another one. Monitoring looks once a day; on the eighth day of drift it asks for a decision, `hilum
retrain` answers with a candidate, the gates judge it, it becomes production and is rolled back again. The
films are cloudy squares whose bright half tells the class, the new scanner takes paler ones and the network
is tiny: this exercises the machinery, and says nothing about chests. With --phantoms the films are phantoms,
the new scanner is their second site, and training takes a quarter of an hour of CPU time or more.

    python benchmarks/retraining_drill.py [--folder FOLDER] [--phantoms]

Writes docs/measured/retraining-drill.txt, what is printed; with --phantoms it only prints.
"""

import argparse
import io
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from hilum.cli.main import main as run_program
from hilum.config.load import load_config
from hilum.data.ingest import open_dataset
from hilum.data.phantom.faults import PhantomFaults
from hilum.data.phantom.film import draw_film
from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.embedding_space import pack_coordinates
from hilum.evaluation.reference_profile import ReferenceProfile, read_reference
from hilum.evaluation.run import run_evaluation
from hilum.explain.attention_summary import summarize_attention
from hilum.imaging.film_statistics import describe_film
from hilum.inference.answer import AnswerRules
from hilum.inference.gate import make_gate
from hilum.journal.journal import Journal
from hilum.model.scoring import Scorer
from hilum.monitoring.decision import Decision, describe
from hilum.monitoring.monitor import Look, Monitor
from hilum.monitoring.stream import Day, SteppedClock, Stream, StreamFilm
from hilum.registry.bundle import Bundle
from hilum.registry.release import write_bundle
from hilum.registry.safeguards import run_safeguards
from hilum.registry.store import ModelStore
from hilum.serving.secret_files import load_secrets
from hilum.serving.settings import read_settings
from hilum.training.run import run_training

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured" / "retraining-drill.txt"
DAYS_BEFORE, DAYS_OF_DRIFT = 4, 8
FILMS_A_DAY = 80
BY = "drill"
DOUBTFUL_SHARE = 0.08  # without an error there is no interval to resample
_COMMON = (
    "training.freeze_backbone_epochs=1",
    "scheduler.warmup_epochs=1",
    "scheduler.restart_epochs=2",
    "augmentation.horizontal_flip=false",
    "loss.label_smoothing=0",
    "reproducibility.threads=1",
    "training.mixed_precision=false",  # so that every processor makes the same model
)

Draw = Callable[[int, bool], tuple[np.ndarray, str, str]]
"""(number of a film, whether the new scanner took it) to pixels uint8 (S, S), class and patient."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a drill is made of: films by split, new films, films in use of each scanner, and settings.

    Every so many films in use are labelled; 0 labels none.
    """

    draw: Draw
    old: dict[str, int]
    new: int
    in_use: int
    labelled_every: int
    settings: tuple[str, ...]


def main() -> None:
    """Run the drill, print it and keep what was printed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--phantoms", action="store_true")
    arguments = parser.parse_args()
    plan = PHANTOMS if arguments.phantoms else CLOUDS
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    with tempfile.TemporaryDirectory() as made:
        run_drill(plan, arguments.folder or Path(made), say=say)
    if not arguments.phantoms:
        MEASURED.write_text("\n".join(lines) + "\n")


def draw_cloud(number: int, is_new_scanner: bool) -> tuple[np.ndarray, str, str]:
    """Draw a cloudy film whose bright half tells the class; some normal ones look sick."""
    label = CLASS_NAMES[number % len(CLASS_NAMES)]
    rng = np.random.default_rng(number)
    clouds = cv2.resize(rng.normal(0, 14, (6, 6)), (120, 120), interpolation=cv2.INTER_CUBIC)
    film = 75 + clouds + rng.normal(0, 12, (120, 120))
    seems = "Pneumonia" if label == "Normal" and rng.random() < DOUBTFUL_SHARE else label
    half = {"Pneumonia": slice(60, None), "Tuberculosis": slice(None, 60), "Normal": slice(0, 0)}[seems]
    film[half] += 80
    film = 60 + 0.75 * film if is_new_scanner else film
    return np.clip(film, 0, 255).astype(np.uint8), label, f"p-{number}"


def draw_phantom(number: int, is_new_scanner: bool) -> tuple[np.ndarray, str, str]:
    """Draw a phantom; the new scanner is the phantoms' second site: softer, paler, coarser."""
    faults = PhantomFaults(second_site=1.0 if is_new_scanner else 0.0)
    film = draw_film(number, seed=7, side_px=320, faults=faults)
    return film.pixels, film.row["label"], film.row["patient_id"]


CLOUDS = Plan(
    draw_cloud,
    {"train": 150, "val": 90, "test": 150},
    new=150,
    in_use=120,
    labelled_every=0,
    settings=(
        "model.architecture=test_efficientnet",
        "model.weights=none",
        "preprocessing.image_size=64",
        "training.batch_size=8",
        "training.epochs=6",
        "training.backbone_lr_factor=0.2",
        *_COMMON,
        "data.train_share=0.6",
        "data.val_share=0.1",
        "data.test_share=0.3",
    ),
)
PHANTOMS = Plan(
    draw_phantom,
    {"train": 360, "val": 120, "test": 120},
    new=300,
    in_use=240,
    labelled_every=8,
    settings=(
        "model.architecture=tf_efficientnet_lite0",
        "preprocessing.image_size=160",
        "training.batch_size=16",
        "training.epochs=8",
        "training.backbone_lr_factor=0.5",
        *_COMMON,
    ),
)


def run_drill(plan: Plan, folder: Path, *, say: Say) -> Decision:
    """Run the whole drill in a folder; return the decision at its end."""
    folder.mkdir(parents=True, exist_ok=True)
    last = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    old, new, in_use = draw_films(plan, folder)
    bundle, scorer = make_production(plan, old, folder, today=(last - timedelta(days=30)).date(), say=say)
    kept = {name: list(answer(bundle, scorer, films)) for name, films in in_use.items()}
    say("\n# The model in use")
    look = play(plan, bundle, kept, folder / "service", last=last, say=say)
    assert look.retraining is not None, "the drift asked for no decision"
    shared = ("--registry", folder / "registry", "--journal", folder / "service")
    say("\n# hilum retrain")
    made = ("--data", old, "--new", new, "--out", folder / "retraining", "--by", BY, "--promote")
    say(hilum("retrain", *made, *shared))
    candidate = ModelStore(folder / "registry").production()
    say(f"production: {candidate}")
    say("\n# hilum rollback")
    say(hilum("rollback", "--registry", folder / "registry", "--by", BY, "--reason", "end of the drill"))
    say("\n# hilum retraining list")
    say(hilum("retraining", "list", *shared))
    say("\n# The decision record at the end: hilum retraining show")
    say(hilum("retraining", "show", look.retraining.id, *shared))
    with closing(open_service(folder / "service")) as journal:
        decision = Monitor(journal).retraining.find(look.retraining.id)
    assert describe(decision)
    return decision


def draw_films(plan: Plan, folder: Path) -> tuple[Path, Path, dict[str, pd.DataFrame]]:
    """Write the old data, the new films and those of use; return two data sets and two tables."""
    number = iter(range(10_000_000))
    old = [row for split, count in plan.old.items() for row in _draw(plan, folder, number, count, split)]
    pd.DataFrame(old).to_csv(folder / "old.csv", index=False)
    in_use = {"old scanner": pd.DataFrame(_draw(plan, folder, number, plan.in_use, "use"))}
    number = iter(range(10_000_020, 20_000_000))  # phantoms of one patient lie side by side
    new = pd.DataFrame(_draw(plan, folder, number, plan.new, None, is_new_scanner=True))
    new.drop(columns="split").to_csv(folder / "new.csv", index=False)
    used = _draw(plan, folder, number, plan.in_use, "use", is_new_scanner=True)
    return folder / "old.csv", folder / "new.csv", in_use | {"new scanner": pd.DataFrame(used)}


def _draw(
    plan: Plan,
    folder: Path,
    numbers: Iterator[int],
    count: int,
    split: str | None,
    *,
    is_new_scanner: bool = False,
) -> list[dict[str, object]]:
    (folder / "films").mkdir(exist_ok=True)
    rows = []
    for _, number in zip(range(count), numbers, strict=False):
        pixels, label, patient = plan.draw(number, is_new_scanner)
        path = f"films/film_{number:08d}.png"
        cv2.imwrite(str(folder / path), pixels)
        rows.append({"path": path, "label": label, "split": split, "patient_id": patient})
    return rows


def make_production(plan: Plan, old: Path, folder: Path, *, today: date, say: Say) -> tuple[Bundle, Scorer]:
    """Train, measure, guard, release and promote the first model."""
    trained = run_training(load_config(overrides=plan.settings), old, folder / "first")
    scorer = Scorer.from_checkpoint(trained.folder.best_model)
    evaluation = folder / "first" / "evaluation-test"
    run_evaluation(scorer, "first", old, evaluation, split="test", attention=summarize_attention)
    safeguards = run_safeguards(scorer, old, folder / "first" / "safeguards")
    bundle = write_bundle(
        trained.folder.best_model, [evaluation], folder / "registry", version="1.0.0", released=today,
        safeguards=safeguards,
    )  # fmt: skip
    say("# hilum promote")
    named = ("--registry", folder / "registry", "--by", BY, "--reason", "the first")
    say(hilum("promote", bundle.name, *named))
    return bundle, scorer


def answer(bundle: Bundle, scorer: Scorer, films: pd.DataFrame) -> Iterator[StreamFilm]:
    """Yield what the service would write of each film: its answer, or the input gate's refusal."""
    root = bundle.folder.parents[1]
    table = root / "use.csv"
    films.assign(split="test").to_csv(table, index=False)
    rows, pixels = open_dataset(table, scorer.config).select("test")
    scores, gate = scorer.score(pixels), make_gate(bundle.facts, None)
    reference = reference_of(bundle)
    assert reference.space is not None
    coordinates = reference.space.project(scores.embedding)
    answers = AnswerRules.from_facts(bundle.facts).answer(scores.logits, scores.embedding)
    for place, row in enumerate(rows.itertuples()):
        refusal = gate.judge_pixels(pixels[place]) if gate else None
        refusal = refusal or (gate.judge_embedding(scores.embedding[place]) if gate else None)
        if refusal is not None:
            yield StreamFilm(str(row.label), refusal.code)
            continue
        given = answers[place]
        seen = describe_film(pixels[place], width=int(row.width), height=int(row.height))
        facts: dict[str, object] = {
            "referred": bool(given.referral),
            "embedding": pack_coordinates(coordinates[place]),
        }
        facts |= {f"p_{name.lower()}": round(value, 6) for name, value in given.probabilities.items()}
        facts |= {f"pixels_{name}": round(value, 6) for name, value in seen.items()}
        decision = str(given.decision)
        yield StreamFilm(str(row.label), None, decision, given.probabilities[decision], 40.0, facts)


def reference_of(bundle: Bundle) -> ReferenceProfile:
    """Return the reference profile that a bundle carries."""
    found = read_reference(bundle.folder, weights_sha256=bundle.facts["weights_sha256"])
    assert found is not None
    return found


def play(
    plan: Plan,
    bundle: Bundle,
    kept: dict[str, Sequence[StreamFilm]],
    service: Path,
    *,
    last: datetime,
    say: Say,
) -> Look:
    """Play the days into a journal, look once a day, and return the last look."""
    clock = SteppedClock(last)
    random = np.random.default_rng(0)
    with closing(open_service(service, clock=clock)) as journal:
        stream = Stream(journal, clock, model_version=bundle.name, seed=1)
        monitor, reference = Monitor(journal), reference_of(bundle)
        for number in range(1 - DAYS_BEFORE, DAYS_OF_DRIFT + 1):
            scanner = "old scanner" if number < 1 else "new scanner"
            chosen = random.choice(len(kept[scanner]), FILMS_A_DAY, replace=False)
            films = [kept[scanner][place] for place in chosen]
            places = range(0, FILMS_A_DAY, plan.labelled_every) if plan.labelled_every else ()
            labels = {place: films[place].label for place in places}
            midnight = last - timedelta(days=DAYS_OF_DRIFT - number)
            stream.play(Day(films, labels), midnight=midnight)
            look = monitor.look(bundle.name, reference)
            say(_tell(midnight, scanner, look))
            for alert in look.opened:
                say(f"    alert {alert.name}: {alert.evidence['sentence']}")
            if look.retraining is not None:
                say(f"    decision {look.retraining.id} is {look.retraining.state}")
    return look


def _tell(day: datetime, scanner: str, look: Look) -> str:
    over = [signal.name for signal in look.assessment.over]
    return f"{day:%Y-%m-%d}  {scanner}  over: {', '.join(over) or 'nothing'}"


def open_service(folder: Path, *, clock: Callable[[], datetime] | None = None) -> Journal:
    """Open the journal of a service's data folder, as the service does."""
    settings = read_settings(data=folder)
    secrets = load_secrets(settings)
    if clock is None:
        return Journal.open(settings.database_url, chain_key=secrets.chain_key)
    return Journal.open(settings.database_url, chain_key=secrets.chain_key, clock=clock)


def hilum(*arguments: object) -> str:
    """Run the program in this process; return what it printed, and fail as it fails."""
    before, printed, logged = sys.argv, io.StringIO(), io.StringIO()
    sys.argv = ["hilum", *map(str, arguments)]
    code = 0
    try:
        with redirect_stdout(printed), redirect_stderr(logged):
            run_program()
    except SystemExit as ending:
        code = int(ending.code or 0)
    finally:
        sys.argv = before
    if code:
        raise RuntimeError(f"hilum {arguments[0]} ended with {code}: {printed.getvalue()}{logged.getvalue()}")
    return printed.getvalue().rstrip()


if __name__ == "__main__":
    main()
