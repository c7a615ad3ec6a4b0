"""A service that has been in use for a month: films drawn by rule, answers and labels in a real journal.

The fake engine answers, what monitors is real. The films become brighter in the last week, so that alerts are
open; labels that contradict answers wait for review.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from hilum.evaluation.reference_profile import REFERENCE_FILE
from hilum.journal.journal import Journal
from hilum.monitoring.monitor import Monitor
from hilum.monitoring.stream import Day, SteppedClock, Stream
from hilum.serving.secret_files import load_secrets
from hilum.serving.settings import read_settings
from tests.monitoring.worlds import MODEL, draw_film, make_reference
from tests.serving.fake_engine import write_fake_bundle

DAYS, BRIGHT_DAYS = 30, 7
FILMS_A_DAY = 60
LABELLED = 0.3
BRIGHTER = 1.2  # deviations of the mean grey level


def live(folder: Path) -> list[str]:
    """Write bundle and journal below a folder; return the words that make `hilum serve` use them."""
    bundle = write_fake_bundle(folder / "models", MODEL)
    reference = make_reference()
    (bundle / REFERENCE_FILE).write_text(json.dumps(reference.to_record()))
    settings = read_settings(data=folder / "data", model=bundle)
    settings.data.mkdir(parents=True)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    clock = SteppedClock(midnight - timedelta(days=DAYS))
    journal = Journal.open(
        settings.database_url, chain_key=load_secrets(settings).chain_key, checkpoints=settings.checkpoints,
        clock=clock,
    )  # fmt: skip
    stream, monitor = Stream(journal, clock, model_version=MODEL, seed=0), Monitor(journal)
    random = np.random.default_rng(0)
    for back in range(DAYS, 0, -1):
        shifts = {"mean_grey": BRIGHTER} if back <= BRIGHT_DAYS else {}
        films = [draw_film(random, shifts=shifts) for _ in range(FILMS_A_DAY)]
        labels = {place: film.label for place, film in enumerate(films) if random.random() < LABELLED}
        stream.play(Day(films, labels), midnight=midnight - timedelta(days=back))
        monitor.look(MODEL, reference)
    journal.close()
    return ["--data", str(settings.data), "--model", str(bundle)]
