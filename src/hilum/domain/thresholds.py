"""Every domain number, once: value, unit, meaning and source.

Fitted values (temperature, cut-offs) are not here: they belong to a model and travel with it.
"Report" is the technical report that hilum implements, by table or section. Direction is part of the
name: `MIN_` and `MAX_` are bounds that are themselves allowed.
"""

from typing import Final

# --- Reading an image -------------------------------------------------------------------------
MIN_SIDE_PX: Final = 100
"""Pixels. A film with a shorter side is excluded as too small. Report Table 4."""

MAX_ASPECT_RATIO: Final = 3.0
"""Long side / short side. Above it a film is excluded: resizing would distort it. Report Table 4."""

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
"""Bytes of one file, checked before it is opened as an image: `MAX_PIXELS` of 16-bit grey uncompressed are 48
MiB, a 43 x 43 cm detector at 0.1 mm is 35 MiB. A test holds it against the detectors on the market."""

MAX_PIXELS: Final = 25_000_000
"""Pixels (width x height) read from the header, checked before decoding: a decompression bomb stops here. A
43 x 43 cm detector at 0.1 mm has 18.4 million, a 35 x 43 cm film digitised at 0.0875 mm 19.7 million."""

MAX_SIDE_PX: Final = 6_000
"""Pixels of the longer side, from the header. A 43 cm plate at 0.1 mm is 4,300 pixels."""

MIN_BITS_STORED: Final = 8
"""Bits per grey sample that carry enough for a radiograph; below it (1-bit masks) is not a film."""

MAX_BITS_STORED: Final = 16
"""Bits per grey sample that DICOM DX, CR and grey PNG or TIFF use at most."""

# --- Training ---------------------------------------------------------------------------------
TRAIN_SAMPLE_FILMS: Final = 512
"""Training films that are scored as they are, in inference mode, after each epoch: the train side of Table 12
and of the overfitting rule. Ours: a macro F1 of 512 films is known to about 0.02."""

# --- What a header claims about a person ---------------------------------------------------------
TB_SCREENING_MIN_AGE_YEARS: Final = 15
"""Years. From this age WHO recommends computer-aided detection on chest radiographs for tuberculosis (WHO
consolidated guidelines on tuberculosis, module 2: screening, 2021)."""

OLDEST_STATED_AGE_YEARS: Final = 90
"""Years. Higher ages are kept as this: over 89 an age is an identifier (45 CFR 164.514(b)(2)(i)(C))."""

LONGEST_LIFE_YEARS: Final = 125
"""Years. A header's age beyond it is a placeholder; the longest life on record had 122."""

# --- Exposed field ---------------------------------------------------------------------------
FIELD_EVEN_GREY_RANGE: Final = (6.0, 20.0)
"""Grey levels (of 255), least and most. A pixel counts as equal to the median of its line within this:
compression leaves a few levels in a black band, scatter up to 20 in a bright one. Ours."""

FIELD_EVEN_SPREAD_SHARE: Final = 0.08
"""Share of a picture's spread (98th minus 2nd percentile) that is taken for noise of its border. Ours."""

FIELD_EVEN_SHARE: Final = 0.94
"""Share of a line's pixels that are equal in a border: a side marker may lie in it, a chest may not. Ours."""

FIELD_LETTER_SHARE: Final = 0.08
"""Share of a picture's side that letters in a border take, at most, with as much even border behind them."""

FIELD_MIN_SIDE: Final = 0.25
"""Share of a picture's side that an exposed field has at least; below it nothing is cut. Ours."""

FIELD_MIN_AREA: Final = 0.12
"""Share of a picture that an exposed field covers at least; below it nothing is cut. Ours."""

FIELD_MIN_TILT_DEGREES: Final = 1.0
"""Degrees. A field turned less is cut as if upright: its wedge is below 2 % of the side."""

FIELD_MAX_TILT_DEGREES: Final = 12
"""Degrees. A field turned further is not looked for: the plate lies within a few degrees of the tube."""

# --- Duplicate clusters for splitting ---------------------------------------------------------
DUPLICATE_MAX_HASH_BITS: Final = 6
"""Differing bits of a 64-bit perceptual hash up to which two films are compared by pixel."""

DUPLICATE_MIN_CORRELATION: Final = 0.985
"""Pearson correlation of two 32 x 32 thumbnails from which films count as one. Chest films look alike:
unrelated films reach about 0.95, so a hash alone cries wolf."""

DUPLICATE_MIN_DETAIL_CORRELATION: Final = 0.9
"""Correlation of the fine detail of two films from which they are one picture. A second film of the same
patient reaches 0.82 on phantoms; copies made brighter, smaller by a third or JPEG at 60 have 0.987 and
more."""

FINGERPRINT_DETAIL_SIDE_PX: Final = 64
"""Pixels of the square in which fine detail is compared."""

FINGERPRINT_DETAIL_SIGMA_PX: Final = 2.0
"""Deviation of the Gaussian whose result is taken away to leave the detail."""

# --- Decisions --------------------------------------------------------------------------------
HIGH_SENSITIVITY_PROBABILITY: Final = 0.3
"""Probability of a disease class from which screening calls it. Report Table 15."""

HIGH_SPECIFICITY_PROBABILITY: Final = 0.7
"""Probability of a disease class from which confirmation calls it. Report Table 15."""

WHO_TRIAGE_MIN_SENSITIVITY: Final = 0.90
"""Sensitivity for tuberculosis that WHO asks of a triage test (target product profile, 2014)."""

WHO_TRIAGE_MIN_SPECIFICITY: Final = 0.70
"""Specificity for tuberculosis that WHO asks of a triage test (target product profile, 2014)."""

# --- Measuring --------------------------------------------------------------------------------
CONFIDENCE_LEVEL: Final = 0.95
"""Coverage of every interval that is printed."""

BOOTSTRAP_RESAMPLES: Final = 1_000
"""Resamples of patients behind an interval."""

CALIBRATION_BINS: Final = 15
"""Equal-width bins of the expected calibration error (Guo et al., ICML 2017)."""

MAX_ECE: Final = 0.1
"""Expected calibration error above which probabilities must be recalibrated. Report Table 22, 8.3."""

MAX_CLASS_ERROR_RATE: Final = 0.40
"""Share of a class that is misclassified above which the class is said to fail. Report Table 22."""

MIN_FILMS_FOR_CLAIM: Final = 10
"""Films of a class below which its sensitivity is not printed as a finding, only as a count."""

# --- Explaining -------------------------------------------------------------------------------
UPPER_ZONE_END: Final = 1 / 3
"""Share of the lung height where the upper zone ends (chest film reading convention: equal thirds)."""

MIDDLE_ZONE_END: Final = 2 / 3
"""Share of the lung height where the middle zone ends."""

