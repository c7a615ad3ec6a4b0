"""The robustness report as one self-contained HTML page."""

import base64
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from hilum.domain.findings import CLASS_NAMES
from hilum.robustness.findings import NAMES

_TEMPLATE = "robustness.html.j2"


def render_page(record: Mapping[str, Any], figures: Mapping[str, bytes]) -> str:
    """Return the page as one HTML document that asks nothing of the network.

    Parameters
    ----------
    record
        As written to robustness.json.
    figures
        PNG bytes by file stem.
    """
    # Everything printed is escaped by the template engine: names are other people's text.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"figure": write_figure, "percent": _percent}
    source = files("hilum.robustness").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    pictures = {
        name: "data:image/png;base64," + base64.b64encode(png).decode("ascii")
        for name, png in figures.items()
    }
    return environment.from_string(source).render(
        record=record, figures=pictures, names=NAMES, classes=CLASS_NAMES
    )


def write_figure(figure: Mapping[str, Any]) -> str:
    """Return a figure with its interval, or why there is none.

    Examples
    --------
    >>> write_figure({"value": 0.214, "low": 0.17, "high": 0.25})
    '0.21 (0.17 to 0.25)'
    >>> write_figure({"value": None, "reason": "7 films: no claim below 10"})
    '7 films: no claim below 10'
    """
    if figure["value"] is None:
        return str(figure["reason"])
    text = f"{figure['value']:.2f}"
    if figure.get("low") is None:
        return text
    return f"{text} ({figure['low']:.2f} to {figure['high']:.2f})"


def _percent(figure: Mapping[str, Any]) -> str:
    return f"{100 * figure['value']:.0f} %"
