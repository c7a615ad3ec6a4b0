"""Ways in which a bundle can be bad, each done to a whole one; `sealed` ones carry checksums that agree."""

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from hilum.registry.bundle import (
    BUNDLE_FILE,
    GRAPH_FILE,
    SELFTEST_FILE,
    SIGNATURE_FILE,
    SUMS_FILE,
    WEIGHTS_FILE,
    sum_files,
)
from hilum.registry.signing import make_keys, sign_bundle
from tests.harness.models import make_bundle

Damage = Callable[[Path], None]
HUGE_HEADER_BYTES = 100 * 10**9


def seal(folder: Path) -> None:
    """Write checksums that agree."""
    (folder / SUMS_FILE).write_text(sum_files(folder))


def cut(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    path.write_bytes(data)


def _facts(**changes: Any) -> Damage:
    def change(folder: Path) -> None:
        file = folder / BUNDLE_FILE
        facts = {**json.loads(file.read_text()), **changes}
        file.write_text(json.dumps({key: value for key, value in facts.items() if value is not None}))

    return _sealed(change)


def _sealed(change: Damage) -> Damage:
    def do(folder: Path) -> None:
        change(folder)
        seal(folder)

    return do


def _content(name: str, content: bytes) -> Damage:
    return lambda folder: _ignore((folder / name).write_bytes(content))


def _ignore(_: object) -> None:
    return None


def _offsets(values: list[float]) -> Damage:
    def change(folder: Path) -> None:
        graph = onnx.load(str(folder / GRAPH_FILE))
        for tensor in graph.graph.initializer:
            if tensor.name == "offsets":
                tensor.CopyFrom(numpy_helper.from_array(np.array(values, np.float32), "offsets"))
        onnx.save(graph, str(folder / GRAPH_FILE))

    return _sealed(change)


def _link(folder: Path) -> None:
    outside = folder.parent / f".{folder.name}.outside"
    (folder / WEIGHTS_FILE).rename(outside)
    (folder / WEIGHTS_FILE).symlink_to(outside)


def _pipe(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()
    os.mkfifo(folder / WEIGHTS_FILE)


def _other_release(folder: Path) -> None:
    for name in (BUNDLE_FILE, "card.md"):
        path = folder / name
        path.write_text(path.read_text().replace(folder.name, "mean_v9.9.9_20260504"))
    seal(folder)


def _no_selftest(folder: Path) -> None:
    (folder / SELFTEST_FILE).unlink()


class _Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("/tmp/hilum-torture-a-pickle-was-run",)  # noqa: S108


PICKLE = pickle.dumps(_Runs())
PICKLE_WAS_RUN = Path("/tmp/hilum-torture-a-pickle-was-run")  # noqa: S108
_HUGE = struct.pack("<Q", HUGE_HEADER_BYTES) + b"{}"

DAMAGES: dict[str, Damage] = {
    "weights cut": lambda folder: cut(folder / WEIGHTS_FILE, 0.5),
    "a bit of the graph": lambda folder: flip(folder / GRAPH_FILE, 1600),
    "graph cut": lambda folder: cut(folder / GRAPH_FILE, 0.9),
    "weights missing": lambda folder: (folder / WEIGHTS_FILE).unlink(),
    "graph missing, sealed": _sealed(lambda folder: (folder / GRAPH_FILE).unlink()),
    "self-test missing, sealed": _sealed(_no_selftest),
    "checksums missing": lambda folder: (folder / SUMS_FILE).unlink(),
    "checksums empty": _content(SUMS_FILE, b""),
    "a record that is no JSON, sealed": _sealed(_content(BUNDLE_FILE, b"{")),
    "a record that is a list, sealed": _sealed(_content(BUNDLE_FILE, b"[]")),
    "a record nested 100,000 deep, sealed": _sealed(_content(BUNDLE_FILE, b"[" * 100_000)),
    "a record without weights' hash, sealed": _facts(weights_sha256=None),
    "a file too many": _content("extra.txt", b"x"),
    "a link": _link,
    "a pipe": _pipe,
    "classes in another order, sealed": _facts(class_names=["Pneumonia", "Normal", "Tuberculosis"]),
    "two classes, sealed": _facts(class_names=["Normal", "Pneumonia"]),
    "an old schema, sealed": _facts(schema_version=0),
    "another side of the input, sealed": _facts(settings={"model": {}, "preprocessing": {"image_size": 32}}),
    "NaN weights, sealed": _offsets([float("nan"), 0.0, 4.0]),
    "infinite weights, sealed": _offsets([0.0, float("inf"), 4.0]),
    "weights of another shape, sealed": _offsets([0.0, 1.0, 2.0, 3.0]),
    "self-test with a header of 100 GB, sealed": _sealed(_content(SELFTEST_FILE, _HUGE)),
    "self-test that is a pickle, sealed": _sealed(_content(SELFTEST_FILE, PICKLE)),
    "graph that is a pickle, sealed": _sealed(_content(GRAPH_FILE, PICKLE)),
    "graph of 0 bytes, sealed": _sealed(_content(GRAPH_FILE, b"")),
    "whole, with other weights than were tested, sealed": _offsets([0.0, 0.5, 4.0]),
    "another release under this name, sealed": _other_release,
}
"""What a service without a signing key must catch."""


def signature_damages(private: Path, folder_of_another: Path) -> dict[str, Damage]:
    """What a service with a key must catch besides; each begins with a signed bundle."""
    other, _ = make_keys(folder_of_another)

    def of_another_key(folder: Path) -> None:
        sign_bundle(folder, other)

    def pickle_added(folder: Path) -> None:
        (folder / "model.pkl").write_bytes(PICKLE)
        seal(folder)

    def of_another_bundle(folder: Path) -> None:
        twin = make_bundle(folder.parent / f".{folder.name}.twin", "8.0.0")
        sign_bundle(twin, private)
        (folder / SIGNATURE_FILE).write_bytes((twin / SIGNATURE_FILE).read_bytes())

    return {
        "no signature": lambda folder: (folder / SIGNATURE_FILE).unlink(),
        "a bit of the signature": lambda folder: flip(folder / SIGNATURE_FILE, 100),
        "signature of 0 bytes": _content(SIGNATURE_FILE, b""),
        "signature of another key": of_another_key,
        "signature of another bundle": of_another_bundle,
        "a pickle added, sealed": pickle_added,
        "other weights, sealed": _offsets([0.0, 0.5, 4.0]),
    }