MIN_LUNG_AREA_SHARE: Final = 0.10
"""Share of the film that two lungs fill at least; a segmentation below it is not believed."""

MAX_LUNG_AREA_SHARE: Final = 0.65
"""Share of the film that two lungs fill at most; a segmentation above it is not believed."""

# --- Training: the smart early stopping of report 4.7 --------------------------------------------
CONVERGENCE_WINDOW_EPOCHS: Final = 5
"""Epochs looked back on when asking whether validation F1 still moves."""

CONVERGENCE_MAX_F1_RANGE: Final = 0.002
"""Highest minus lowest validation F1 inside the window below which training has converged."""

OVERFITTING_MIN_F1_GAP: Final = 0.10
"""Train F1 minus validation F1 from which the model memorises; the report's own gap is 0.024 (Table 12)."""

OVERFITTING_EPOCHS: Final = 3
"""Consecutive epochs of growing gap and rising validation loss before overfitting is called."""

OPTIMAL_POINT_MAX_DISTANCE_EPOCHS: Final = 2
"""Epochs between the highest validation F1 and the lowest validation loss that still count as one point."""

OPTIMAL_POINT_EPOCHS_AFTER: Final = 6
"""Epochs without a better F1 or loss after which such a point is called the optimum."""

AVERAGED_MAX_F1_LOSS: Final = 0.002
"""Validation F1 by which averaged weights may fall short of the best epoch and still be taken: less than one
film in 440. The best epoch is the luckiest of many; an average is flatter (Izmailov et al., UAI 2018)."""

# --- Evaluation page ---------------------------------------------------------------------------
WORST_CONFUSED_FILMS: Final = 12
"""Films shown on the evaluation page, the most confidently wrong first."""

CROSS_CHECK_TOLERANCE: Final = 1e-6
"""Largest difference between two ways to the same figure that is rounding."""

# --- Reading an image: grey values and fingerprints ------------------------------------------------
MAX_INFLATED_BYTES: Final = 64 * 1024 * 1024
"""Bytes that a deflated DICOM data set may inflate to, counted while inflating: those of a file at most."""

ROBUST_WINDOW_PERCENTILES: Final = (0.5, 99.5)
"""Percent of the grey values where black and white are put when a file gives no usable window: burned-in
markers and dead detector cells hold fewer pixels than that."""

FULL_RANGE_16_BIT: Final = 32_768
"""Grey value. 16-bit data whose 99.5th percentile reaches it fill their container: a picture made for
display, scaled by 257. Below it they are detector values of fewer bits and need a window."""

MAX_UNDEFINED_SHARE: Final = 0.001
"""Share of the pixels of a floating-point picture that may be NaN or infinite, shown black: dead cells of a
detector. More could be a part of the film that nothing is known of. Ours."""

MAX_FLOAT_GREY: Final = 1e30
"""Grey value of floating-point pictures above which, or below its negative, a pixel counts as infinite:
programs mark what they do not know with the largest number there is (3.4e38, 1.8e308). Ours."""

FINGERPRINT_DCT_SIDE_PX: Final = 32
"""Pixels of the square whose DCT is hashed (Zauner 2010, 3.2.1)."""

FINGERPRINT_HASH_SIDE: Final = 8
"""Lowest frequencies kept per axis; 8 x 8 make the 64 bits (Zauner 2010, 3.2.1)."""

NEAR_PAIR_BLOCKS: Final = 9
"""Blocks a hash is cut into for the search of near pairs. With 6 bits of difference 3 blocks stay whole:
84 keys of 21 bits. 8 blocks make 28 keys of 16 bits, ten times the comparisons at a million hashes."""

FINGERPRINT_THUMBNAIL_SIDE_PX: Final = 32
"""Pixels of the thumbnail whose correlation decides whether two films are one."""

# --- Evaluation statistics -----------------------------------------------------------------------
MIN_TEMPERATURE: Final = 0.05
"""Lowest softmax temperature that the fit may return; a fit that ends here says so."""

MAX_TEMPERATURE: Final = 20.0
"""Highest softmax temperature that the fit may return; a fit that ends here says so."""

MAX_CALIBRATION_SLOPE_DEVIATION: Final = 0.15
"""Distance of the reliability slope from 1 above which probabilities are said to be off. Report Table 22."""

MAX_SOURCE_AUROC_DROP: Final = 0.05
"""AUROC (sick against normal) by which one source may lie below the best source before the page says so.
Ours: 0.05 is about half of the drop that a first look at an unseen site usually shows."""

CHANCE_AUROC: Final = 0.5
"""AUROC of a score that knows nothing."""

FAIR_AUROC: Final = 0.70
"""AUROC from which discrimination is worded as fair; below it as poor (Hosmer and Lemeshow, 2000, 5.2.4)."""

GOOD_AUROC: Final = 0.80
"""AUROC from which discrimination is worded as good. Report Table 14 (0.840 is "good")."""

VERY_GOOD_AUROC: Final = 0.85
"""AUROC from which discrimination is worded as very good. Report Table 14 (0.897 is "very good")."""

EXCELLENT_AUROC: Final = 0.95
"""AUROC from which discrimination is worded as excellent. Report Table 14 (0.987 is "excellent")."""

AGE_BAND_STARTS_YEARS: Final = (0, 5, 18, 40, 65)
"""First year of each age band in subgroup tables: infant and toddler, child, young, middle-aged, old."""

# --- Phantoms ----------------------------------------------------------------------------------
MIN_LESION_ZONE_SHARE: Final = 0.03
"""Share of a lung zone that a drawn lesion covers before the zone is said to hold it."""

# --- Lung fields -------------------------------------------------------------------------------
MIN_LUNG_CONTRAST: Final = 0.65
"""Grey deviations of the film by which lungs are darker than what surrounds them; below it no pair is
believed. Of 96 public films looked at, the 4 with a misplaced outline reached 0.56, the well
outlined 0.72 and more."""

MAX_AIR_LEAK: Final = 0.02
"""Share of the usual place of the lungs that air around the body may seem to cover before it is not air."""

MIN_LUNG_SHAPE_OVERLAP: Final = 0.55
"""Intersection over union of the lungs found and the outline fitted, from which they are believed."""

MAX_LUNG_SIDE_RATIO: Final = 2.5
"""Larger lung over smaller lung, by area, up to which two fields are believed to be a pair."""

# --- Where a map looks -------------------------------------------------------------------------
POINTING_TOLERANCE_PX: Final = 15
"""Pixels at a film side of 224 by which a map's maximum may miss a lesion and still point at it
(Zhang et al., IJCV 2018, the pointing game: 15 pixels)."""

POINTING_REFERENCE_SIDE_PX: Final = 224
"""Side of the film that the pointing tolerance refers to; it scales with the film."""

