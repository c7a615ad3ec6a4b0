"""Signed overrides: where a registry asks for signatures, overruling a gate takes the key as well.

What is signed names the bundle, its content and the reason given, so it is good for nothing else.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hilum.domain.errors import CheckpointError
from hilum.registry.bundle import SUMS_FILE
from hilum.registry.history import Event

_DETAIL = "override_signed"


def sign_override(
    folder: Path, override: str, *, private_key: Path | None, public_key: Path | None
) -> dict[str, Any]:
    """Return what the history keeps of a signed override; nothing where none has to be signed.

    Parameters
    ----------
    folder
        Of the bundle whose refusals are overruled.
    private_key
        What it is signed with; None leaves it unsigned.
    public_key
        Whose signature is required; None requires none.

    Raises
    ------
    CheckpointError
        If a signature is required and there is none, or it is of another key.
    ConfigError
        If a key cannot be used, or others can read the private one.
    """
    details: dict[str, Any] = {}
    if private_key is not None:
        from hilum.registry.signing import sign_text

        sums = hashlib.sha256((folder / SUMS_FILE).read_bytes()).hexdigest()
        signature = sign_text(_to_text(folder.name, sums, override), private_key)
        details[_DETAIL] = {"sums_sha256": sums, "signature": signature}
    if public_key is not None and not _is_good(folder.name, override, details, public_key):
        raise CheckpointError(
            f"{folder.name}: an override must be signed with the private half of {public_key.name} here."
            " Give it: hilum promote --override WHY --sign KEY."
        )
    return details


def find_unsigned(events: Iterable[Event], public_key: Path) -> list[str]:
    """Return one sentence for each override of a history that the holder of a key did not sign."""
    return [
        f"event {event.seq}: the override of {event.name} is not signed by the key {public_key.name}."
        for event in events
        if event.override is not None and not _is_good(event.name, event.override, event.details, public_key)
    ]


def _is_good(name: str, override: str, details: Mapping[str, Any], public_key: Path) -> bool:
    from hilum.registry.signing import is_signed

    signed = details.get(_DETAIL)
    if not isinstance(signed, Mapping):
        return False
    text = _to_text(name, str(signed.get("sums_sha256")), override)
    return is_signed(text, str(signed.get("signature")), public_key)


def _to_text(name: str, sums_sha256: str, override: str) -> str:
    """Return what is signed: no line of SHA256SUMS begins so, and neither signature passes for the other."""
    return f"hilum override\n{name}\n{sums_sha256}\n{override}\n"
