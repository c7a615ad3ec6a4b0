"""How to adapt to a site without labels, chosen on sources left out: share of its statistics, its score.

Takes the networks that `benchmarks/remedies.py` trained without one source, and looks at the source's own
films. The external site is not looked at.

    python benchmarks/adaptation.py DATA --work remedies
"""

import argparse
import json
from pathlib import Path

import numpy as np

from commit import current_commit
from hilum.data.ingest import open_dataset
from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.discrimination import weighted_auroc
from hilum.evaluation.site_score import fit_site_score
from hilum.evaluation.unseen_site import abnormal_log_odds
from hilum.model.scoring import Scorer

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured" / "adaptation.json"
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
COMPONENTS = (0, 2, 4, 8)
"""0: the network's own log odds."""


def main() -> None:
    """Measure every network that is there, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("remedies"))
    parser.add_argument("--leave-out", default="kermany", help="sources not to judge by, comma-separated")
    arguments = parser.parse_args()
    unjudged = arguments.leave_out.split(",")
    rows = []
    for folder in sorted(arguments.work.glob("*/leave-one-out/without-*")):
        source = folder.name.removeprefix("without-")
        checkpoint = folder / "models" / "best_model.pt"
        if source not in unjudged and (folder / "leave_one_out.json").is_file():
            row = {"network": folder.parents[1].name, "source": source}
            rows.append({**row, "auroc": measure(checkpoint, arguments.data, source)})
            print(rows[-1], flush=True)
    means = {
        name: float(np.mean([row["auroc"][name] for row in rows]))
        for name in (rows[0]["auroc"] if rows else ())
    }
    record = {
        "shares": SHARES,
        "components": COMPONENTS,
        "sources_not_judged_by": unjudged,
        "rows": rows,
        "means": means,
        "command": "python benchmarks/adaptation.py DATA --work FOLDER",
        "commit": current_commit(),
    }
    MEASURED.write_text(json.dumps(record, indent=1) + "\n")


def measure(checkpoint: Path, data: Path, source: str) -> dict[str, float]:
    """Return the AUROC of sick against normal by 'share, components'."""
    scorer = Scorer.from_checkpoint(checkpoint)
    dataset = open_dataset(data, scorer.config)
    rows = dataset.manifest
    held = rows["excluded"].isna() & (rows["source"] == source) & rows["split"].isin(["train", "val"])
    films, sick = dataset.pixels[held.to_numpy()], (rows["label"][held] != CLASS_NAMES[0]).to_numpy()
    found = {}
    for share in SHARES:
        scores = scorer.adapt_to(films, share=share).score(films)
        own = abnormal_log_odds(scores.logits)
        for components in COMPONENTS:
            fitted = own
            if components:
                site = fit_site_score(scores.embedding, own, components=components)
                fitted = site.score(scores.embedding)
            found[f"{share:g}, {components}"] = float(
                weighted_auroc(fitted, sick, np.ones((1, len(sick))))[0]
            )
    return found


if __name__ == "__main__":
    main()