MIN_EXPECTED_ZONE_SHARE: Final = 0.5
"""Share of the attention inside the lungs that the zones of Table 26 must hold for a map to agree with it:
the larger part."""

EVEN_MAP_TOLERANCE: Final = 1e-6
"""Share by which zones must hold more attention than lung area: above rounding, so that an even map fails."""

MIN_BILATERAL_SIDE_SHARE: Final = 0.2
"""Share of the attention inside the lungs that the weaker side holds at least when a pattern is bilateral."""


# --- Remedies against shortcuts ------------------------------------------------------------------
MARKER_MIN_GREY: Final = 180
"""Grey level (of 255). The core of a burned-in letter is near white. Ours, from letters of four sources."""

MARKER_MIN_CONTRAST_GREY: Final = 60
"""Grey levels. A letter stands out this much from what surrounds it within its own size. Ours."""

MARKER_MAX_SIDE_SHARE: Final = 0.10
"""Share of the film's side. No letter is larger; a clavicle or the heart is. Ours."""

MARKER_EDGE_ZONE: Final = 0.22
"""Share of the side from the nearest edge within which letters are looked for. Ours: lungs lie inside."""

LUNG_BOX_MARGIN: Final = 0.10
"""Share of the box of the lungs that is kept around it: apices and angles lie at its edge. Ours."""

# --- Referral and commissioning --------------------------------------------------------------------
CONFORMAL_MISS_RATE: Final = 0.10
"""Share of a class's films whose prediction set may miss the class. Ours: report 12.4 asks for no number."""

MAX_MISS_RATE: Final = 0.05
"""Share of films with a disease that may go without a reader. Ours: half of what WHO's 90 % would allow."""

READABLE_SHARES: Final = (0.25, 0.5, 0.75)
"""Films that readers can read by films that arrive, for which a feasible promise is told. Ours."""

LOW_CONFIDENCE_PROBABILITY: Final = 0.70
"""An answer below this probability is flagged for a reader (report 12.4 asks for it, without a number; this
is the cut-off of its confirmation scenario, Table 15)."""

MIN_COMMISSIONING_FILMS: Final = 100
"""Labelled films below which a site profile gets no cut-off of its own: the issue's 100 to 500. Ours."""

ADAPTATION_SHARE: Final = 0.5
"""Weight of a site's own normalisation statistics beside those of training. Ours, by sources left out: of 0,
0.25, 0.5 and 1 it ranks films best on average over five models and two sources."""

SITE_COMPONENTS: Final = 4
"""Principal components of a site's embeddings that its score is fitted on. Ours, by sources left out: of 3,
4, 6 and 8; they differ little."""

MAX_TAUGHT_LOG_ODDS: Final = 3.0
"""Log odds beyond which a network's own answer teaches a site's score no more: 95 %. Ours."""

MIN_ADAPTATION_FILMS: Final = 64
"""Unlabelled films below which a site's normalisation statistics are not estimated: one training batch of
the order that the network learned with. Ours; `benchmarks/commissioning.py` shows figures by number."""

# --- Robustness ----------------------------------------------------------------------------------
# Five severities, mild to heavy: the first is barely visible, the last still readable by a person. Ours, set
# by eye on films of four sources before any model was scored. Lengths are shares of the film's side, so that
# one severity looks the same at every input size.
NOISE_DEVIATIONS_GREY: Final = (3.0, 7.0, 13.0, 22.0, 35.0)
"""Grey levels. Standard deviation of Gaussian noise per pixel."""

BLUR_DEVIATION_SHARES: Final = (0.003, 0.005, 0.007, 0.011, 0.016)
"""Share of the side. Standard deviation of a Gaussian blur; 0.016 is 3.6 pixels of 224."""

JPEG_QUALITIES: Final = (75, 50, 30, 15, 8)
"""JPEG quality (libjpeg scale, 100 best) that the film is stored at once."""

CONTRAST_FACTORS: Final = (0.9, 0.75, 0.6, 0.45, 0.3)
"""Factor on the distance of every pixel from the film's mean grey."""

GAMMA_EXPONENTS: Final = (1.1, 1.3, 1.6, 2.0, 2.6)
"""Exponent on grey / 255, or its inverse: half of the films are darkened, half brightened."""

RESOLUTION_SHARES: Final = (0.75, 0.55, 0.4, 0.3, 0.2)
"""Share of the side that is kept when the film is made small and large again."""

ROTATION_DEGREES: Final = (2.0, 5.0, 9.0, 14.0, 20.0)
"""Degrees of rotation to either side about the middle; what was outside is black."""

CROP_SHARES: Final = (0.03, 0.07, 0.12, 0.18, 0.25)
"""Share of the side lost in height and in width, split at random between opposite edges; then enlarged."""

OCCLUSION_AREA_SHARES: Final = (0.005, 0.015, 0.03, 0.06, 0.1)
"""Share of the area under one near-white square, as an implant or a coin throws it, anywhere on the film."""

GRID_AMPLITUDES_GREY: Final = (2.0, 5.0, 9.0, 15.0, 24.0)
"""Grey levels. Amplitude of the vertical stripes that a badly matched anti-scatter grid leaves."""

GRID_PERIOD_SHARE: Final = 0.03
"""Share of the side. Distance between two grid lines after sampling: 6.7 pixels of 224."""

