"""Read a training configuration from YAML and apply `--set section.key=value`.

All problems are reported at once, each with the key, the value found and what is allowed.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from hilum.config.schema import TrainConfig
from hilum.domain.errors import ConfigError


def load_config(path: Path | None = None, *, overrides: Iterable[str] = ()) -> TrainConfig:
    """Return the configuration of a YAML file with overrides applied on top.

    Parameters
    ----------
    path
        YAML file with sections of `TrainConfig`; None takes the defaults, which are the report's.
    overrides
        Items ``section.key=value``; values are parsed as YAML, so ``0.1``, ``true`` and ``[0.9, 1.1]`` work.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a key is unknown, or a value is not allowed.
    """
    tree = _read_yaml(path) if path is not None else {}
    for item in overrides:
        _apply_override(tree, item)
    return validate_config(tree, origin=str(path) if path else "configuration")


def override_config(config: TrainConfig, overrides: Iterable[str]) -> TrainConfig:
    """Return a configuration with items ``section.key=value`` applied on top.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is not allowed.
    """
    tree = dump_config(config)
    for item in overrides:
        _apply_override(tree, item)
    return validate_config(tree, origin="--set")


def validate_config(tree: dict[str, Any], *, origin: str) -> TrainConfig:
    """Return the typed configuration of a plain tree; `origin` names it in messages.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is not allowed; all problems in one message.
    """
    try:
        return TrainConfig.model_validate(tree)
    except ValidationError as error:
        problems = "; ".join(_describe(problem) for problem in error.errors())
        raise ConfigError(f"{origin}: {problems}") from error


def dump_config(config: TrainConfig) -> dict[str, Any]:
    """Return the configuration as plain JSON values, as it is written into every artefact."""
    return config.model_dump(mode="json")


def _read_yaml(path: Path) -> dict[str, Any]:
    if path.exists() and not path.is_file():  # a pipe or a device would be read for ever
        raise ConfigError(f"{path}: is not a regular file. Give an existing file to --config.")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}). Give an existing file to --config."
        ) from error
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        summary = " ".join(str(error).split())
        raise ConfigError(f"{path}: is not valid YAML: {summary}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(
            f"{path}: holds a {type(tree).__name__}; expected sections: {_allowed(TrainConfig)}."
        )
    return tree


def _apply_override(tree: dict[str, Any], item: str) -> None:
    key, separator, value = item.partition("=")
    parts = key.strip().split(".")
    if not separator or not all(parts):
        raise ConfigError(f"--set {item!r}: expected section.key=value, for example training.epochs=20.")
    try:
        parsed = _parse_scalar(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {item!r}: the value is not valid YAML.") from error
    branch = tree
    for part in parts[:-1]:
        nested = branch.setdefault(part, {})
        if not isinstance(nested, dict):
            raise ConfigError(f"--set {item!r}: {part} is a value, not a section.")
        branch = nested
    branch[parts[-1]] = parsed


def _parse_scalar(value: str) -> Any:
    parsed = yaml.safe_load(value)
    if isinstance(parsed, str):  # YAML 1.1 reads 1e-3 (no dot) as text; people write it all the time
        try:
            return float(parsed)
        except ValueError:
            return parsed
    return parsed


def _describe(problem: Any) -> str:
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location)
    if problem["type"] == "extra_forbidden":
        section = _section_at(location[:-1])
        return f"unknown key {key}; allowed here: {_allowed(section)}"
    found = "" if isinstance(problem["input"], dict) else f" (found {problem['input']!r})"
    return f"{key or 'settings'}: {problem['msg']}{found}"


def _section_at(location: list[str]) -> type[BaseModel]:
    section: type[BaseModel] = TrainConfig
    for part in location:
        annotation = section.model_fields[part].annotation
        assert isinstance(annotation, type), part  # a section is always a plain class
        section = annotation
    return section


def _allowed(section: type[BaseModel]) -> str:
    return ", ".join(section.model_fields)
