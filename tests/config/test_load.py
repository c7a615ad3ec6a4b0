import re
from pathlib import Path

import pytest
import yaml

from hilum.config.load import dump_config, load_config, override_config, validate_config
from hilum.config.schema import TrainConfig
from hilum.domain.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parents[2]


def test_shipped_file_holds_every_setting_with_the_default():
    path = REPOSITORY / "configs" / "train_config.yaml"
    tree = yaml.safe_load(path.read_text())
    assert tree == dump_config(TrainConfig())
    assert load_config(path) == TrainConfig()


def test_defaults_are_the_reports():
    config = load_config()
    assert config.model.architecture == "efficientnet_b0"
    assert config.preprocessing.image_size == 224
    assert (config.model.dropout, config.model.hidden_features) == (0.3, 256)
    assert config.optimizer.base_learning_rate == 1e-3
    assert config.optimizer.betas == (0.9, 0.999)
    assert config.scheduler.minimum_learning_rate == 1e-5
    assert (config.training.batch_size, config.training.epochs) == (32, 50)
    assert config.training.freeze_backbone_epochs == 5
    assert config.training.early_stopping.patience == 10
    assert config.loss.label_smoothing == 0.1
    assert config.reproducibility.seed == 42
    assert config.search.dropout == (0.2, 0.3, 0.5)


def test_overrides_win_over_the_file(tmp_path: Path):
    path = tmp_path / "c.yaml"
    path.write_text("training:\n  epochs: 7\n")
    config = load_config(
        path,
        overrides=[
            "training.epochs=9",
            "optimizer.base_learning_rate=1e-4",
            "training.early_stopping.patience=2",
        ],
    )
    assert config.training.epochs == 9
    assert config.optimizer.base_learning_rate == 1e-4
    assert config.training.early_stopping.patience == 2
    assert config.training.batch_size == 32


def test_values_of_every_yaml_kind_are_parsed():
    config = load_config(
        overrides=["augmentation.scale=[0.8, 1.2]", "augmentation.rotation=false", "model.weights=none"]
    )
    assert config.augmentation.scale == (0.8, 1.2)
    assert config.augmentation.rotation is False
    assert config.model.weights == "none"


def test_empty_file_means_defaults(tmp_path: Path):
    path = tmp_path / "c.yaml"
    path.write_text("")
    assert load_config(path) == TrainConfig()


def test_unknown_keys_are_all_listed_with_the_allowed_ones(tmp_path: Path):
    path = tmp_path / "c.yaml"
    path.write_text("training:\n  epoch: 7\n  early_stopping:\n    patienc: 3\nlosss: {}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    message = str(caught.value)
    assert "unknown key training.epoch; allowed here: batch_size, epochs" in message
    assert "unknown key training.early_stopping.patienc; allowed here: patience" in message
    assert "unknown key losss; allowed here: preprocessing, data" in message
    assert "\n" not in message


def test_wrong_value_names_key_value_and_rule():
    with pytest.raises(
        ConfigError, match=re.escape("model.dropout: Input should be less than 1 (found 1.5)")
    ):
        load_config(overrides=["model.dropout=1.5"])


def test_shares_must_sum_to_one():
    with pytest.raises(ConfigError, match="data: .*is 0.9; the three must sum to 1"):
        load_config(overrides=["data.train_share=0.7"])


def test_wrong_value_at_the_top_is_called_settings():
    with pytest.raises(ConfigError, match="settings: Input should be"):
        validate_config([], origin="x")  # type: ignore[arg-type]


@pytest.mark.parametrize("item", ["training.epochs", "=3", "training..epochs=3"])
def test_malformed_override_is_refused(item: str):
    with pytest.raises(ConfigError, match=r"expected section.key=value"):
        load_config(overrides=[item])


def test_override_through_a_value_is_refused():
    with pytest.raises(ConfigError, match="epochs is a value, not a section"):
        load_config(overrides=["training.epochs=1", "training.epochs.x=1"])


def test_override_with_broken_yaml_is_refused():
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(overrides=["training.epochs=[1"])


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [1", "is not valid YAML"), ("- 1\n- 2\n", "holds a list; expected sections: preprocessing")],
)
def test_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str, message: str):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read .*existing file to --config"):
        load_config(tmp_path / "none.yaml")


def test_folder_given_as_the_file_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="is not a regular file. Give an existing file to --config"):
        load_config(tmp_path)


def test_tree_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        load_config().training.epochs = 3  # type: ignore[misc]


def test_settings_are_put_on_top_of_a_configuration_and_checked():
    given = load_config(overrides=["training.epochs=7"])
    changed = override_config(given, ["training.batch_size=8"])
    assert (changed.training.epochs, changed.training.batch_size) == (7, 8)
    assert given.training.batch_size == 32
    with pytest.raises(ConfigError, match=r"--set"):
        override_config(given, ["training.nonsense=1"])


def test_classes_are_augmented_alike_unless_one_is_named():
    strength = load_config(
        overrides=["augmentation.class_strength.tuberculosis=2"]
    ).augmentation.class_strength
    assert (strength.normal, strength.pneumonia, strength.tuberculosis) == (1.0, 1.0, 2.0)
    with pytest.raises(ConfigError, match=r"class_strength\.cavity; allowed here: normal, pneumonia, tub"):
        load_config(overrides=["augmentation.class_strength.cavity=2"])


def test_a_strength_that_leaves_no_film_is_refused_with_what_it_takes_too_far():
    far = ["augmentation.class_strength.tuberculosis=4", "augmentation.brightness=0.3"]
    with pytest.raises(ConfigError, match="class_strength 4 takes brightness beyond what a film can be"):
        load_config(overrides=far)
    with pytest.raises(ConfigError, match="class_strength 2 takes scale beyond"):
        load_config(overrides=["augmentation.class_strength.normal=2", "augmentation.scale=[0.5, 1.0]"])
