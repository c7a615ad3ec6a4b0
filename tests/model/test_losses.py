import numpy as np
import pytest
import torch
from torch.nn import functional

from hilum.config.schema import LossSettings
from hilum.domain.errors import EmptyDataset
from hilum.model.losses import ClassificationLoss, inverse_frequency_weights

COUNTS = np.array([7263, 4674, 8513])


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(16, 3, generator=generator)
    labels = torch.randint(0, 3, (16,), generator=generator)
    return logits, labels, functional.one_hot(labels, 3).float()


def test_weights_are_the_reports_formula():
    weights = inverse_frequency_weights(COUNTS)
    assert weights.tolist() == pytest.approx([20450 / (3 * n) for n in COUNTS])
    assert float(weights[1] / weights[2]) == pytest.approx(8513 / 4674)  # the report's imbalance, 1.83


def test_absent_class_is_refused():
    with pytest.raises(EmptyDataset, match="training split has no Tuberculosis film"):
        inverse_frequency_weights(np.array([3, 2, 0]))


def test_quotient_equals_torchs_weighted_smoothed_mean():
    logits, labels, targets = batch()
    loss = ClassificationLoss(LossSettings(), COUNTS)
    total, normalizer = loss(logits, targets)
    expected = functional.cross_entropy(
        logits, labels, weight=inverse_frequency_weights(COUNTS), label_smoothing=0.1
    )
    assert float(total / normalizer) == pytest.approx(float(expected), rel=1e-6)


def test_focal_loss_by_hand():
    settings = LossSettings(name="focal", class_weights="none", label_smoothing=0.0, focal_gamma=2.0)
    logits = torch.log(torch.tensor([[0.9, 0.05, 0.05]]))
    total, normalizer = ClassificationLoss(settings, COUNTS)(logits, torch.tensor([[1.0, 0.0, 0.0]]))
    assert float(total) == pytest.approx(0.1**2 * -np.log(0.9), rel=1e-5)
    assert float(normalizer) == 1.0


def test_gamma_is_ignored_by_cross_entropy():
    logits, _, targets = batch()
    settings = LossSettings(class_weights="none", label_smoothing=0.0)
    total, normalizer = ClassificationLoss(settings, COUNTS)(logits, targets)
    assert float(total / normalizer) == pytest.approx(
        float(functional.cross_entropy(logits, targets)), rel=1e-6
    )


def test_two_step_loss_by_hand():
    settings = LossSettings(name="two_step", label_smoothing=0.0, kind_weight=0.5)
    loss = ClassificationLoss(settings, COUNTS)
    p = torch.tensor([[0.7, 0.2, 0.1]])
    normal, _ = loss(torch.log(p), torch.tensor([[1.0, 0.0, 0.0]]))
    assert float(normal) == pytest.approx(-np.log(0.7), rel=1e-5)
    tuberculosis, normalizer = loss(torch.log(p), torch.tensor([[0.0, 0.0, 1.0]]))
    assert float(tuberculosis) == pytest.approx(-np.log(0.3) - 0.5 * np.log(0.1 / 0.3), rel=1e-5)
    assert float(normalizer) == 1.0


def test_two_step_without_kind_cannot_tell_the_diseases_apart():
    loss = ClassificationLoss(LossSettings(name="two_step", kind_weight=0.0), COUNTS)
    logits = torch.tensor([[0.3, 1.2, -0.4]], requires_grad=True)
    total, _ = loss(logits, torch.tensor([[0.0, 1.0, 0.0]]))
    other, _ = loss(logits, torch.tensor([[0.0, 0.0, 1.0]]))
    assert float(total.detach()) == pytest.approx(float(other.detach()))


def test_two_step_smoothing_splits_evenly_within_each_question():
    loss = ClassificationLoss(LossSettings(name="two_step", label_smoothing=0.2, kind_weight=1.0), COUNTS)
    logits = torch.log(torch.tensor([[0.5, 0.4, 0.1]]))
    total, _ = loss(logits, torch.tensor([[0.0, 1.0, 0.0]]))
    assert float(total) == pytest.approx(-np.log(0.5) - 0.9 * np.log(0.8) - 0.1 * np.log(0.2), rel=1e-5)