PHOTO_STRENGTHS: Final = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Share of the full photo of a film on a light box, whose parts the next four numbers give."""

PHOTO_KEYSTONE_SHARE: Final = 0.08
"""Share of the side by which each corner moves at most when a camera is held askew."""

PHOTO_VIGNETTE: Final = 0.5
"""Share of the light lost in the corners."""

PHOTO_GLARE_GREY: Final = 110.0
"""Grey levels. Brightness of the spot of a lamp reflected in the film."""

PHOTO_BLUR_SHARE: Final = 0.006
"""Share of the side. Standard deviation of the blur of an unsteady hand."""

TEXT_LINES: Final = (1, 2, 4, 6, 9)
"""Lines of white burned-in text: corners first, then over the chest."""

TEXT_HEIGHT_SHARE: Final = 0.035
"""Share of the side. Height of a burned-in letter."""

ATTACK_EPSILONS_GREY: Final = (0.5, 1.0, 2.0, 4.0)
"""Grey levels (of 255). Largest change of any pixel by an adversarial attack; 1 is invisible."""

ATTACK_STEPS: Final = 10
"""Steps of projected gradient descent, each 2.5 epsilon / steps long (Madry et al., ICLR 2018, code)."""

MILD_SEVERITY: Final = 2
"""Highest severity that must not change answers: an everyday difference between two sites."""

MODERATE_SEVERITY: Final = 3
"""Highest severity at which a fall is a warning; above it a note."""

INVISIBLE_EPSILON_GREY: Final = 1.0
"""Grey levels up to which an attack cannot be seen; a fall there is a warning."""

BLOCKING_DROP: Final = 0.10
"""Fall of accuracy, AUROC, sensitivity or specificity that blocks, when its interval lies above. Ours."""

WARNING_DROP: Final = 0.05
"""Fall that warns, when its interval lies above. Ours: as `MAX_SOURCE_AUROC_DROP`."""

# --- Audit probes: shortcuts, confounding, label noise, recovered patients --------------------------
PROBE_FOLDS: Final = 5
"""Folds of every cross-validated probe; a patient is in one of them."""

PROBE_INVERSE_PENALTY: Final = 0.01
"""Inverse strength of the L2 penalty of a logistic probe on standardised features. Ours: of 1 and 0.01 the
one that carries hundreds of features on a few hundred films."""

MIN_PROBE_PATIENTS: Final = 25
"""Patients on the smaller side below which no probe is run: five per fold, and an interval wider than 0.3."""

BORDER_SHARE: Final = 0.11
"""Share of the side that counts as border. Lungs seldom reach it on a well-collimated film."""

SHORTCUT_BLOCKER_AUROC: Final = 0.70
"""Lower bound of the AUROC inside one source, without the lungs, from which a shortcut blocks: what is called
fair discrimination (Hosmer and Lemeshow, 2000, 5.2.4)."""

SHORTCUT_WARNING_AUROC: Final = 0.60
"""Lower bound of the AUROC without the lungs from which a shortcut warns. Ours: half-way to fair."""

PATCH_GRID: Final = 8
"""Cells per side of the map of what gives a class away."""

PATCH_MAX_LUNG_SHARE: Final = 0.05
"""Mean share of lung in a cell up to which the cell lies outside the lungs."""

FALSE_DISCOVERY_RATE: Final = 0.05
"""Share of false ones among the cells of the map that are named (Benjamini and Hochberg, 1995)."""

# --- Explanations tested before shown ------------------------------------------------------------
DELETION_STEPS: Final = 10
"""Equal portions in which the cells of a map leave the film (Petsiuk et al., BMVC 2018, 4.3, go pixel by
pixel; a map of 49 cells has no more to say)."""

DELETION_BLUR_SHARE: Final = 0.1
"""Deviation of the Gaussian that takes a place out of a film, as a share of its side: opacities of a few
centimetres go, the shape of the chest stays."""

MAX_RANDOMIZED_RANK_CORRELATION: Final = 0.5
"""Mean |Spearman| of a model's maps with those of networks that learned nothing, up to which the maps depend
on what was learned. Ours: an edge detector reaches 1.0, unrelated maps of 49 cells about 0.12, and films of
one pose have something in common whatever the weights."""

# --- Audit: inventory, quality, duplicates -------------------------------------------------------
COLOUR_MIN_CHANNEL_GREY: Final = 24
"""Grey levels by which the channels of a pixel lie apart before it is coloured: JPEG does less to grey."""

TYPICAL_MIN_CORRELATION: Final = 0.3
"""Correlation with the first mean film of a set from which a film has a part in the second mean."""

MARKER_PERMUTATIONS: Final = 5_000
"""Shuffles of the labels behind the p-value of the letter test; the smallest p-value is one in 5,001."""

MARKER_MAX_P: Final = 0.01
"""Family-wise p-value up to which letters tied to a class are a finding: one clean set in a hundred
alarms."""

MARKER_NOTE_MAX_P: Final = 0.05
"""Family-wise p-value up to which letters are noted as suspected; one clean set in twenty is."""

MARKER_BLOCKER_DIFFERENCE: Final = 0.30
"""Difference of the letters' prevalence between a class and the rest from which they block. Ours."""

BLANK_MAX_SPREAD_GREY: Final = 20
"""Grey levels from the 2nd to the 98th percentile up to which a film shows nothing; 2,963 public films have
102 and more."""

SATURATED_MIN_WHITE_SHARE: Final = 0.25
"""Share of white pixels from which a film is overexposed; 2,963 public films reach 0.17."""

SATURATED_MIN_BLACK_SHARE: Final = 0.50
"""Share of black pixels from which a film is clipped; 2,963 public films reach 0.45, by collimation."""

COLOUR_MIN_SHARE: Final = 0.02
"""Share of coloured pixels from which a picture is in colour: a film with a coloured stamp is, too."""

INVERTED_MAX_CORRELATION: Final = -0.3
"""Correlation with the mean film of the set below which black and white are exchanged; no public film of
2,963 goes below -0.07."""

ROTATED_MIN_CORRELATION: Final = 0.4
"""Correlation that a turned film must reach once it is turned back."""

ROTATED_MIN_MARGIN: Final = 0.15
"""By how much the mean film must fit better after a quarter or half turn. On 2,963 public films it raises 6
false alarms and finds 96 to 100 % of quarter turns and, by source, 84 to 99 % of half turns."""

NOT_CHEST_MAX_CORRELATION: Final = 0.2
"""Best correlation with the mean film, in any turn or inverted, up to which a picture is not believed to be a
chest; about 15 of 2,963 public films lie below, nearly all of them turned copies."""

FILM_MIN_ENTROPY_BITS: Final = 4.5
"""Entropy of the grey histogram below which a picture is a drawing; public films have 5.2 bits or more."""

FILM_MAX_EDGE_SHARE: Final = 0.2
"""Share of edge pixels above which a picture is text or things; 2,963 public films reach 0.125."""

FILM_MAX_FINE_SHARE: Final = 0.1
"""Share of the variance in the finest detail above which a picture is text or noise; films reach 0.047."""

LATERAL_MAX_MIRROR_CORRELATION: Final = 0.0
"""Correlation of a film with its mirror image up to which it may be a lateral one. Ours, from frontal films
alone: how many laterals it finds was not measured."""

LATERAL_MAX_TYPICAL_CORRELATION: Final = 0.4
"""Correlation with the mean film up to which an asymmetric film may be a lateral one."""

MIN_FILMS_FOR_TYPICAL: Final = 20
"""Films that a mean film is made of at least before a film is judged by it."""

IMBALANCE_WARNING_RATIO: Final = 4.0
"""Films of the largest class to films of the smallest from which it is a warning; the report has 1.83."""

MAX_SPLIT_SHARE_DIFFERENCE: Final = 0.10
"""Difference of a class's share between training and another split up to which the splits are alike."""

PERCENT_ROUNDING: Final = 0.06
"""Percentage points by which a percentage stated with one decimal may differ from its own counts."""

RATIO_ROUNDING: Final = 0.006
"""By how much a ratio stated with two decimals may differ from its own counts."""

EFFECTIVE_RESOLUTION_ENERGY: Final = 0.9
"""Share of a film's gradient energy below its effective resolution. Ours: 128-pixel films enlarged to 224
get 99 px of it, films that were larger 150 to 210."""

