"""Draw a set of synthetic frontal chest films with known lesions, for the demo, tests and drills.

Film `i` depends on the seed and on `i` alone, so a set can grow without changing what it had. By default
nothing but the lesion tells the classes apart; `PhantomFaults` plants what an audit should find. Phantoms
are drawings: they train a pipeline, never a model for people.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hilum.data.phantom.faults import REPEATED, PhantomFaults
from hilum.data.phantom.files import remove_leftovers, write_film, write_table
from hilum.data.phantom.film import SITES, draw_film, split_of
from hilum.data.phantom.planting import PlantedSet, plant_extras
from hilum.domain.errors import ConfigError
from hilum.domain.findings import CLASS_NAMES
from hilum.domain.thresholds import MIN_SIDE_PX
from hilum.files import to_json, write_atomic

__all__ = ["PhantomFaults", "PhantomSummary", "draw_phantoms"]

PHANTOM_VERSION = 1
"""Raised when the same seed draws other bytes than before."""

FACTS_FILE = "phantoms.json"
TABLE_FILE = "sources.csv"


@dataclass(frozen=True, slots=True)
class PhantomSummary:
    """What was written: where, how many films in all, how many of each class and split, what was planted."""

    out: Path
    films: int
    by_class: dict[str, int]
    by_split: dict[str, int]
    planted: dict[str, int]


def draw_phantoms(
    out: Path,
    *,
    count: int = 600,
    seed: int = 1,
    side_px: int = 320,
    faults: PhantomFaults | None = None,
    progress: Callable[[int], None] | None = None,
) -> PhantomSummary:
    """Write a phantom set: films, lesion masks, lung masks, `phantoms.json` and, last, `sources.csv`.

    Parameters
    ----------
    out
        Folder to fill: `split/class/phantom_00012.png`, `masks/...` and `lungs/...` (0 or 255) beside it.
    count
        Films before the faults add theirs.
    side_px
        Pixels of a film's side, at least `MIN_SIDE_PX`.
    faults
        What to plant; nothing by default.
    progress
        Called with the number of films written so far.

    Raises
    ------
    ConfigError
        If `count` or `side_px` is too small, or more films are to be repeated than there are for training.
    """
    faults = faults or PhantomFaults()
    if count < 1:
        raise ConfigError(f"count is {count}; expected at least 1 film.")
    if side_px < MIN_SIDE_PX:
        raise ConfigError(f"side_px is {side_px}; expected at least {MIN_SIDE_PX} (the input contract).")
    training = [index for index in range(count) if split_of(index) == "train"]
    for name in REPEATED:
        if getattr(faults, name) > len(training):
            raise ConfigError(
                f"{name} is {getattr(faults, name)}, but {count} films hold only {len(training)} for"
                " training. Draw more films or plant fewer."
            )
    (out / TABLE_FILE).unlink(missing_ok=True)  # its existence proves that the set is whole
    drawn = PlantedSet(rows=[], films={}, planted={})
    for index in range(count):
        film = draw_film(index, seed=seed, side_px=side_px, faults=faults)
        write_film(out, film)
        drawn.add(film)
        if progress is not None:
            progress(index + 1)
    plant_extras(out, drawn, seed=seed, count=count, side_px=side_px, faults=faults)
    if faults.marker_class is not None:
        drawn.planted["marker"] = [path for path, facts in drawn.films.items() if facts["marker"]]
    if faults.second_site:
        drawn.planted["second_site"] = [row["path"] for row in drawn.rows if row["source"] == SITES[1]]
    facts = {
        "version": PHANTOM_VERSION,
        "seed": seed,
        "count": count,
        "side_px": side_px,
        "faults": {"settings": faults.as_dict(), "planted": drawn.planted},
        "films": drawn.films,
    }
    write_atomic(out / FACTS_FILE, to_json(facts, indent=1))
    remove_leftovers(out, {row["path"] for row in drawn.rows})
    write_table(out / TABLE_FILE, drawn.rows)
    return PhantomSummary(
        out=out,
        films=len(drawn.rows),
        by_class={name: sum(row["label"] == name for row in drawn.rows) for name in CLASS_NAMES},
        by_split={name: sum(row["split"] == name for row in drawn.rows) for name in ("train", "val", "test")},
        planted={name: len(paths) for name, paths in drawn.planted.items()},
    )
