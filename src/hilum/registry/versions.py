"""Names and versions of released models, and what a change of a model asks of its version.

A name is {model}_v{major}.{minor}.{patch}_{date} (report Table 20). Against the newest release before it:

    major   what is around the model must change: other classes, another input convention (the preprocessing
            section of the settings), another architecture. Clients, sites and thresholds are looked at again.
    minor   retrained weights. Same input, same classes; every site is commissioned again.
    patch   the same weights with new safeguards, thresholds, evaluations or files. Site profiles still hold.

A release may raise more than it must (0.9.0 to 1.0.0 says that it is ready), never less, and versions only
rise.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from hilum.domain.errors import CheckpointError
from hilum.domain.thresholds import MAX_BUNDLE_NAME_LENGTH

_NUMBER = "(0|[1-9][0-9]{0,5})"
_NAME = re.compile(
    rf"(?P<model>[A-Za-z0-9][A-Za-z0-9_.-]*)_v(?P<version>{_NUMBER}\.{_NUMBER}\.{_NUMBER})_(?P<date>[0-9]{{8}})"
)
FIRST_VERSION = "0.1.0"
_PARTS = ("major", "minor", "patch")


@dataclass(frozen=True, slots=True)
class BundleName:
    """The parts of a name."""

    model: str
    version: tuple[int, int, int]
    released: date

    def __str__(self) -> str:
        return f"{self.model}_v{self.version_text}_{self.released:%Y%m%d}"

    @property
    def version_text(self) -> str:
        """For example 1.0.0."""
        return ".".join(map(str, self.version))


def parse_name(name: str) -> BundleName:
    """Return the parts of a bundle's name; nothing but such a name ever becomes part of a path.

    Raises
    ------
    CheckpointError
        If it is not {model}_v{major}.{minor}.{patch}_{date} in ASCII, or too long. The message does not
        repeat it.
    """
    match = _NAME.fullmatch(name) if len(name) <= MAX_BUNDLE_NAME_LENGTH else None
    try:
        if match is None:
            raise ValueError
        released = datetime.strptime(match["date"], "%Y%m%d").date()
    except ValueError as error:
        raise CheckpointError(
            "this is no name of a released model; expected {model}_v{major}.{minor}.{patch}_{date}, for"
            " example tf_efficientnet_lite0_v1.0.0_20261124. See `hilum list`."
        ) from error
    return BundleName(match["model"], _to_numbers(match["version"]), released)


def check_version(facts_new: Mapping[str, Any], facts_old: Mapping[str, Any] | None) -> list[str]:
    """Return what is wrong with the version of a release, one sentence each; none when it is right.

    Parameters
    ----------
    facts_new, facts_old
        Content of bundle.json of the release and of the newest release before it; None for the first.
    """
    if facts_old is None:
        return []
    new, old = _to_numbers(facts_new["version"]), _to_numbers(facts_old["version"])
    if new <= old:
        return [
            f"version {facts_new['version']} does not follow {facts_old['version']}"
            f" ({facts_old['name']}); versions only rise."
        ]
    raised = next(index for index in range(len(_PARTS)) if new[index] != old[index])
    return [
        f"{what}: that is a {_PARTS[needed]} release, {_next_version(old, needed)} or higher,"
        f" not {facts_new['version']}."
        for needed, what in _find_changes(facts_new, facts_old)
        if raised > needed
    ]


def propose_version(facts_new: Mapping[str, Any], facts_old: Mapping[str, Any] | None) -> str:
    """Return the lowest version that `check_version` accepts; of equal facts a patch, 0.1.0 for the first.

    Parameters
    ----------
    facts_new, facts_old
        As for `check_version`; the release has no version yet.
    """
    if facts_old is None:
        return FIRST_VERSION
    needed = min((part for part, _ in _find_changes(facts_new, facts_old)), default=len(_PARTS) - 1)
    return _next_version(_to_numbers(facts_old["version"]), needed)


def _find_changes(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Return (index of the part that must rise, sentence) for every change."""
    changes = []
    if list(new["class_names"]) != list(old["class_names"]):
        changes.append((0, "the classes or their order changed"))
    before, after = (facts["settings"]["model"]["architecture"] for facts in (old, new))
    if before != after:
        changes.append((0, f"the architecture changed from {before} to {after}"))
    changed = _changed_input(new, old)
    if changed:
        changes.append((0, f"the input convention changed ({', '.join(changed)})"))
    if new["weights_sha256"] != old["weights_sha256"]:
        changes.append((1, "the weights were trained again"))
    return changes


def _changed_input(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    from hilum.config.schema import Preprocessing

    # through the schema: a setting that an older release does not know has its default there
    after, before = (
        Preprocessing.model_validate(facts["settings"]["preprocessing"]).model_dump() for facts in (new, old)
    )
    return sorted(name for name in after if after[name] != before[name])


def _next_version(version: tuple[int, int, int], part: int) -> str:
    raised = (*version[:part], version[part] + 1, *(0,) * (len(_PARTS) - 1 - part))
    return ".".join(map(str, raised))


def _to_numbers(version: str) -> tuple[int, int, int]:
    major, minor, patch = map(int, version.split("."))
    return major, minor, patch
