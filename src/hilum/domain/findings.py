"""The three findings, their order everywhere, and the class names people use for them."""

from enum import StrEnum

from hilum.domain.errors import DatasetError


class Finding(StrEnum):
    """A class of the report's Table 2. The order of definition is the order of every score vector."""

    NORMAL = "Normal"
    PNEUMONIA = "Pneumonia"
    TUBERCULOSIS = "Tuberculosis"


CLASS_NAMES: tuple[str, ...] = tuple(finding.value for finding in Finding)

# Folder and column spellings seen in public collections, lower case, letters and digits only.
_ALIASES: dict[str, Finding] = {
    "normal": Finding.NORMAL,
    "healthy": Finding.NORMAL,
    "nofinding": Finding.NORMAL,
    "nofindings": Finding.NORMAL,
    "negative": Finding.NORMAL,
    "pneumonia": Finding.PNEUMONIA,
    "pneumonie": Finding.PNEUMONIA,
    "tuberculosis": Finding.TUBERCULOSIS,
    "turberculosis": Finding.TUBERCULOSIS,  # the spelling of a widely copied Kaggle set
    "tuberculose": Finding.TUBERCULOSIS,
    "tb": Finding.TUBERCULOSIS,
    "tbc": Finding.TUBERCULOSIS,
}


def find_finding(name: str) -> Finding | None:
    """Return the finding that a class name stands for, or None when it stands for none."""
    return _ALIASES.get("".join(char for char in name.lower() if char.isalnum()))


def parse_finding(name: str) -> Finding:
    """Return the finding that a class name stands for.

    Raises
    ------
    DatasetError
        If the name is none of the known spellings.
    """
    finding = find_finding(name)
    if finding is None:
        raise DatasetError(
            f"class {name!r} is unknown; expected one of {', '.join(CLASS_NAMES)} or an alias such as"
            " NORMAL, TB, TURBERCULOSIS. Rename the folder or the label."
        )
    return finding
