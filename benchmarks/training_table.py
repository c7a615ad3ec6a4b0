"""Write one table of films to train on from several folders, with only the films that may train.

A folder's `sources.csv` says which: its splits where it has them; else its films go to `train`, unless
`may_train` is not yes or the film is Normal (healthy adults at places that the model is to be tested at).
Sources that hold sick films alone become one, so that none of them is drawn as often as a whole hospital.

    python benchmarks/training_table.py ../shared/data/{cxr,hannover,casereports} --out films.csv \
        [--elsewhere elsewhere.csv]

`--elsewhere`, in the same folder, gets the films that may not train, as an external split to evaluate on.
"""

import argparse
from os.path import relpath
from pathlib import Path

import pandas as pd

from hilum.data.ingest import METADATA_FILE
from hilum.domain.findings import Finding

COLUMNS = ["path", "label", "split", "source", "patient_id"]
SICK_ALONE = "covid_adults"


def read_folder(folder: Path, beside: Path) -> pd.DataFrame:
    """Return a folder's films, paths relative to `beside`; what may not train has the split `external`."""
    films = pd.read_csv(folder / METADATA_FILE)
    films["path"] = [relpath(folder / path, beside) for path in films["path"]]
    if "split" not in films:
        may_train = films["may_train"].eq("yes") & films["label"].ne(Finding.NORMAL)
        films["split"] = may_train.map({True: "train", False: "external"})
        films["source"] = films["source"].where(~may_train, SICK_ALONE)
    return films[COLUMNS]


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--elsewhere", type=Path)
    arguments = parser.parse_args()
    first, *others = (read_folder(folder, arguments.out.parent) for folder in arguments.folders)
    further = pd.concat([first.head(0), *others])
    is_elsewhere = further["split"] == "external"
    films = pd.concat([first, further[~is_elsewhere]])
    films.to_csv(arguments.out, index=False)
    print(films.groupby(["split", "source", "label"]).size().to_string())
    if arguments.elsewhere:
        validation = first[first["split"] == "val"]
        pd.concat([validation, further[is_elsewhere]]).to_csv(arguments.elsewhere, index=False)


if __name__ == "__main__":
    main()
