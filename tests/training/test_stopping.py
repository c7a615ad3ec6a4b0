from hilum.config.schema import EarlyStopping
from hilum.training.stopping import best_epoch, judge_history


def history(val_f1, val_loss=None, train_f1=None):
    return {
        "val_f1": list(val_f1),
        "val_loss": list(val_loss or [1.0 - 0.01 * i for i in range(len(val_f1))]),
        "train_f1": list(train_f1 or val_f1),
    }


ONLY_PATIENCE = EarlyStopping(
    convergence_detection=False, overfitting_detection=False, optimal_point_detection=False
)


def test_improvement_goes_on():
    verdict = judge_history(history([0.1 * i for i in range(9)]), EarlyStopping(), frozen_epochs=0)
    assert verdict == type(verdict)(False)


def test_patience_counts_from_the_first_best():
    scores = [0.5, 0.8, *[0.8 - 0.01 * i for i in range(9)]]
    assert not judge_history(history(scores), ONLY_PATIENCE, frozen_epochs=0).should_stop
    verdict = judge_history(history([*scores, 0.7]), ONLY_PATIENCE, frozen_epochs=0)
    assert verdict.reasons == ("patience: validation F1 has not risen above 0.8000 for 10 epochs",)
    assert best_epoch(history(scores)) == 1


def test_convergence_needs_a_flat_window_of_tuned_epochs():
    flat = [0.9, 0.901, 0.9005, 0.9008, 0.9001]
    settings = EarlyStopping(patience=99, optimal_point_detection=False)
    verdict = judge_history(history(flat), settings, frozen_epochs=0)
    assert verdict.reasons[0].startswith("convergence: validation F1 moved by 0.0010 over the last 5 epochs")
    assert not judge_history(history(flat), settings, frozen_epochs=1).should_stop
    assert not judge_history(history([*flat[:4], 0.91]), settings, frozen_epochs=0).should_stop


def test_overfitting_needs_a_growing_gap_and_a_rising_loss():
    train, val = [0.9, 0.93, 0.96, 0.99], [0.85, 0.86, 0.87, 0.88]
    settings = EarlyStopping(patience=99, convergence_detection=False)
    rising = judge_history(history(val, [0.5, 0.6, 0.7, 0.8], train), settings, frozen_epochs=0)
    assert rising.reasons[0].startswith("overfitting: for 3 epochs the F1 gap grew (to 0.110)")
    falling = judge_history(history(val, [0.8, 0.7, 0.6, 0.5], train), settings, frozen_epochs=0)
    assert not falling.should_stop
    small = judge_history(history(val, [0.5, 0.6, 0.7, 0.8], val), settings, frozen_epochs=0)
    assert not small.should_stop


def test_optimal_point_needs_both_curves_to_turn_together():
    f1 = [0.7, 0.8, 0.9, 0.85, 0.84, 0.86, 0.83, 0.85, 0.84]
    loss = [0.9, 0.6, 0.5, 0.52, 0.53, 0.55, 0.56, 0.57, 0.58]
    settings = EarlyStopping(patience=99, convergence_detection=False)
    verdict = judge_history(history(f1, loss, f1), settings, frozen_epochs=0)
    assert verdict.reasons == (
        "optimal point: validation F1 was highest in epoch 3 and validation loss lowest in epoch 3;"
        " 6 epochs since have beaten neither",
    )
    later_dip = [*loss[:-1], 0.4]
    assert not judge_history(history(f1, later_dip, f1), settings, frozen_epochs=0).should_stop


def test_switches_turn_detections_off():
    flat = [0.9] * 9
    assert not judge_history(history(flat), ONLY_PATIENCE, frozen_epochs=0).should_stop


def test_frozen_epochs_alone_judge_nothing():
    verdict = judge_history(history([0.5, 0.5]), EarlyStopping(), frozen_epochs=2)
    assert not verdict.should_stop
