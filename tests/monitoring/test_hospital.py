from datetime import date, timedelta

import numpy as np

from hilum.monitoring.drill_films import DrillFilm
from hilum.monitoring.hospital import Hospital

FILMS = [
    DrillFilm(label, "a", b"") for label in ("Normal",) * 60 + ("Pneumonia",) * 30 + ("Tuberculosis",) * 10
]


def test_weekends_and_holidays_are_quiet():
    hospital = Hospital(FILMS, seed=1, per_day=50)

    def mean(day: date) -> float:
        return float(np.mean([hospital.count_films(day) for _ in range(400)]))

    assert 46 < mean(date(2026, 3, 4)) < 54
    assert 18 < mean(date(2026, 3, 7)) < 22
    assert 18 < mean(date(2026, 12, 25)) < 22


def test_days_differ_by_more_than_chance():
    hospital = Hospital(FILMS, seed=2, per_day=50)
    counts = [hospital.count_films(date(2026, 3, 4)) for _ in range(2000)]
    assert 1.8 < np.var(counts) / np.mean(counts) < 2.8  # Poisson: 1; with the gamma factor 1 + 50 / 40


def test_films_come_in_the_mix_of_the_pool_or_as_weighted():
    hospital = Hospital(FILMS, seed=3)
    labels = [FILMS[place].label for place in hospital.deal(4000)]
    assert 0.57 < labels.count("Normal") / 4000 < 0.63
    dealt = hospital.deal(4000, lambda film: 4.0 if film.label == "Tuberculosis" else 1.0)
    assert 0.28 < sum(FILMS[place].label == "Tuberculosis" for place in dealt) / 4000 < 0.34  # 40 of 130
    none = hospital.deal(500, lambda film: float(film.label != "Tuberculosis"))
    assert all(FILMS[place].label != "Tuberculosis" for place in none)


def test_a_film_does_not_come_again_soon():
    hospital = Hospital(FILMS[:60], seed=4)
    dealt = hospital.deal(600)
    gaps = [dealt[place + 1 :].index(film) + 1 for place, film in enumerate(dealt[:500])]
    assert min(gaps) > 30 - 1
    assert sorted(dealt[:60]) == list(range(60))


def test_the_same_seed_gives_the_same_days():
    first, second = Hospital(FILMS, seed=5), Hospital(FILMS, seed=5)
    day = date(2026, 1, 1) + timedelta(days=40)
    assert (first.count_films(day), first.deal(50)) == (second.count_films(day), second.deal(50))