NEARLY_PURE_SHARE: Final = 0.95
"""Share of one class in a source from which the source is said to hold one class only."""

MAX_RESOLUTION_RATIO: Final = 1.25
"""Median effective resolution of one source over that of another from which they are said to differ. Ours."""

MIN_RECOVERY_MARGIN: Final = 0.17
"""Cosine to the nearest film minus cosine to the next, from which two films without patient identifiers are
candidates for one patient. Ours: 17 of 20 such pairs are right where identifiers are known; 25 of 72 at
0.10."""

MIN_RECOVERY_FILMS: Final = 100
"""Films of a data set below which no patient is recovered: a nearest film among few means nothing."""

MIN_LUNG_HEAT_RATIO: Final = 1.0
"""Share of a map's heat inside the lungs over the share of the film that they fill, below which a map is
withheld: an even map, which looks nowhere, has 1. Declared, not fitted: a percentile of validation maps
would let any model's worst habit pass."""

MIN_PEAK_SHARE: Final = 0.25
"""Share of the median peak of validation maps of a finding, below which the evidence of a map is weak. Ours:
on validation 1 in 100 maps of called findings lie below, and from a fifth to nearly all of those not
called."""

# --- Input gate ----------------------------------------------------------------------------------
GATE_LET_THROUGH_SHARE: Final = 0.99
"""Share of validation films that all checks of the input gate together let through. Issue 3."""

GATE_MARGIN_SHARE: Final = 0.5
"""Share of the gap between films let through and wrong films made of validation films by which a limit is
moved into the gap, for sites whose films lie further out than any seen. Ours: the middle."""

GATE_WRONG_FILM_QUANTILE: Final = 0.05
"""Quantile of the wrong films' scores that the gap ends at: 95 of 100 lie beyond it. Ours."""

GATE_RIDGE_SHARE: Final = 0.1
"""Mean variance of the features by which their covariance is shrunk when a check is fitted. Ours: 0.01 to 1
gave let-through at a source left out within a few points of each other."""

GATE_EMBEDDING_COMPONENTS: Final = 32
"""Principal components that span what training films look like to the network. Ours: 16 and 32 did alike."""

GATE_MAX_FIT_FILMS: Final = 1200
"""Training films that a gate is fitted on at most, drawn by lot. Ours: it keeps the fit
near a minute."""

GATE_DRAWN_FILMS: Final = 40
"""Drawn pictures of each of five makers that the network is shown, to see where what is no film
lies. Ours."""

GATE_MIN_FILMS: Final = 10
"""Training films, and validation films, below which no gate is fitted."""

GATE_CENTRE_MARGIN: Final = 0.15
"""Share of the side left out at each edge when contrast is judged: collimation and air are no fault."""

# --- Service -------------------------------------------------------------------------------------
MAX_BODY_BYTES: Final = 128 * 1024 * 1024
"""Bytes of a request with several films: two of the largest, or ten of 0.14 mm compressed. RELIABILITY 3.1
has 64 MiB, which two films of a 43 x 43 cm detector at 0.1 mm exceed."""

MAX_BATCH_FILMS: Final = 10
"""Films of one request. Report Table 27."""

MAX_JSON_BYTES: Final = 16 * 1024
"""Bytes of a request that carries JSON; the largest that is meant has some 200. Ours."""

MAX_FORM_OVERHEAD_BYTES: Final = 64 * 1024
"""Bytes of a form beside its films: boundaries and the headers of the parts. Ours."""

MAX_HEADER_BYTES: Final = 16 * 1024
"""Bytes of a request's header block: names, values and four bytes a line. RELIABILITY 3.1."""

MAX_HEADERS: Final = 100
"""Lines of a request's header block; browsers and proxies send 10 to 30. Ours."""

MAX_HEADER_S: Final = 10.0
"""Seconds from the first byte of a request (or the TLS handshake) to the end of its header. Ours."""

BODY_GRACE_S: Final = 10.0
"""Seconds of a body in which its rate is not judged, and of silence within it. RELIABILITY 3.1."""

MIN_BODY_BYTES_PER_S: Final = 64 * 1024
"""Bytes a second that a body must reach after `BODY_GRACE_S`. RELIABILITY 3.1."""

MAX_PART_HEADERS: Final = 8
"""Header lines of a part of a form; browsers send two. Ours."""

MAX_PART_HEADER_BYTES: Final = 4096
"""Bytes of one header line of a part: a long file name fits, and is thrown away. Ours."""

RATE_WINDOW_S: Final = 60
"""Seconds of the moving window in which requests are counted. Report Table 24: a minute."""

REQUESTS_PER_WINDOW: Final = 100
"""Requests per key in `RATE_WINDOW_S`. Report Table 24."""

IMAGES_PER_WINDOW: Final = 300
"""Films per key in `RATE_WINDOW_S`, so that batches do not multiply the limit by ten. RELIABILITY 5."""

AUTH_FAILURES_PER_WINDOW: Final = 10
"""Failed log-ins per network in `RATE_WINDOW_S` before it is told to wait. RELIABILITY I5."""

MAX_FILMS_IN_WORK: Final = 10
"""Films at once with the engine or waiting for it, per worker: eight may wait while two are scored.
RELIABILITY G."""

MAX_UPLOADS: Final = 64
"""Requests with films whose bodies are read or held at once, per worker. Ours."""

MAX_UPLOAD_BYTES: Final = 512 * 1024 * 1024
"""Bytes that bodies in memory may have together, by what they declare. Ours: eight full batches."""

MAX_RETRY_AFTER_S: Final = 10
"""Seconds that a client is told to wait at most when there is too much work. RELIABILITY G."""

ENGINE_FAILURES_TO_FALL_BACK: Final = 5
"""Failures in a row of a model at run time before the previous version replaces it. RELIABILITY F2."""

ALIAS_POLL_S: Final = 0.5
"""Seconds between looks at the production alias. RELIABILITY E4 allows 5 s for a swap."""

SWITCH_POLL_S: Final = 0.5
"""Seconds for which a key or the lockdown switch is believed without asking again; a revocation must hold
after 1 s. RELIABILITY I4, U."""

REOPEN_S: Final = 30.0
"""Seconds between attempts to open a model while there is none."""

DRAIN_S: Final = 25.0
"""Seconds for requests in flight after SIGTERM; the whole exit may take 30 s. RELIABILITY R2."""

JWKS_CACHE_S: Final = 300.0
"""Seconds for which the keys of an identity provider are believed without asking again. Ours."""

MAX_TOKEN_BYTES: Final = 8 * 1024
"""Bytes of a credential; identity providers issue tokens of 1 to 4 KiB. Ours."""

HSTS_S: Final = 31_536_000
"""Seconds for which a browser that came by TLS comes by TLS only: a year, as RFC 6797 shows."""

