"""The closed form against automatic differentiation and against the grad-cam library."""

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from hilum.config.schema import ModelSettings, Preprocessing
from hilum.domain.findings import CLASS_NAMES
from hilum.model.backbone import create_backbone
from hilum.model.classifier import FilmClassifier


def random_classifier(architecture: str, seed: int) -> FilmClassifier:
    torch.manual_seed(seed)
    network = FilmClassifier(create_backbone(architecture), ModelSettings(), Preprocessing())
    for module in network.modules():  # statistics that differ from their initial 0 and 1
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(0.0, 0.4)  # features must not all die in a ReLU
    return network.eval()


@pytest.mark.parametrize("architecture", ["test_efficientnet", "tf_efficientnet_lite0", "efficientnet_b0"])
@pytest.mark.parametrize("seed", [1, 2])
def test_maps_equal_the_grad_cam_library(architecture: str, seed: int):
    network = random_classifier(architecture, seed)
    films = torch.randint(0, 256, (2, 1, 96, 96)).float()
    ours = network.score(films).cam.detach().numpy()
    assert ours.max() > 0, "zero maps would prove nothing"
    with GradCAM(model=network, target_layers=[network.backbone]) as library:
        for index, name in enumerate(CLASS_NAMES):
            targets = [ClassifierOutputTarget(index)] * len(films)
            scaled = library(input_tensor=films, targets=targets)  # (B, 96, 96), min-max scaled per film
            raw = library.get_cam_image(
                films, library.target_layers[0], targets,
                library.activations_and_grads.activations[0].numpy(),
                library.activations_and_grads.gradients[0].numpy(), eigen_smooth=False,
            )  # fmt: skip
            raw = np.maximum(raw, 0)
            assert np.abs(ours[:, index] - raw).max() <= 1e-4 * raw.max(), name
            for film in range(len(films)):
                assert np.abs(_scale_like_library(ours[film, index]) - scaled[film]).max() < 1e-4, name


def _scale_like_library(cam: np.ndarray) -> np.ndarray:
    from pytorch_grad_cam.utils.image import scale_cam_image

    # the library scales, enlarges, and scales again
    return scale_cam_image(scale_cam_image(cam[None], (96, 96)))[0]


def test_gradients_equal_autograd():
    network = random_classifier("test_efficientnet", 3)
    films = torch.rand(3, 1, 64, 64) * 255
    features = network.extract_features(films).detach().requires_grad_()
    logits = network.head(features.mean(dim=(2, 3)))
    cam = network.score(films).cam
    for index in range(len(CLASS_NAMES)):
        (gradient,) = torch.autograd.grad(logits[:, index].sum(), features, retain_graph=True)
        expected = torch.relu((gradient.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1))
        assert torch.allclose(cam[:, index], expected, atol=1e-6)


def test_maps_differ_between_classes_and_are_not_negative():
    torch.manual_seed(5)
    films = torch.rand(1, 1, 96, 96) * 255
    cam = random_classifier("tf_efficientnet_lite0", 1).score(films).cam.detach()
    assert cam.shape == (1, 3, 3, 3)
    assert float(cam.min()) >= 0.0
    assert not torch.equal(cam[0, 0], cam[0, 1])
