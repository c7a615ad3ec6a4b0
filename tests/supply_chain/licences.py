"""Whether a licence, as an SPDX expression without parentheses, is one that security/licences.toml allows."""

from collections.abc import Mapping
from typing import Any


def is_allowed(expression: str, package: str, rules: Mapping[str, Any]) -> bool:
    """Tell whether a package may be used under it."""
    return any(
        all(_is_listed(name.strip(), package, rules) for name in side.split(" AND "))
        for side in expression.split(" OR ")
    )


def _is_listed(name: str, package: str, rules: Mapping[str, Any]) -> bool:
    return name in rules["allowed"] or package in rules["weak_copyleft"].get(name, ())
