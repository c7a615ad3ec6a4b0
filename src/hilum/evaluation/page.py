"""The evaluation as one self-contained HTML page that a clinician can read and print."""

import base64
from collections.abc import Mapping
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from hilum.domain import thresholds
from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.discrimination import DISEASES, describe_auroc
from hilum.evaluation.evaluate import Evaluation
from hilum.evaluation.gallery import make_gallery
from hilum.evaluation.measure import format_percent, format_score
from hilum.evaluation.operating_points import Verdict
from hilum.evaluation.record import NOTICE, to_plain
from hilum.evaluation.summary import find_headlines, summarise

_TEMPLATE = "evaluation.html.j2"


def render_page(evaluation: Evaluation, figures: Mapping[str, bytes]) -> str:
    """Return the page as one HTML document that asks nothing of the network.

    Parameters
    ----------
    figures
        PNG bytes by file stem, as `draw_figures` names them.
    """
    # Everything printed is escaped by the template engine: file names are other people's text.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": format_percent, "score": format_score, "words": describe_auroc}
    source = files("hilum.evaluation").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source).render(
        evaluation=evaluation,
        scores=evaluation.discrimination,
        summary=summarise(evaluation),
        headlines=find_headlines(evaluation),
        figures={name: _png_uri(png) for name, png in figures.items()},
        gallery=make_gallery(evaluation),
        classes=CLASS_NAMES,
        diseases=DISEASES,
        missed=Verdict.MISSED,
        thresholds=thresholds,
        notice=NOTICE,
        attention=_tables(evaluation.inputs.zones),
        facts=_tables(evaluation.inputs.model_facts),
        provenance=_tables(evaluation.inputs.provenance),
    )


def _tables(values: Mapping[str, object]) -> dict[str, object]:
    """Return facts as the template prints them: single facts, and a table for each mapping of mappings."""
    facts: dict[str, str] = {}
    tables: dict[str, tuple[list[str], dict[str, list[str]]]] = {}
    for name, value in values.items():
        plain = to_plain(value)
        if not isinstance(plain, dict):
            facts[_label(name)] = _text(plain)
        elif plain and all(isinstance(row, dict) for row in plain.values()):
            columns = list(dict.fromkeys(column for row in plain.values() for column in row))
            rows = {_label(key): [_text(row.get(column)) for column in columns] for key, row in plain.items()}
            tables[_label(name)] = ([_label(column) for column in columns], rows)
        else:
            facts[_label(name)] = ", ".join(f"{_label(key)} {_text(part)}" for key, part in plain.items())
    return {"facts": facts, "tables": tables}


def _label(name: str) -> str:
    return name.replace("_", " ")


def _text(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(_text(part) for part in value)
    return str(value)


def _png_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
