"""Reads the Dockerfile and its .dockerignore far enough to check and to follow them."""

import fnmatch
import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its word in capitals and the rest as one line."""

    word: str
    rest: str

    def words(self) -> list[str]:
        """Return the exec form; raises ValueError for the shell form."""
        found = json.loads(self.rest)
        assert isinstance(found, list)
        return found


def read_stages(path: Path = DEPLOY / "Dockerfile") -> list[list[Instruction]]:
    """Return the instructions by stage, each beginning with its FROM."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    stages: list[list[Instruction]] = []
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stages.append([])
        stages[-1].append(Instruction(word.upper(), rest.strip()))
    return stages


def all_of(stage: list[Instruction], word: str) -> list[Instruction]:
    return [instruction for instruction in stage if instruction.word == word]


def enters_build(path: str, ignore: Path = DEPLOY / "Dockerfile.dockerignore") -> bool:
    """Tell whether a file of the repository is sent to the build: the last pattern that matches decides."""
    patterns = [line for line in ignore.read_text().splitlines() if line and not line.startswith("#")]
    is_sent = True
    for pattern in patterns:
        if _matches(path, pattern.removeprefix("!")):
            is_sent = pattern.startswith("!")
    return is_sent


def _matches(path: str, pattern: str) -> bool:
    parts = path.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    if pattern.startswith("**/"):
        tails = ["/".join(parts[start:count]) for count in range(1, len(parts) + 1) for start in range(count)]
        return any(fnmatch.fnmatchcase(tail, pattern[3:].replace("**", "*")) for tail in tails)
    return any(_same_depth(one, pattern) for one in above)


def _same_depth(path: str, pattern: str) -> bool:
    return path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern)
