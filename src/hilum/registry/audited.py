"""What the audit said of the data that a model learned from, for its bundle and card: the blockers.

Reads the record that `hilum audit` wrote. Names of films stay behind: a bundle travels.
"""

import json
from pathlib import Path
from typing import Any

from hilum.domain.errors import CheckpointError

AUDIT_FILE = "audit.json"
_BLOCKER = "blocker"


def read_audit(path: Path, *, data_sha256: str) -> dict[str, Any]:
    """Return the blockers of an audit, each with the reason it was accepted for, or None.

    Parameters
    ----------
    path
        Folder that `hilum audit` wrote, or its audit.json.
    data_sha256
        Of the data that the model learned from.

    Raises
    ------
    CheckpointError
        If it is no audit, or of other data.
    """
    file = path / AUDIT_FILE if path.is_dir() else path
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        audited, version, films = (record[name] for name in ("data_sha256", "hilum_version", "films"))
        blockers = [
            {
                "code": str(row["code"]),
                "sentence": str(row["sentence"]),
                "accepted": row["figures"].get("accepted"),
            }
            for row in record["findings"]
            if row["severity"] == _BLOCKER or "accepted" in row["figures"]
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file}: is no record of an audit. Run `hilum audit` first.") from error
    if audited != data_sha256:
        raise CheckpointError(
            f"{file}: is of other data ({str(audited)[:12]}; the model learned from {data_sha256[:12]})."
            " Run `hilum audit` on the data that the model was trained on, or leave --audit out."
        )
    return {"data_sha256": audited, "hilum_version": version, "films": films, "blockers": blockers}
