import pytest

from hilum.domain.errors import DatasetError
from hilum.evaluation.generalization import read_gap

HISTORY = {"train_loss": [0.9, 0.7], "val_loss": [0.8, 0.6], "train_f1": [0.5, 0.806], "val_f1": [0.4, 0.783]}


def test_the_gap_is_that_of_the_kept_epoch():
    gap = read_gap({"history": HISTORY, "best_epoch": 1})
    assert (gap.epoch, gap.epochs, gap.train_loss, gap.val_loss) == (1, 2, 0.9, 0.8)
    assert gap.f1_gap == pytest.approx(0.1)


def test_without_a_kept_epoch_the_best_validation_f1_counts():
    gap = read_gap(HISTORY)
    assert gap.epoch == 2
    assert gap.f1_gap == pytest.approx(0.023)


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ({**HISTORY, "val_f1": []}, "'val_f1' is missing or empty"),
        ({**HISTORY, "val_f1": [0.5]}, "differ in length"),
        ({**HISTORY, "best_epoch": 3}, "best_epoch is 3; expected 1 to 2"),
    ],
)
def test_a_damaged_history_is_refused(history, message):
    with pytest.raises(DatasetError, match=message):
        read_gap(history)
