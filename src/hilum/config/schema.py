"""The settings of a training run, one section per table of the report.

Defaults are the report's. Every section is frozen and refuses unknown keys. A function takes its own
section, never the whole tree. Knows nothing about files: `hilum.config.load` reads YAML into this.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    """A frozen group of settings that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Preprocessing(Section):
    """Report Table 5."""

    image_size: Annotated[int, Field(ge=32, le=1024, multiple_of=32)] = 224
    """Side of the square network input, px."""
    normalization: Literal["pretrained", "imagenet", "half"] = "pretrained"
    """Channel mean and deviation: those the pretrained weights were made with, ImageNet's, or 0.5."""
    color_mode: Literal["rgb"] = "rgb"
    """The grey film is repeated over the three channels that pretrained stems expect."""
    border_crop: Annotated[float, Field(ge=0, le=0.25)] = 0.0
    """Share of the side cut off at each edge: letters and collimator borders tell the source."""
    effective_resolution: Annotated[int, Field(ge=0, le=1024)] = 0
    """Every film is first brought down to this side, px, so that sharpness tells nothing; 0 is off."""
    standardization: Literal["none", "film", "local"] = "none"
    """film: each film to one mean and deviation; local: to those of its neighbourhood, which also evens
    out exposure across the film."""
    inpaint_markers: bool = False
    """Paint over burned-in letters near the edge from what surrounds them."""
    lung_crop: bool = False
    """Cut the film to the box of its lungs where believable ones are found."""


class DataSettings(Section):
    """Where films go when the folder does not say: report 2.1 and Table 4."""

    train_share: Probability = 0.8
    val_share: Probability = 0.1
    test_share: Probability = 0.1

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        total = self.train_share + self.val_share + self.test_share
        if abs(total - 1.0) > 1e-6:  # noqa: PLR2004 - rounding of a sum of three decimals
            raise ValueError(f"train_share + val_share + test_share is {total:g}; the three must sum to 1")
        return self


class ClassStrength(Section):
    """By what the ranges and shares of augmentation are multiplied for the films of a class (report 13)."""

    normal: Annotated[float, Field(ge=0, le=5)] = 1.0
    pneumonia: Annotated[float, Field(ge=0, le=5)] = 1.0
    tuberculosis: Annotated[float, Field(ge=0, le=5)] = 1.0


class Augmentation(Section):
    """Report 3.3; Mixup and CutMix from its future work (4.7), off unless asked for."""

    horizontal_flip: bool = True
    rotation: bool = True
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 15.0
    color_jitter: bool = True
    brightness: Probability = 0.2
    contrast: Probability = 0.2
    affine: bool = True
    scale: tuple[Positive, Positive] = (0.9, 1.1)
    translate: Probability = 0.05
    """Largest shift as a share of the side."""
    stretch: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Largest change of the aspect ratio, natural logarithm: sources differ in how films were squared."""
    gamma: Annotated[float, Field(ge=0, lt=2)] = 0.0
    """Largest natural logarithm of the exponent that grey values in [0, 1] are raised to."""
    coarsening: Probability = 0.0
    """Share of films that are shrunk and enlarged again."""
    coarsest: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Smallest share of the side that `coarsening` shrinks to."""
    blur: Annotated[float, Field(ge=0, le=0.1)] = 0.0
    """Largest deviation of a Gaussian blur as a share of the side; half of the films are blurred."""
    sharpening: NonNegative = 0.0
    """Largest amount of unsharp masking, as detectors do it to edges; half of the films are sharpened."""
    jpeg: Probability = 0.0
    """Share of films that are compressed as JPEG, quality 20 to 90."""
    collimation: Probability = 0.0
    """Share of films whose edges get bands of an even grey, up to 12 % of the side wide."""
    noise: NonNegative = 0.0
    """Largest deviation of Gaussian noise, grey levels."""
    erasing: Probability = 0.0
    """Share of films of which a square of a quarter of the side is made an even grey."""
    amplitude_mixing: Probability = 0.0
    """Share of films whose Fourier amplitudes are mixed with another source's (Xu et al., CVPR 2021)."""
    mixup_alpha: NonNegative = 0.0
    """Beta(alpha, alpha) of Mixup (Zhang et al., ICLR 2018); 0 is off."""
    cutmix_alpha: NonNegative = 0.0
    """Beta(alpha, alpha) of CutMix (Yun et al., ICCV 2019); 0 is off. With both on, each batch draws one."""
    class_strength: ClassStrength = ClassStrength()
    """Class-specific augmentation (report 13); 1 for every class is off. Mirroring is left alone."""

    @model_validator(mode="after")
    def _strongest_class_is_still_a_film(self) -> Self:
        strongest = max(self.class_strength.model_dump().values())
        shares = (
            "brightness", "contrast", "translate", "coarsening", "jpeg", "collimation", "erasing",
            "amplitude_mixing",
        )  # fmt: skip
        beyond = [name for name in shares if getattr(self, name) * strongest > 1]
        if (1 - self.scale[0]) * strongest >= 1:
            beyond.append("scale")
        if beyond:
            raise ValueError(
                f"class_strength {strongest:g} takes {', '.join(beyond)} beyond what a film can be;"
                " lower one of them"
            )
        return self


