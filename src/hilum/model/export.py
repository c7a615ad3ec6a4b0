"""A trained network as an ONNX graph that takes grey films and needs no torch to be run.

    films      uint8 (B, S, S)         as `hilum.imaging` decodes them, after the model's remedies
    logits     float32 (B, K)
    embedding  float32 (B, C)
    cam        float32 (B, K, h, w)    Grad-CAM of every class, unscaled, >= 0

Normalising is inside; so is the closed form of Grad-CAM (`hilum.model.attention`), so that explaining is no
second pass.
"""

import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxscript import optimizer
from torch import Tensor, nn

from hilum.files import write_atomic
from hilum.model.classifier import FilmClassifier, Scores

INPUT_NAME = "films"
OUTPUT_NAMES = ("logits", "embedding", "cam")
_OPSET = 20
_EXAMPLE_FILMS = 2  # one would be taken for a constant
_FLOAT32 = onnx.TensorProto.FLOAT
_MIN_HALVED_DIMENSIONS = 2  # what `training.half_precision_weights` rounds; the rest is small


class _Graph(nn.Module):
    def __init__(self, network: FilmClassifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, films: Tensor) -> Scores:
        return self.network.score(films.unsqueeze(1))


def export_graph(network: FilmClassifier, path: Path, *, side_px: int) -> None:
    """Write a network in inference mode as an ONNX file, whole or not at all.

    Parameters
    ----------
    network
        On any device; not changed.
    side_px
        S, the side of the films it was trained on.
    """
    device = next(network.parameters()).device
    films = torch.zeros(_EXAMPLE_FILMS, side_px, side_px, dtype=torch.uint8, device=device)
    talkers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [talker.level for talker in talkers]
    for talker in talkers:
        talker.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own, about its own internals
            program = torch.onnx.export(
                _Graph(network).eval(),
                (films,),
                dynamo=True,
                input_names=[INPUT_NAME],
                output_names=list(OUTPUT_NAMES),
                dynamic_shapes={"films": {0: torch.export.Dim("batch", min=1)}},
                opset_version=_OPSET,
                verbose=False,
                optimize=False,  # would melt batch normalisation into weights, which 16 bits then do not hold
            )
        assert program is not None  # only with fallback to the old exporter
        optimizer.fold_constants(program.model)
        optimizer.remove_unused_nodes(program.model)
        model = program.model_proto
        _store_in_half(model)
        write_atomic(path, _without_origins(model))
    finally:
        for talker, level in zip(talkers, levels, strict=True):
            talker.setLevel(level)


def _store_in_half(model: onnx.ModelProto) -> None:
    """Store weights that 16 bits hold exactly in 16 bits.

    A runtime turns them back into 32 once, when it loads the graph.
    """
    for tensor in list(model.graph.initializer):
        values = onnx.numpy_helper.to_array(tensor)
        if values.ndim < _MIN_HALVED_DIMENSIONS or not is_half(torch.from_numpy(values.copy())):
            continue
        name = f"{tensor.name}.half"
        cast = onnx.helper.make_node("Cast", [name], [tensor.name], name=f"{name}.cast", to=_FLOAT32)
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values.astype(np.float16), name))
        model.graph.node.insert(0, cast)


def is_half(tensor: Tensor) -> bool:
    """Return whether a float32 tensor holds only values that float16 holds."""
    return tensor.dtype == torch.float32 and torch.equal(tensor.half().float(), tensor)


def _without_origins(model: onnx.ModelProto) -> bytes:
    """Return a graph without what the exporter notes of every node: files and lines of its machine."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
        value.doc_string = ""
    del model.graph.metadata_props[:]
    return bytes(model.SerializeToString(deterministic=True))
