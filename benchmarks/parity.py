"""Whether a film gets one answer whichever way it is asked: checkpoint, both runtimes, command line, HTTP.

python benchmarks/parity.py DATA [--films 200]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from commit import current_commit
from hilum.config.schema import Preprocessing
from hilum.data.ingest import METADATA_FILE
from hilum.data.pixel_cache import decode_film
from hilum.domain.errors import InputError
from hilum.domain.findings import CLASS_NAMES
from hilum.evaluation.calibration import scale
from hilum.imaging.remedies import apply_remedies
from hilum.inference.runtime import open_runtime
from hilum.registry.bundle import GRAPH_FILE, find_released
from hilum.registry.scorers import load_model
from serving import UNLIMITED, ask_one, free_port, running, wait_ready

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured" / "parity.json"


def main() -> None:
    """Ask every way and write the largest differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--films", type=int, default=200)
    arguments = parser.parse_args()
    paths = choose_films(arguments.data, arguments.films)
    scorer, facts = load_model(None)
    pixels = np.stack(
        [decode_film(path.read_bytes(), name="film", side_px=scorer.side_px).pixels for path in paths]
    )
    reference = scorer.score(pixels)
    expected = scale(reference.logits.astype(np.float64), facts["temperature"])
    rows = {}
    for name in ("onnxruntime", "openvino"):
        runtime = open_runtime(find_released() / GRAPH_FILE, side_px=scorer.side_px, name=name)
        seen = apply_remedies(pixels, Preprocessing(**facts["settings"]["preprocessing"]))
        scores = [runtime.run(film[None]) for film in seen]
        rows[f"graph in {name}"] = {
            "logits": largest(np.concatenate([score.logits for score in scores]), reference.logits),
            "maps": largest(np.concatenate([score.cam for score in scores]), reference.cam),
        }
    rows["hilum predict"] = {"probabilities": largest(ask_command_line(paths), expected)}
    refused, answers = ask_service(paths)
    rows["POST /predict"] = {"probabilities": largest(answers, expected[~refused])}
    record = {
        "command": "python benchmarks/parity.py DATA",
        "commit": current_commit(),
        "model": facts["name"],
        "films": len(paths),
        "refused_by_the_gate": int(refused.sum()),
        "rows": rows,
    }
    MEASURED.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(rows, indent=1))


def choose_films(data: Path, count: int) -> list[Path]:
    """Return usable films spread over all of a data set."""
    lines = (data / METADATA_FILE).read_text().splitlines()
    column = lines[0].split(",").index("path")
    paths = sorted(data / line.split(",")[column] for line in lines[1:])
    chosen = []
    for path in paths[:: max(1, len(paths) // (count + 20))]:
        try:
            decode_film(path.read_bytes(), name="film", side_px=32)
        except InputError:
            continue
        chosen.append(path)
    return chosen[:count]


def ask_command_line(paths: list[Path]) -> np.ndarray:
    """Return probabilities (N, K) of `hilum predict --json`, the gate overruled."""
    done = subprocess.run(
        [sys.executable, "-m", "hilum", "predict", "-", "--json", "--no-gate"],
        input="\n".join(map(str, paths)),
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [json.loads(line)["probabilities"] for line in done.stdout.splitlines()]
    return np.array([[answer[name] for name in CLASS_NAMES] for answer in answers])


def ask_service(paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Return which films the service refuses, bool (N,), and the probabilities of the others."""
    port = free_port()
    refused, answers = [], []
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "hilum", "serve", "--demo", "--port", str(port), "--data", data]
        with running(command, port, **UNLIMITED) as process:
            assert process.stdout is not None
            keys = dict(process.stdout.readline().split() for _ in range(3))
            wait_ready(port)
            for path in paths:
                status, answer = ask_one(port, path.read_bytes(), keys["clinician"])
                refused.append(status == 422)
                if status == 200:
                    answers.append([answer["probabilities"][name] for name in CLASS_NAMES])
    return np.array(refused), np.array(answers)


def largest(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest absolute difference."""
    return float(np.abs(found - expected).max())


if __name__ == "__main__":
    main()