class ModelSettings(Section):
    """Report Table 6."""

    architecture: str = "efficientnet_b0"
    """Any timm backbone with global average pooling."""
    weights: str = "auto"
    """auto or imagenet: ImageNet weights, from a package or the model hub, or a clear refusal;
    none: random, said loudly; anything else: the path of a state dict."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Before the hidden layer; the hidden layer's own dropout is half of it (0.15)."""
    hidden_features: Annotated[int, Field(ge=1)] = 256


class LossSettings(Section):
    """Report Table 7."""

    name: Literal["cross_entropy", "focal", "two_step"] = "cross_entropy"
    """two_step asks apart whether a film is normal and, of those that are not, which disease it is."""
    class_weights: Literal["inverse_frequency", "none"] = "inverse_frequency"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    focal_gamma: NonNegative = 2.0
    kind_weight: NonNegative = 0.3
    """Of two_step: weight of the question which disease, beside 1 for the question whether."""
    refit_kind: bool = False
    """Fit the last layer for which disease it is when training is over, holding sick or normal as learned:
    what `training.sampling: one_source` cannot learn on the way."""


class OptimizerSettings(Section):
    """Report Table 8."""

    name: Literal["adamw"] = "adamw"
    base_learning_rate: Positive = 1e-3
    weight_decay: NonNegative = 0.01
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)


class SchedulerSettings(Section):
    """Report Table 8."""

    name: Literal["cosine_annealing_warm_restarts"] = "cosine_annealing_warm_restarts"
    warmup_epochs: Annotated[int, Field(ge=0)] = 3
    warmup_start_factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    minimum_learning_rate: NonNegative = 1e-5
    restart_epochs: Annotated[int, Field(ge=1)] = 10
    """Length of the first cosine cycle; the report does not give it."""
    restart_multiplier: Annotated[int, Field(ge=1)] = 2
    """Each cycle is this many times as long as the one before; the report does not give it."""


class EarlyStopping(Section):
    """Report Table 10 and 4.7."""

    patience: Annotated[int, Field(ge=1)] = 10
    """Epochs without a better validation macro F1."""
    convergence_detection: bool = True
    overfitting_detection: bool = True
    optimal_point_detection: bool = True


class TrainingSettings(Section):
    """Report Tables 9 and 10."""

    batch_size: Annotated[int, Field(ge=2)] = 32
    """Films per optimiser step over all processes together."""
    epochs: Annotated[int, Field(ge=1)] = 50
    sampling: Literal["shuffled", "balanced", "one_source"] = "shuffled"
    """balanced: every class of every source equally often; one_source: each batch from a single source,
    half of it normal, so that nothing that differs between sources helps to tell the classes."""
    mixed_precision: bool = True
    """bf16 or fp16 on CUDA, bf16 on a CPU that computes with it, else off."""
    gradient_clipping_max_norm: Positive = 1.0
    freeze_backbone_epochs: Annotated[int, Field(ge=0)] = 5
    backbone_lr_factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    early_stopping: EarlyStopping = EarlyStopping()
    refit_offsets: bool = False
    """Fit one offset a class to the training films as they are when training is over: strong augmentation and
    balanced sampling move them."""
    half_precision_weights: bool = False
    """Round the kept model's convolutions and linear layers to values that 16 bits hold: its bundle is half
    as large, and is computed with in 32 bits as before."""
    stochastic_weight_averaging: bool = False
    """Average the weights of the final epochs (Izmailov et al., UAI 2018)."""
    averaging_start_share: Annotated[float, Field(gt=0, lt=1)] = 0.75
    """Share of the epochs after which averaging starts."""


class Reproducibility(Section):
    """Report Table 16."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    deterministic: bool = True
    cudnn_deterministic: bool = True
    cudnn_benchmark: bool = False
    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads; 0 takes all cores. Results are byte-equal only between runs with equal threads."""


class SearchSpace(Section):
    """Report Table 11."""

    learning_rate: tuple[Positive, ...] = (1e-4, 5e-4, 1e-3, 3e-3)
    weight_decay: tuple[NonNegative, ...] = (0.001, 0.01, 0.1)
    dropout: tuple[Probability, ...] = (0.2, 0.3, 0.5)
    unfreeze_epoch: tuple[Annotated[int, Field(ge=0)], ...] = (3, 5, 10)
    label_smoothing: tuple[Probability, ...] = (0.0, 0.1, 0.2)


class Tracking(Section):
    """Where metrics go beside `training_history.json`: report 7.4."""

    backend: Literal["none", "mlflow", "tensorboard", "wandb"] = "none"
    experiment: str = "hilum"


class TrainConfig(Section):
    """Everything that decides a training run."""

    preprocessing: Preprocessing = Preprocessing()
    data: DataSettings = DataSettings()
    augmentation: Augmentation = Augmentation()
    model: ModelSettings = ModelSettings()
    loss: LossSettings = LossSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    training: TrainingSettings = TrainingSettings()
    reproducibility: Reproducibility = Reproducibility()
    search: SearchSpace = SearchSpace()
    tracking: Tracking = Tracking()
