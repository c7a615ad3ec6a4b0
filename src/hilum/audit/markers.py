"""Whether burned-in letters go with a class: in some corner, inside each source.

A linear probe on border pixels is too weak for a letter that a class carries 10 % more often. Here letters
are found one by one (`hilum.imaging.remedies.find_markers`) and their presence, anywhere and in each of eight
places along the edge, is held against sick or normal and against each class. Labels are shuffled among the
patients of a source with as many films; the largest statistic of every shuffle corrects for all tests at once
(Westfall and Young, 1993, algorithm 2.5, single step): exact, and with tests that say the same thing less
strict than Holm's correction.

Limits: nothing can see a 10 % difference in few films. With letters on half of the films and three classes of
equal size this finds it in about 4 of 10 sets of 600 films, 6 of 10 of 1,000 and 8 of 10 of 2,000; rarer
letters show with fewer films. Dark letters, letters below about 6 pixels or as large as a clavicle and text
over the lungs are not found. A patient with films of several classes counts with the first film only.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hilum.audit.contrasts import ALL_SOURCES, SICK_OR_NORMAL, scopes
from hilum.audit.linear_probe import BoolArray, FloatArray, IntArray, patient_codes
from hilum.audit.probe_features import Films
from hilum.audit.record import AuditFinding, Severity
from hilum.domain.findings import CLASS_NAMES, Finding
from hilum.domain.thresholds import (
    MARKER_BLOCKER_DIFFERENCE,
    MARKER_MAX_P,
    MARKER_NOTE_MAX_P,
    MARKER_PERMUTATIONS,
)
from hilum.imaging.remedies import find_markers

ANYWHERE = "anywhere"
PLACES = (
    *("top left", "top middle", "top right"),
    *("middle left", "middle right"),
    *("bottom left", "bottom middle", "bottom right"),
)
"""Thirds of the film as it is looked at, without the one in the middle."""

_FILMS_SHOWN = 12
_MIN_FILMS = 5  # films with and without a letter below which a place cannot be tested
_MIN_SHARE = 0.02  # and share of the films
_ROUNDING = 1e-9
_CHUNK = 500  # shuffles held at once


@dataclass(frozen=True, slots=True)
class MarkerTest:
    """Letters in one place against one class, inside one source.

    Parameters
    ----------
    in_class, elsewhere
        Share of films with a letter there, in the class and in the rest.
    p_value
        Two-sided, corrected for every test of the audit.
    """

    scope: str
    contrast: str
    place: str
    in_class: float
    elsewhere: float
    p_value: float

    @property
    def difference(self) -> float:
        """Prevalence in the class minus prevalence in the rest."""
        return self.in_class - self.elsewhere


@dataclass(frozen=True, slots=True)
class MarkerAudit:
    """Every test, and the share of films with a letter by source; `films` took part, one source at a time."""

    tests: tuple[MarkerTest, ...]
    share_with_letters: dict[str, float]
    films: int


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """One source as patients: what its tests need, and a way to shuffle labels."""

    scope: str
    places: tuple[str, ...]
    letters: FloatArray  # (P, places): films with a letter there, per patient
    films: FloatArray  # (P,)
    classes: IntArray  # (P,)
    contrasts: tuple[tuple[str, frozenset[int]], ...]

    def shuffled_classes(self, shuffles: int, generator: np.random.Generator) -> IntArray:
        """Return int64 (shuffles, P): classes permuted among patients with as many films."""
        drawn = np.tile(self.classes, (shuffles, 1))
        for count in np.unique(self.films):
            alike = np.flatnonzero(self.films == count)
            order = np.argsort(generator.random((shuffles, len(alike)), dtype=np.float32), axis=1)
            drawn[:, alike] = self.classes[alike][order]
        return drawn

    def statistics(self, classes: IntArray) -> FloatArray:
        """Return standardised prevalence differences, float64 (S, contrasts * places), of classes (S, P)."""
        total, share = self.films.sum(), self.letters.sum(axis=0) / self.films.sum()
        excess = self.letters - self.films[:, None] * share  # (P, places)
        spread = np.sqrt((excess**2).sum(axis=0))
        parts = []
        for _, members in self.contrasts:
            chosen = np.isin(classes, list(members)).astype(np.float64)
            inside = chosen @ self.films / total
            score = chosen @ excess
            parts.append(score / (spread * np.sqrt(inside * (1 - inside))[:, None]))
        return np.concatenate(parts, axis=1)


def audit_markers(
    rows: pd.DataFrame, pixels: Films, *, seed: int = 0, shuffles: int = MARKER_PERMUTATIONS
) -> tuple[MarkerAudit, list[AuditFinding]]:
    """Test whether burned-in letters go with a class.

    Parameters
    ----------
    rows
        Usable rows of a manifest, N of them.
    pixels
        uint8 (N, side, side), row for row.
    seed
        Of the shuffles.
    """
    return compare_letters(rows, letters_by_place(pixels), seed=seed, shuffles=shuffles)


def letters_by_place(pixels: Films) -> BoolArray:
    """Return where films have letters, bool (N, 9): anywhere, then `PLACES`."""
    side = pixels.shape[1]
    third = np.minimum(np.arange(side) * 3 // side, 2)
    number = third[:, None] * 3 + third[None, :]  # 0 .. 8, the middle is 4
    found = np.zeros((len(pixels), 9), np.bool_)
    for index, film in enumerate(pixels):
        found[index, np.unique(number[find_markers(film)])] = True
    return np.column_stack([found.any(axis=1), np.delete(found, 4, axis=1)])


def compare_letters(
    rows: pd.DataFrame, letters: BoolArray, *, seed: int = 0, shuffles: int = MARKER_PERMUTATIONS
) -> tuple[MarkerAudit, list[AuditFinding]]:
    """Test letters, bool (N, 9) of `letters_by_place`, against the classes of N rows."""
    patients = patient_codes(rows)
    blocks = [
        block
        for scope, films in scopes(rows)
        if scope != ALL_SOURCES
        if (block := _block(scope, films, rows, letters, patients)) is not None
    ]
    shares = {scope: float(letters[films, 0].mean()) for scope, films in scopes(rows) if scope != ALL_SOURCES}
    tests = _corrected_tests(blocks, np.random.default_rng(seed), shuffles)
    record = MarkerAudit(tuple(tests), shares, int(sum(block.films.sum() for block in blocks)))
    findings = []
    for block in blocks:
        best = min(
            (test for test in tests if test.scope == block.scope),
            key=lambda test: (test.p_value, -abs(test.difference)),
        )
        if best.p_value <= MARKER_NOTE_MAX_P:
            findings.append(_finding(best, rows, letters))
    return record, findings


def _block(
    scope: str, films: IntArray, rows: pd.DataFrame, letters: BoolArray, patients: IntArray
) -> _Block | None:
    """Return a source as patients; None where no place has letters or there is one class."""
    labels = rows["label"].to_numpy(dtype=object)[films]
    classes = np.asarray([CLASS_NAMES.index(label) for label in labels])
    _, first, owner = np.unique(patients[films], return_index=True, return_inverse=True)
    same = np.bincount(owner, weights=classes != classes[first][owner]) == 0
    used = same[owner] | (np.arange(len(films)) == first[owner])
    counts = np.bincount(owner[used])
    numbers = {
        place: int(letters[films[used], index].sum()) for index, place in enumerate((ANYWHERE, *PLACES))
    }
    least = max(_MIN_FILMS, _MIN_SHARE * used.sum())
    kept = [index for index, number in enumerate(numbers.values()) if least <= number <= used.sum() - least]
    owners = classes[first]
    contrasts = _contrasts(owners)
    if not kept or not contrasts:
        return None
    by_patient = np.stack(
        [np.bincount(owner[used], weights=letters[films[used], index]) for index in kept], axis=1
    )
    places = tuple((ANYWHERE, *PLACES)[index] for index in kept)
    return _Block(
        scope, places, np.asarray(by_patient, np.float64), counts.astype(np.float64), owners, contrasts
    )


def _contrasts(classes: IntArray) -> tuple[tuple[str, frozenset[int]], ...]:
    """Name the classes, int64 (P,), that are held against the rest, with their numbers."""
    numbers, counts = np.unique(classes, return_counts=True)
    if len(numbers) == 1 or counts.min() < _MIN_FILMS:
        return ()
    normal = CLASS_NAMES.index(Finding.NORMAL)
    sick = frozenset(int(number) for number in numbers if number != normal)
    found = [(SICK_OR_NORMAL, sick)] if normal in numbers else []
    if len(sick) > 1:
        found += [(CLASS_NAMES[number], frozenset([number])) for number in sorted(sick)]
    return tuple(found)


def _corrected_tests(blocks: list[_Block], generator: np.random.Generator, shuffles: int) -> list[MarkerTest]:
    if not blocks:
        return []
    observed = [block.statistics(block.classes[None])[0] for block in blocks]
    beaten = [np.zeros(len(statistics)) for statistics in observed]
    for start in range(0, shuffles, _CHUNK):
        size = min(_CHUNK, shuffles - start)
        drawn = [block.statistics(block.shuffled_classes(size, generator)) for block in blocks]
        largest = np.max(np.abs(np.concatenate(drawn, axis=1)), axis=1)  # over every test of every source
        for index, statistics in enumerate(observed):
            beaten[index] += (largest[:, None] >= np.abs(statistics) - _ROUNDING).sum(axis=0)
    return [
        test
        for block, count in zip(blocks, beaten, strict=True)
        for test in _tests_of(block, (count + 1) / (shuffles + 1))
    ]


def _tests_of(block: _Block, p_values: FloatArray) -> list[MarkerTest]:
    tests = []
    for row, (name, members) in zip(p_values.reshape(len(block.contrasts), -1), block.contrasts, strict=True):
        chosen = np.isin(block.classes, list(members))
        inside, rest = (
            block.letters[side].sum(axis=0) / block.films[side].sum() for side in (chosen, ~chosen)
        )
        tests += [
            MarkerTest(block.scope, name, place, float(inside[index]), float(rest[index]), float(row[index]))
            for index, place in enumerate(block.places)
        ]
    return tests


def _finding(test: MarkerTest, rows: pd.DataFrame, letters: BoolArray) -> AuditFinding:
    is_sure = test.p_value <= MARKER_MAX_P
    blocks = is_sure and abs(test.difference) >= MARKER_BLOCKER_DIFFERENCE
    column = (ANYWHERE, *PLACES).index(test.place)
    carries = letters[:, column] & (rows["source"].to_numpy(dtype=object) == test.scope)
    sick = "sick films" if test.contrast == SICK_OR_NORMAL else f"{test.contrast} films"
    return AuditFinding(
        code="letters-tied-to-class" if is_sure else "letters-suspected",
        severity=Severity.BLOCKER if blocks else Severity.WARNING if is_sure else Severity.NOTE,
        sentence=f"{test.scope}: {test.in_class:.0%} of the {sick} carry burned-in letters"
        f" ({test.place}), {test.elsewhere:.0%} of the others do (corrected p = {test.p_value:.2g}).",
        advice="Train with preprocessing.inpaint_markers=true or a border crop, or get films without letters."
        if is_sure
        else "Too few films to be sure; look at the films shown, and paint the letters over if in doubt.",
        films=tuple(rows["path"][carries].astype(str).iloc[:_FILMS_SHOWN]),
        figures={
            "scope": test.scope,
            "contrast": test.contrast,
            "place": test.place,
            "in_class": test.in_class,
            "elsewhere": test.elsewhere,
            "p_value": test.p_value,
        },
    )