# --- Promotion -----------------------------------------------------------------------------------
MAX_BUNDLE_NAME_LENGTH: Final = 120
"""Characters of a bundle's name. Ours: a file system allows 255, and the folder's name gets a prefix."""

MAX_REASON_LENGTH: Final = 500
"""Characters of who, why and an override in the history of a registry. Ours."""

REGISTRY_LOCK_WAIT_S: Final = 30.0
"""Seconds that a change of a registry waits for another one to end before it is refused. Ours."""

KEPT_PREVIOUS_VERSIONS: Final = 3
"""Versions that were production before and stay for a rollback when a registry is pruned. Report Table 20
asks for N."""

PROMOTION_MIN_MACRO_AUROC: Final = 0.90
"""Lower bound of the interval of macro AUROC that a model must reach to become production. The report's
model has 0.908 (section 1)."""

PROMOTION_MIN_SENSITIVITY: Final = 0.75
"""Lower bound of the interval of the sensitivity for each disease at the screening cut-off that a model must
reach. Ours: half-way between Table 22's failing class (0.60) and WHO's 0.90, which no few dozen films
prove."""

PROMOTION_MAX_LOSS: Final = 0.02
"""By how much the lower bound of a figure (AUROC, sensitivity) may lie below that of the current version on
the same films. Ours: the width that another seed moves it by."""

PROMOTION_MAX_SUBGROUP_GAP: Final = 0.10
"""AUROC of sick against normal by which a group of films may be told apart less well than the best group:
from the best group's lower bound to the group's upper bound, so that only a proven gap refuses. Ours."""

PROMOTION_MAX_CALLED_SHIFT: Final = 0.15
"""Share of films called by a scenario, or sent to a reader, that may change against the current version with
each version's own cut-offs. Report Table 22: class distribution."""

PROMOTION_NOTED_PSI: Final = 0.2
"""Population stability index of the confidence, new version against current on the same films, from which it
is said that cut-offs cannot be carried over. Report Table 22."""

# --- Journal -------------------------------------------------------------------------------------
JOURNAL_ANONYMISE_DAYS: Final = 90
"""Days after which a record loses user and network address. Report 9.3."""

JOURNAL_PURGE_DAYS: Final = 365
"""Days after which a record is deleted. Report 9.3: one year."""

JOURNAL_MAX_RETENTION_SHARE: Final = 0.20
"""Share of the records that one run of retention may change unasked; more looks like a clock that jumped.
Ours: a daily run changes about one in ninety."""

JOURNAL_RETENTION_BATCH: Final = 5_000
"""Records that retention changes in one transaction, so that appends need not wait for long. Ours."""

JOURNAL_CHECKPOINT_RECORDS: Final = 1_000
"""Records after which the head of the chain is signed outside the database. Ours: with the next number the
window in which a cut tail goes unseen."""

JOURNAL_CHECKPOINT_SECONDS: Final = 60.0
"""Seconds after which the head of the chain is signed when records came. Ours."""

JOURNAL_LOCK_SECONDS: Final = 0.7
"""Seconds that a transaction waits for another process. Ours: two fit into the limit of an append."""

JOURNAL_APPEND_SECONDS: Final = 1.6
"""Seconds after which an append that is not durable, or a key that is not found, is refused; a request is
answered within 2 s. Ours."""

JOURNAL_BATCH_RECORDS: Final = 256
"""Records that one transaction takes at most. Ours."""

JOURNAL_MAX_WAITING: Final = 4_096
"""Appends that may wait for the writer; above it they are refused at once. Ours."""

JOURNAL_MAX_TEXT: Final = 128
"""Characters of any text of a record: codes, routes and names are short, and a caller's text has no place."""

JOURNAL_MAX_FACTS: Final = 128
"""Numbers and codes that one record carries for monitoring at most. Ours."""

MIN_SECRET_BYTES: Final = 32
"""Bytes of a chain key, a pepper, a vault key or an API key's secret: 256 bits, as long as the hash."""

SALT_BYTES: Final = 32
"""Bytes of the salt of a record's personal fields: 256 bits, so that a commitment cannot be guessed open."""

IPV4_KEPT_BITS: Final = 24
"""Leading bits of an IPv4 address that may be recorded. Report 9.3: 192.168.1.x."""

IPV6_KEPT_BITS: Final = 48
"""Leading bits of an IPv6 address that may be recorded: the site, not the network or the host. RFC 6177."""

# --- Engine --------------------------------------------------------------------------------------

GRAPH_PARITY: Final = 1e-4
"""Most that an exported graph may differ from its checkpoint, in logits and map values. Ours."""

SELFTEST_FILMS: Final = 8
"""Synthetic films that a bundle carries with the answers they had when it was released. Ours."""

QUANTIZATION_FILMS: Final = 48
"""Validation films from which the ranges of an 8-bit graph are taken; the others judge it. Ours."""

QUANTIZATION_PERCENTILE: Final = 99.99
"""Percentile of activations that an 8-bit graph's ranges reach to. Ours: with the extremes the AUROC of
every class fell to about 0.5 on validation, with this it lost 0.01 to 0.02."""

SELFTEST_TOLERANCE: Final = 1e-3
"""Most that a logit of a self-test film may differ on another machine or runtime. Ours; runtimes measured
here differ by 2e-6, one that computes in 16 bits by 2e-2."""

WAITING_FILMS_PER_WORKER: Final = 8
"""Films that may wait for each film in work before more are refused. Ours: at 50 ms a film (report 6.2) the
last one waits 400 ms, within the 500 ms of report 8.1."""

DECODE_SECONDS: Final = 10.0
"""Seconds after which the decoding of one film is given up. Ours; of 25 million pixels JPEG 2000 takes 2.5 s
and 16-bit RGBA 3.6 s, and twice that where the film is shown (measured on two busy cores)."""

DECODE_MEMORY_BYTES: Final = 1024 * 1024 * 1024
"""Address space of a process that decodes. Ours; 330 MiB of it are there before the first film, and with 18.4
million pixels (43 x 43 cm at 0.1 mm) 620 MiB for 16-bit DICOM, 640 for PNG, 840 for 16-bit RGB (measured)."""

DISPLAY_SIDE_PX: Final = 1_024
"""Longer side of a film as it is sent for display. Ours: a film fills a screen, and is sent in 0.5 MB."""

# --- Monitoring ----------------------------------------------------------------------------------
MONITORED_GRIDS: Final = {
    "mean_grey": ("linear", 0.0, 256.0, 64),
    "deviation_grey": ("linear", 0.0, 128.0, 64),
    "contrast_grey": ("linear", 0.0, 256.0, 64),
    "sharpness": ("log", 1e-5, 1.0, 60),
    "aspect": ("log", 0.25, 4.0, 80),
    "short_side_px": ("log", 64.0, 8192.0, 84),
    "confidence": ("linear", 0.0, 1.0, 20),
    "latency_ms": ("log", 1.0, 60_000.0, 96),
}
"""Scale, lowest and highest value and number of cells of each histogram that monitoring keeps. Fixed, so that
counts of different days, models and sites can be added and compared; values outside fall into the end cells.
Ours."""

