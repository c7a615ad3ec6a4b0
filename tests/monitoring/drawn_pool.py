"""A pool of films drawn by hand, which needs no engine; a changed film is refused when it is inverted."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from hilum.monitoring.drill_films import DrillFilm, FilmPool
from hilum.monitoring.film_changes import FilmChange
from hilum.monitoring.stream import StreamFilm
from tests.monitoring.worlds import MODEL, draw_film, make_reference


class DrawnPool(FilmPool):
    """Answers are drawn once; blur moves the sharpness of a film by a deviation for each severity."""

    def __init__(self, films: int = 400, *, seed: int = 2, labelled_share: float = 0.3) -> None:
        random = np.random.default_rng(seed)
        self.drawn = [draw_film(random) for _ in range(films)]
        engine = cast(Any, SimpleNamespace(identity=SimpleNamespace(name=MODEL, weights_sha256="0" * 64)))
        files = [
            DrillFilm(film.label, "here", bytes([n % 256, n // 256])) for n, film in enumerate(self.drawn)
        ]
        super().__init__(files, engine, make_reference(), made_of="drawn", labelled_share=labelled_share)
        self.asked = 0

    def answers(self, places: Sequence[int], change: FilmChange | None = None) -> list[StreamFilm]:
        self.asked += len(places)
        films = [self.drawn[place] for place in places]
        if change is None:
            return films
        if change.name == "inversion":
            return [StreamFilm(film.label, "inverted") for film in films]
        less = 0.0015 * int(change.name.partition("-")[2] or 3)
        return [
            StreamFilm(
                film.label, None, film.prediction, film.confidence, film.inference_time_ms,
                {**film.facts, "pixels_sharpness": max(film.facts["pixels_sharpness"] - less, 1e-4)},
            )
            for film in films
        ]  # fmt: skip
