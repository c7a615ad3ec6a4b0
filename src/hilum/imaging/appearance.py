"""What one picture looks like, in a dozen numbers: exposure, texture, symmetry, likeness to a mean film.

Works on the square grey picture that the network sees, so a measure means the same whatever the file was.
`TemplateMatch` tells how a film is turned by comparing it with the mean of many upright films, which
the caller brings: the mean of a training set at a gate, of the set itself in an audit.

Knows no limits and judges nothing. Colour and aspect ratio are gone from a grey square: it cannot tell a
colour photograph by its colour. A film flipped left to right matches the template nearly as well as before.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.imaging.fingerprint import thumbnail

_GREY_MAX = 255
_GREY_LEVELS = 256
_NEAR_END = 5  # grey levels from black or white that count as saturated
_EDGE_SIDE_PX = 128  # edges are counted at one size
_STEEP_GREY = 24.0  # Sobel magnitude per pixel, in grey levels, that counts as an edge
_SHARP_SIGMA_PX = 1.0
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Appearance:
    """Measures of one picture.

    Parameters
    ----------
    mean, deviation
        Grey levels, 0 to 255.
    spread
        98th minus 2nd percentile of the grey levels: the contrast that is used.
    entropy_bits
        Entropy of the grey histogram, 0 (blank) to 8.
    black_share, white_share
        Share of the pixels within 5 levels of either end.
    edge_share
        Share of the pixels, at 128 x 128, that lie on an edge: high for text and photographs of things.
    fine_share
        Part of the variance that a blur of 1 px at 128 x 128 takes away: near 1 for noise, small for films.
    mirror_correlation
        Correlation of the 32 x 32 thumbnail with its mirror image, -1 to 1: high for a frontal chest.
    flip_correlation
        The same with the picture upside down.
    centre_darkness
        Mean of the outer tenth minus mean of the middle, in deviations: positive for dark lungs
        in a bright frame, negative for a bright thing on a dark ground.
    """

    mean: float
    deviation: float
    spread: float
    entropy_bits: float
    black_share: float
    white_share: float
    edge_share: float
    fine_share: float
    mirror_correlation: float
    flip_correlation: float
    centre_darkness: float


@dataclass(frozen=True, slots=True)
class TemplateMatch:
    """Correlation of a film with a mean upright film, turned counter-clockwise by 0, 90, 180 and 270 degrees.

    Each is in -1 to 1; a strongly negative `upright` is a film with black and white exchanged.
    """

    upright: float
    quarter: float
    half: float
    three_quarters: float

    @property
    def turn_degrees(self) -> int:
        """Degrees counter-clockwise by which the film seems turned: 0, 90, 180 or 270."""
        turns = (self.upright, self.quarter, self.half, self.three_quarters)
        return 90 * int(np.argmax(turns))

    @property
    def is_inverted(self) -> bool:
        """Whether the negative of the film fits the upright template better than the film in any turn."""
        return -self.upright > max(self.upright, self.quarter, self.half, self.three_quarters)


def measure_appearance(pixels: NDArray[np.uint8]) -> Appearance:
    """Measure a picture, uint8 (H, W), MONOCHROME2."""
    low, high = np.percentile(pixels, (2, 98))
    shares = _grey_shares(pixels)
    small = resize_square(pixels, _EDGE_SIDE_PX).astype(np.float32)
    deviation = float(small.std())
    right = cv2.Sobel(small, cv2.CV_32F, 1, 0, ksize=3) / 8  # grey levels per pixel
    down = cv2.Sobel(small, cv2.CV_32F, 0, 1, ksize=3) / 8
    fine = small - cv2.GaussianBlur(small, (0, 0), _SHARP_SIGMA_PX)
    coarse = thumbnail(pixels)
    edge = _EDGE_SIDE_PX // 10
    middle = small[edge:-edge, edge:-edge]
    frame = (small.sum() - middle.sum()) / (small.size - middle.size)
    return Appearance(
        mean=float(pixels.mean()),
        deviation=float(pixels.std()),
        spread=float(high - low),
        entropy_bits=_entropy_bits(shares),
        black_share=float(shares[: _NEAR_END + 1].sum()),
        white_share=float(shares[_GREY_MAX - _NEAR_END :].sum()),
        edge_share=float((np.hypot(right, down) > _STEEP_GREY).mean()),
        fine_share=float(fine.var() / max(deviation**2, _EPSILON)),
        mirror_correlation=float((coarse * coarse[:, ::-1]).sum()),
        flip_correlation=float((coarse * coarse[::-1]).sum()),
        centre_darkness=float((frame - middle.mean()) / max(deviation, _EPSILON)),
    )


def grey_entropy_bits(pixels: NDArray[np.uint8]) -> float:
    """Return the `entropy_bits` of a picture, uint8 (H, W), alone."""
    return _entropy_bits(_grey_shares(pixels))


def _grey_shares(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.bincount(pixels.ravel(), minlength=_GREY_LEVELS) / pixels.size


def _entropy_bits(shares: NDArray[np.float64]) -> float:
    present = shares[shares > 0]
    return max(0.0, float(-(present * np.log2(present)).sum()))


def resize_square(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """Bring a picture, uint8 (H, W), to uint8 (side_px, side_px)."""
    shrinks = min(pixels.shape) >= side_px
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (side_px, side_px), interpolation=method), np.uint8)


def mean_film(films: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean of N films' thumbnails, uint8 (N, H, W) to float32 (32, 32), zero mean and unit norm.

    Each film counts alike whatever its exposure. A blank mean (no film, blank films) is all zeros.
    """
    total = np.zeros_like(thumbnail(np.zeros((2, 2), np.uint8)))
    for film in films:
        total += thumbnail(film)
    norm = float(np.linalg.norm(total))
    return total / norm if norm > _EPSILON else np.zeros_like(total)


def match_template(pixels: NDArray[np.uint8], template: NDArray[np.float32]) -> TemplateMatch:
    """Compare a picture, uint8 (H, W), with a mean film, float32 (32, 32) of `mean_film`, in four turns."""
    coarse = thumbnail(pixels)
    return TemplateMatch(*(float((np.rot90(coarse, -turn) * template).sum()) for turn in range(4)))
