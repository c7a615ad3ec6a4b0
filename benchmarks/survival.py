"""Show that two trainings with one seed, and one killed three times, end with the same weights.

Runs `hilum train` as a user does, in processes of its own; SIGKILL comes at three random moments (seeded,
printed), each followed by `--resume`. Prints the hashes and exits 1 if any differs or a
kill came too late.

    python benchmarks/survival.py [--data FOLDER] [--seed 1]
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from commit import current_commit
from hilum.data.phantoms import draw_phantoms

SETTINGS = {
    "model.architecture": "tf_efficientnet_lite0",
    "training.epochs": "8",
    "training.freeze_backbone_epochs": "2",
    "scheduler.warmup_epochs": "1",
    "scheduler.restart_epochs": "2",
}
KILLS = 3


def start_training(data: Path, out: Path, *extra: str) -> "subprocess.Popen[str]":
    """Start `hilum train` with results on stdout as JSON."""
    command = [
        sys.executable,
        "-m",
        "hilum",
        "train",
        "--data",
        str(data),
        "--out",
        str(out),
        "--json",
        *extra,
    ]
    for key, value in SETTINGS.items():
        command += ["--set", f"{key}={value}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def train_whole(data: Path, out: Path, *extra: str) -> tuple[str, float]:
    """Train to the end and return the weights' hash and the seconds it took."""
    started = time.monotonic()
    process = start_training(data, out, *extra)
    stdout, stderr = process.communicate()
    if process.returncode:
        sys.exit(f"training failed: {stderr}")
    return json.loads(stdout)["weights_sha256"], time.monotonic() - started


def train_killed(data: Path, out: Path, *, seconds: float, chance: random.Random) -> tuple[str, list[str]]:
    """Kill a training at three random moments, resume after each, and return its hash and the moments."""
    moments = []
    for number in range(KILLS):
        process = start_training(data, out, "--resume")
        wait = chance.uniform(0.3, 0.5) * seconds
        try:
            process.wait(timeout=wait)
            moments.append("ended before the kill")
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            moments.append(f"kill {number + 1} after {wait:.1f} s")
    return train_whole(data, out, "--resume")[0], moments


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a data set; 120 phantoms by default")
    parser.add_argument("--seed", type=int, default=1, help="of the moments to kill at")
    parser.add_argument("--out", type=Path, default=Path("out/survival.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = arguments.data
        if data is None:
            data = Path(scratch) / "films"
            draw_phantoms(data, count=120, seed=1)
        train_whole(data, Path(scratch) / "warm")  # fills the pixel cache, so that the times compare
        first, seconds = train_whole(data, Path(scratch) / "a")
        second, _ = train_whole(data, Path(scratch) / "b")
        chance = random.Random(arguments.seed)
        killed, moments = train_killed(data, Path(scratch) / "c", seconds=seconds, chance=chance)
        files = {(Path(scratch) / run / "models/best_model.pt").read_bytes() for run in "abc"}
    print(f"first training      {first}\nsecond training     {second}\nkilled three times  {killed}")
    print(f"one training takes {seconds:.1f} s; {', '.join(moments)}")
    print(f"best_model.pt files that differ: {len(files) - 1}")
    record = {
        "commit": current_commit(),
        "seconds": seconds,
        "first": first,
        "second": second,
        "killed": killed,
        "moments": moments,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    was_killed = all(moment.startswith("kill") for moment in moments)
    sys.exit(0 if was_killed and len({first, second, killed}) == 1 and len(files) == 1 else 1)


if __name__ == "__main__":
    main()
