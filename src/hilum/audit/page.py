"""The audit as one self-contained HTML page, worst finding first, readable by a stranger."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import cv2
import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined
from numpy.typing import NDArray

from hilum.audit.outcome import Audit, to_plain
from hilum.audit.record import AuditFinding, Severity
from hilum.audit.stated_tables import Spread
from hilum.data.film_folder import stored_file
from hilum.data.ingest import Dataset
from hilum.domain import thresholds
from hilum.domain.errors import InputError
from hilum.domain.notice import NOTICE
from hilum.imaging.intake import read_radiograph

FILMS_SHOWN = 8
"""Films pictured with a finding; the rest are listed in audit.json."""

_TEMPLATE = "audit.html.j2"
_PICTURE_SIDE_PX = 128
_JPEG_QUALITY = 75
_ROWS_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Picture:
    """A film as the page shows it: path, label and split, and a data URI or None where it cannot be shown."""

    path: str
    caption: str
    image: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text with a title."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0


def render_page(audit: Audit, dataset: Dataset) -> str:
    """Return the page as one HTML document that asks nothing of the network."""
    # Everything printed is escaped by the template engine: file names are other people's text.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("hilum.audit").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    album = _Album(dataset)
    return environment.from_string(source).render(
        audit=audit,
        inventory=audit.inventory,
        counts={severity.value: audit.count(severity) for severity in Severity},
        findings=[(finding, album.pictures(finding)) for finding in audit.findings],
        shown=FILMS_SHOWN,
        tables=inventory_tables(audit),
        probes={
            name: record_tables(record)
            for name, record in audit.records.items()
            if name not in {"quality", "duplicates", "leakage"}
        },
        duplicates=audit.records["duplicates"],
        unchecked=to_plain(audit.records["quality"]),
        thresholds=thresholds,
        notice=NOTICE,
    )


def inventory_tables(audit: Audit) -> list[Table]:
    """Return the report's Tables 1 to 4 and the resolutions, as text."""
    stock = audit.inventory
    splits = list(next(iter(stock.by_split.values()), {}))
    summary = [
        ("films", f"{stock.films:,}"),
        ("test films", f"{sum(row.get('test', 0) for row in stock.by_split.values()):,}"),
        ("sources", f"{len(next(iter(stock.by_source.values()), {})):,}"),
        ("patients named", f"{stock.patients:,}"),
        ("films without a patient", f"{stock.films_without_patient:,}"),
        (
            "largest to smallest class",
            f"{stock.imbalance_ratio:.2f}",
        ),
    ]
    checks = audit.records["quality"].films  # type: ignore[attr-defined]
    excluded = {"unreadable", "undersized", "extreme-aspect"}
    return [
        Table("Table 1. At a glance", ("", ""), tuple(summary)),
        _count_table("Table 2. Films by class and split", stock.by_split, splits, stock.films),
        _count_table(
            "Films by class and source",
            stock.by_source,
            list(next(iter(stock.by_source.values()), {})),
            stock.films,
        ),
        Table(
            "Table 3. Sizes of all readable films",
            ("", "min", "max", "mean", "deviation", "median"),
            tuple(
                _spread_row(name, spread, digits)
                for name, spread, digits in (
                    ("width, px", stock.width, 0),
                    ("height, px", stock.height, 0),
                    ("width / height", stock.aspect, 2),
                )
                if spread is not None
            ),
        ),
        Table(
            "Table 4. Quality checks",
            ("check", "films", "what happens"),
            tuple(
                (
                    name.replace("-", " "),
                    f"{len(paths):,}",
                    "left out" if name in excluded else "kept, look at them",
                )
                for name, paths in checks.items()
            ),
        ),
        Table(
            f"Commonest of {stock.unique_resolutions:,} resolutions",
            ("size", "films", "share"),
            tuple((size, f"{n:,}", f"{n / stock.films:.1%}") for size, n in stock.resolutions.items()),
        ),
        Table("File formats", ("format", "films"), tuple((n, f"{c:,}") for n, c in stock.formats.items())),
    ]


def record_tables(record: object) -> list[Table]:
    """Return the parts of a probe's record that are lists of rows, as tables; single facts as one more."""
    plain = to_plain(record)
    assert isinstance(plain, dict), "a probe returns a record"
    facts = tuple(
        (_label(name), _text(value)) for name, value in plain.items() if not isinstance(value, list | dict)
    )
    tables = [Table("", ("", ""), facts)] if facts else []
    for name, value in plain.items():
        if not (isinstance(value, list) and value and all(isinstance(row, dict) for row in value)):
            continue
        flat = [_flatten(row) for row in value]
        columns = tuple(dict.fromkeys(column for row in flat for column in row))
        rows = tuple(tuple(row.get(column, "") for column in columns) for row in flat[:_ROWS_SHOWN])
        tables.append(Table(_label(name), tuple(map(_label, columns)), rows, max(0, len(flat) - _ROWS_SHOWN)))
    return tables


class _Album:
    """Pictures of films by path, made small once."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._place = {path: index for index, path in enumerate(dataset.manifest["path"])}

    def pictures(self, finding: AuditFinding) -> list[Picture]:
        return [self._picture(path) for path in finding.films[:FILMS_SHOWN]]

    def _picture(self, path: str) -> Picture:
        place = self._place.get(path)
        if place is None:
            return Picture(path, "", None)
        row = self._dataset.manifest.iloc[place]
        caption = f"{row['label']}, {row['split']}"
        if pd.isna(row["excluded"]):
            return Picture(path, caption, _data_uri(self._dataset.pixels[place]))
        try:
            return Picture(
                path, caption, _data_uri(read_radiograph(stored_file(self._dataset.root, path)).pixels)
            )
        except InputError:
            return Picture(path, caption, None)


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    """Return a film, uint8 (H, W), as a small JPEG data URI, its sides as they are to each other."""
    scale = _PICTURE_SIDE_PX / max(pixels.shape)
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert done, "OpenCV encodes any uint8 picture as JPEG"
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def _count_table(
    title: str, counts: Mapping[str, Mapping[str, int]], columns: list[str], films: int
) -> Table:
    rows = []
    for label, row in counts.items():
        total = sum(row.values())
        rows.append((label, *(f"{row[name]:,}" for name in columns), f"{total:,} ({total / films:.1%})"))
    totals = (f"{sum(row[name] for row in counts.values()):,}" for name in columns)
    rows.append(("Total", *totals, f"{films:,}"))
    return Table(title, ("", *columns, "total"), tuple(rows))


def _spread_row(name: str, spread: Spread, digits: int) -> tuple[str, ...]:
    values = (spread.minimum, spread.maximum, spread.mean, spread.deviation, spread.median)
    return (name, *("n/a" if value is None else f"{value:,.{digits}f}" for value in values))


def _flatten(row: Mapping[str, object]) -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= {f"{name} {inner}": text for inner, text in _flatten(value).items()}
        elif not isinstance(value, list):
            flat[name] = _text(value)
    return flat


def _label(name: str) -> str:
    return name.replace("_", " ")


def _text(value: object) -> str:
    if value is None:
        return "n/a"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
