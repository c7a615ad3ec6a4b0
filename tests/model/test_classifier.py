import pytest
import torch

from hilum.config.schema import ModelSettings, Preprocessing
from hilum.model.backbone import create_backbone
from hilum.model.classifier import FilmClassifier


def make(architecture: str = "test_efficientnet", normalization: str = "pretrained") -> FilmClassifier:
    torch.manual_seed(0)
    settings = Preprocessing(normalization=normalization)  # type: ignore[arg-type]
    return FilmClassifier(create_backbone(architecture), ModelSettings(), settings)


def test_head_is_the_reports():
    kinds = [type(layer).__name__ for layer in make("efficientnet_b0").head]
    assert kinds == ["BatchNorm1d", "Dropout", "Linear", "ReLU", "BatchNorm1d", "Dropout", "Linear"]
    head = make("efficientnet_b0").head
    assert (head[1].p, head[5].p) == (0.3, 0.15)
    assert (head[2].in_features, head[2].out_features, head[6].out_features) == (1280, 256, 3)


def test_parameters_are_counted_and_table_6_forgets_the_head():
    counts = make("efficientnet_b0").count_parameters()
    assert counts.trainable_frozen == 331_779  # the report says 330K
    assert (
        counts.total - counts.trainable_frozen == 4_007_548
    )  # the report's "4.0M in all" is the backbone alone
    assert counts.total == counts.trainable_unfrozen == 4_339_327


def test_frozen_backbone_gets_no_gradient_and_its_statistics_stand_still():
    network = make().train()
    network.set_backbone_frozen(True)
    before = {key: value.clone() for key, value in network.backbone.state_dict().items()}
    network(torch.rand(4, 1, 64, 64) * 255).sum().backward()
    assert all(parameter.grad is None for parameter in network.backbone.parameters())
    assert all(parameter.grad is not None for parameter in network.head.parameters())
    assert all(torch.equal(before[key], value) for key, value in network.backbone.state_dict().items())
    network.set_backbone_frozen(False)
    network(torch.rand(4, 1, 64, 64) * 255).sum().backward()
    assert all(parameter.grad is not None for parameter in network.backbone.parameters())
    assert not torch.equal(before["bn1.running_mean"], network.backbone.state_dict()["bn1.running_mean"])


def test_evaluation_mode_survives_freezing():
    network = make().eval()
    network.set_backbone_frozen(True)
    assert not network.training
    network.train()
    assert network.head.training
    assert not network.backbone.training


@pytest.mark.parametrize(
    ("architecture", "normalization", "mean"),
    [
        ("tf_efficientnet_lite0", "pretrained", 0.5),
        ("efficientnet_b0", "pretrained", 0.485),
        ("efficientnet_b0", "half", 0.5),
        ("tf_efficientnet_lite0", "imagenet", 0.485),
    ],
)
def test_input_statistics_follow_the_weights_unless_told(architecture: str, normalization: str, mean: float):
    assert float(make(architecture, normalization).mean[0, 0]) == pytest.approx(mean)


def test_uint8_and_float_films_score_the_same():
    network = make().eval()
    films = torch.randint(0, 256, (2, 1, 64, 64), dtype=torch.uint8)
    assert torch.equal(network(films), network(films.float()))


def test_score_agrees_with_forward():
    network = make().eval()
    films = torch.rand(2, 1, 64, 64) * 255
    scores = network.score(films)
    assert torch.allclose(scores.logits, network(films))
    assert scores.embedding.shape == (2, 256)
    assert scores.cam.shape == (2, 3, 2, 2)