REFERENCE_EMBEDDING_COMPONENTS: Final = 16
"""Coordinates of the embedding that are kept of each film for the two-sample test, on the first principal
components of the validation embeddings, whitened. Ours: 44 characters a record."""

DRIFT_PSI: Final = 0.2
"""Population stability index from which an input or a score has drifted. Report Table 22 (PSI > 0.2)."""

DRIFT_BINS: Final = 10
"""Cells of a population stability index, of about equal mass in the reference. The custom of credit scoring
that the 0.2 comes from (Siddiqi, Credit Risk Scorecards, 2006)."""

DRIFT_ALPHA: Final = 1e-4
"""Chance that one look at a signal that has not moved is called a drift. Ours: seven input signals looked at
daily for a year are some 2,600 looks, so about 0.3 false alarms a year are left."""

EMBEDDING_ALPHA: Final = 1e-4
"""Level of the two-sample test of embeddings. Ours, as DRIFT_ALPHA: the window slides, so that each film
makes a look; 14,000 films a year make 73 windows apart and about ten times as many looks that chance treats
as such, which leaves less than 0.1 false alarms."""

LABELLED_ALPHA: Final = 1e-3
"""Chance that one look at labelled films calls a loss that is none. Ours: labels are few, and the 52 weeks of
a year times five signals leave 0.3 false alarms."""

EMBEDDING_PERMUTATIONS: Final = 19_999
"""Permutations of the two-sample test, fewer where p is plainly not small: the least is 1 in 20,000. Ours."""

EMBEDDING_WINDOW_FILMS: Final = 200
"""Films that the two-sample test compares with the reference sample. Ours, by simulation
(`benchmarks/two_sample.py`): the power for the mildest corruption that costs accuracy."""

EMBEDDING_REFERENCE_FILMS: Final = 400
"""Validation films whose coordinates a reference profile keeps. Ours."""

RESOLUTION_RANGE: Final = (0.005, 0.995)
"""Quantiles of the reference's shorter side between which a resolution is in range. Ours."""

MAX_RESOLUTION_OUT_OF_RANGE: Final = 0.20
"""Share of films with a resolution outside the reference's range. Report Table 22 (> 20 %)."""

MAX_CLASS_SHIFT: Final = 0.15
"""Change of the share of films called one class. Report Table 22 (> 15 %), read as points."""

MIN_MEAN_CONFIDENCE: Final = 0.6
"""Mean confidence below which a model no longer knows its films. Report Table 22."""

MAX_REFUSED_SHARE: Final = 0.10
"""Share of films that the input gate refuses, from which their source is looked at. Ours: the gate lets 99 %
of films through."""

MAX_REPEATED_SHARE: Final = 0.20
"""Share of films that were asked about before, from which somebody's system sends the same films again and
again. Ours."""

REPEATS_ALLOWED: Final = 2
"""Times that a film may be asked about before it counts as repeated: once for its answer, once for its map.
Ours."""

REPEAT_MEMORY_FILMS: Final = 4_096
"""Films whose digests a worker remembers to tell a repeated one; in memory only. Ours."""

MAX_ACCURACY_DROP: Final = 0.05
"""Drop of the rolling accuracy against the accuracy that the model was released with. Report Table 22 and
8.4 (> 5 %), read as points."""

ACCURACY_WINDOW_DAYS: Final = 7
"""Days of the rolling accuracy. Report Table 22."""

MIN_LABELLED_FILMS: Final = 30
"""Labelled films below which no accuracy is stated. Ours: the interval is then 20 points wide."""

MIN_LABELLED_CALIBRATION: Final = 100
"""Labelled films below which no calibration is stated. Ours: the error's own bias is then about 0.05."""

CALIBRATION_WINDOW_DAYS: Final = 28
"""Days whose labelled films calibration is measured on; the diagram is made weekly (report 8.3). Ours."""

MAX_LATENCY_P95_MS: Final = 500.0
"""95th percentile of the time for one film. Report Table 22 and 9.4."""

MAX_SERVER_ERROR_RATE: Final = 0.01
"""Share of answers that are 5xx, shed load apart. Report Table 22."""

VOLUME_ALPHA: Final = 1e-4
"""Chance that a day's volume of films is called unusual when it is not. Ours."""

VOLUME_HISTORY_DAYS: Final = 28
"""Days that a day's volume is compared with. Ours: four weeks, so that each day of the week is in it."""

VOLUME_LEAST_DAYS: Final = 21
"""Days of history below which no volume is called unusual. Ours: each day of the week three times."""

DRIFT_WINDOW_DAYS: Final = 30
"""Days that a window reaches back at most to find enough films. Ours."""

RETRAIN_DRIFT_DAYS: Final = 7
"""Consecutive days of drift after which, on the next, retraining is triggered. Report 8.4 (> 7 days)."""

RETRAIN_NEW_LABELS: Final = 1_000
"""Labelled films since the last training above which retraining is triggered. Report 8.4 (> 1000)."""

CRITICAL_MISSES: Final = 5
"""Confident misses of one disease within the accuracy window that make a critical failure pattern (report
8.4): called Normal, not sent to a reader. Ours."""

CRITICAL_CONFIDENCE: Final = 0.9
"""Confidence of Normal from which a miss is a confident one. Ours."""

MONITOR_PERIOD_S: Final = 60.0
"""Seconds between two looks of a running service at itself. Ours."""

MONITOR_ROLLUP_RECORDS: Final = 10_000
"""Records that are counted in one transaction. Ours: a fraction of a second, in which nobody waits."""

MIN_SHARE_FILMS: Final = 50
"""Films below which a share of films (refused, repeated, out of range) is not judged. Ours."""

EVIDENCE_FILMS: Final = 20
"""Films named behind an alert, those that speak for it most. Ours."""

EVIDENCE_RECORDS: Final = 2_000
"""Newest records of a window that the films behind an alert are chosen from. Ours."""

ALERT_CLEAR_DAYS: Final = 1
"""Days that a signal must not be over before its alert ends, so that one at its threshold does not flutter.
Ours."""

MIN_FREE_DISK_SHARE: Final = 0.10
"""Share of the disk of the journal that must be free. RELIABILITY T."""

MAX_SHED_SHARE: Final = 0.05
"""Share of requests refused for overload from which somebody should add machines. Ours."""

MIN_CERTIFICATE_DAYS: Final = 14
"""Days before the TLS certificate ends at which it is to be renewed. RELIABILITY K."""

MAX_FAILED_LOGINS_PER_MINUTE: Final = 10
"""Bad credentials a minute, over ten minutes, that look like guessing. Ours: the limit of one address."""

MAX_MONITOR_SILENCE_S: Final = 900.0
"""Seconds without a look at the signals after which the monitoring itself is ill. Ours: 15 periods."""

ESCALATE_ENGINEER_S: Final = 15 * 60
"""Seconds after which an alert that nobody took goes on to the team lead. Report 9.4: on-call 15 min."""

ESCALATE_LEAD_S: Final = 60 * 60
"""Seconds after which it goes on from the team lead. Report 9.4: 1 hour."""

MIN_BASELINE_FILMS: Final = 400
"""Films that a site's own baseline is made of at least. Ours: with fewer, a PSI of 0.2 over ten cells takes
more than 300 films to tell from chance."""

MIN_GROUP_FILMS: Final = 5
"""Films below which a day's counts do not outlive the records that they were made of. RELIABILITY N."""

# --- Structure of the journal's file -----------------------------------------------------------------

JOURNAL_STRUCTURE_FAULTS: Final = 100
"""Faults of its file that a check of the journal collects before it stops; it names the first. Ours."""

# --- Speed of the service ------------------------------------------------------------------------

KEPT_FREE_BYTES: Final = 128 * 1024 * 1024
"""Freed memory that a process of the service keeps for its next films. Ours: two full batches on the way."""

# --- Recalibration -----------------------------------------------------------------------------------------

RECALIBRATION_FOLDS: Final = 5
"""Parts of the labelled answers of which each is scored by a temperature of the others. Ours."""

RECORDED_PROBABILITY_STEP: Final = 1e-6
"""Rounding of probabilities in the journal: six digits; one recorded as 0 is taken for half of it. Ours."""

# --- Drills ---------------------------------------------------------------------------------------
DRILL_WARM_UP_DAYS: Final = 30
"""Days of usual films before a fault begins, so that every signal has its history. Ours."""

DRILL_DAYS: Final = 28
"""Days that a fault lasts, within which it is detected or not. Ours: the longest window of labels."""

DRILL_FILMS_PER_DAY: Final = 40
"""Films of a usual working day. Ours: a small hospital, at which detection takes longest."""

DRILL_WEEKEND_SHARE: Final = 0.4
"""Films of a Saturday, a Sunday or a holiday, as a share of a working day's. Ours."""

DRILL_HOLIDAYS: Final = (
    (1, 1),
    (1, 6),
    (4, 6),
    (5, 1),
    (5, 14),
    (5, 25),
    (10, 3),
    (11, 1),
    (12, 25),
    (12, 26),
)
"""Month and day of holidays of a simulated year. Ours: ten, as many as most countries have."""

DRILL_VOLUME_DISPERSION: Final = 40.0
"""Shape of the gamma distribution that a day's expected films are multiplied by: days differ by 16 % beyond
what chance explains. Ours."""

DRILL_LABELLED_SHARE: Final = 0.3
"""Share of answers that a reader labels in a drill. Ours."""

DRILL_REFERENCE_PHANTOMS: Final = 320
"""Phantoms that make the reference of a drill without films. Ours: a PSI of 0.2 needs more than 170."""

DRILL_STREAM_PHANTOMS: Final = 360
"""Phantoms of the stream of such a drill. Ours: a window of 200 films should hold none twice."""

DRILL_MAX_FALSE_ALARMS_PER_YEAR: Final = 2.0
"""False alarms of a fault-free year that are bearable. The requirement."""

DRILL_SCANNER: Final = {"gamma": 1.35, "contrast": 0.85, "noise_grey": 5.0, "side_share": 0.8}
"""Another vendor's film: exponent on grey / 255, factor on the contrast, deviation of noise, and pixels of a
side as a share of before. Ours: each about severity 2 of the robustness test."""

DRILL_OVEREXPOSURE: Final = 1.6
"""Factor on every grey value of an export with a wrong window; what passes white is white. Ours."""

DRILL_PREVALENCE_FACTOR: Final = 4.0
"""By how much more often films of tuberculosis come after a jump of prevalence. The requirement."""

DRILL_FLIPPED_SHARE: Final = 0.5
"""Share of calls of Pneumonia that a failing model calls Normal. Ours."""

DRILL_MISLABELLED_SHARE: Final = 0.3
"""Share of readers' labels that are shuffled. Ours."""

DRILL_VOLUME_FACTOR: Final = 5.0
"""Films of a burst, as a multiple of the usual. The requirement."""

DRILL_STORM_SHARE: Final = 0.5
"""Share of requests that send one and the same film. Ours."""

DRILL_LATENCY_MS: Final = 30.0
"""Time for one film in a drill. Ours: about what one core of a laptop takes."""

DRILL_LATENCY_GROWTH: Final = 1.2
"""By how much the time for one film grows from day to day. Ours."""

DRILL_BOLDNESS: Final = 3.0
"""By how much every logit is multiplied when probabilities are too bold. Ours."""

DRILL_BROKEN_SHARE: Final = 0.05
"""Share of requests that are answered 500. Ours."""

# --- Keys that are believed for a moment, and their shares --------------------------------------------

MAX_BELIEVED_KEYS: Final = 4_096
"""Keys that a worker believes at once for SWITCH_POLL_S; above it, it asks for all of them again. Ours."""

MAX_FILMS_OF_ONE_CALLER: Final = 8
"""Of MAX_FILMS_IN_WORK, per worker: two places are always for somebody else. Ours. RELIABILITY G."""


# --- The service and its memory ---
MIN_ADDRESS_SPACE_BYTES: Final = 3 * 1024**3
"""Bytes of address space without which the service does not start. It maps 2.4 GiB while it serves the
shipped model with two threads; under limits of about 1 GiB native libraries ended it by SIGABRT, where no
message can be given (measured, trial W2). A limit set by `ulimit -v` counts, not the machine's memory."""

HALF_MADE_RELEASE_S: Final = 3600.0
"""Seconds without a change after which the half-made release of a process that is gone is removed. Ours:
making one takes minutes."""

# --- A store of rate limits that does not answer, and the shares of bodies ------------------------------

LIMITER_STORE_TIMEOUT_S: Final = 0.08
"""Seconds for an answer of the store of the rate limits. RELIABILITY J6: 0.1 s for the whole refusal."""

MAX_UPLOADS_OF_ONE_CALLER: Final = 48
"""Of MAX_UPLOADS, per worker: a caller whose bodies stall leaves places for others. Ours. RELIABILITY B2."""

MAX_UPLOAD_BYTES_OF_ONE_CALLER: Final = 384 * 1024 * 1024
"""Of MAX_UPLOAD_BYTES, per worker, by what the caller's requests declare. Ours."""
