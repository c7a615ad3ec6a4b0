"""Augmentation of report 3.3, and what it lacks against learning the source, for a whole batch at once.

One epoch's random numbers are drawn together, one row per film, from a generator seeded by (seed, epoch).
A film's augmentation therefore depends on the seed, the epoch and the film alone: not on batch order, not
on the process that loads it, not on where a killed run stopped.
"""

import math
from dataclasses import dataclass

import cv2
import torch
from torch import Tensor
from torch.nn import functional

from hilum.config.schema import Augmentation
from hilum.imaging.degrade import compress_jpeg

_GREY_MAX = 255.0
_JPEG_QUALITIES = (20, 90)
_SHARPENED_DETAIL_SHARES = (0.005, 0.025)
"""Deviations of the blur that unsharp masking takes off, as shares of the side."""
_WIDEST_BAND_SHARE = 0.12
_ERASED_SIDE_SHARE = 0.25
_Limit = Tensor | float


@dataclass(frozen=True, slots=True, eq=False)
class EpochDraw:
    """What happens to each of N films in one epoch; every field is float32 (N,) unless it says otherwise."""

    flip: Tensor  # 1 or -1
    angle: Tensor  # radians
    scale: Tensor
    shift_x: Tensor  # share of the side, -1 to 1 spans the film
    shift_y: Tensor
    brightness: Tensor
    contrast: Tensor
    stretch: Tensor  # width by height is multiplied by its square
    exponent: Tensor  # of grey values in [0, 1]
    resolution: Tensor  # share of the side that the film is brought down to
    blur: Tensor  # deviation as a share of the side
    sharpening: Tensor  # amount of unsharp masking
    noise: Tensor  # deviation in grey levels
    noise_seed: Tensor  # int64 (N,), of all that is drawn film by film
    jpeg_quality: Tensor  # 0: not compressed
    collimated: Tensor  # 1 or 0
    erase_top: Tensor  # share of the side; negative: nothing is erased
    erase_left: Tensor
    erase_grey: Tensor
    amplitude_share: Tensor  # of the partner's Fourier amplitudes
    partner: Tensor  # int64 (N,)


def epoch_generator(seed: int, epoch: int, *, stream: int) -> torch.Generator:
    """Return a private generator for one purpose (`stream`) in one epoch."""
    generator = torch.Generator()
    generator.manual_seed((seed * 1_000_003 + epoch) * 16 + stream)
    return generator


def draw_epoch(
    count: int,
    settings: Augmentation,
    generator: torch.Generator,
    *,
    sources: Tensor | None = None,
    strength: Tensor | None = None,
) -> EpochDraw:
    """Draw the augmentation of `count` films.

    The same numbers are consumed whatever the switches say, so turning one off leaves the others alone.

    Parameters
    ----------
    sources
        int64 (count,), each film's source: a film's partner in amplitude mixing is of another one where
        there is another one. None: any film.
    strength
        float32 (count,), by what each film's ranges and shares are multiplied; mirroring is a switch and is
        left alone. None: 1 for every film.
    """
    uniform = torch.rand(21, count, generator=generator)
    by = 1.0 if strength is None else strength

    def between(row: int, low: _Limit, high: _Limit, *, active: bool = True, neutral: float = 0.0) -> Tensor:
        values = low + (high - low) * uniform[row]
        return values if active else torch.full((count,), neutral)

    def happens(row: int, share: _Limit) -> Tensor:
        return uniform[row] < share

    degrees = settings.rotation_degrees * by
    shift = 2.0 * settings.translate * by  # grid coordinates run from -1 to 1
    low, high = (end + (1.0 - end) * (1.0 - by) for end in settings.scale)
    brightness, contrast = settings.brightness * by, settings.contrast * by
    stretch, gamma = settings.stretch * by, settings.gamma * by
    free = 1.0 - _ERASED_SIDE_SHARE
    # one number decides whether (its low part) and how much (what is left of it)
    coarse, mixed = happens(9, settings.coarsening * by), happens(15, settings.amplitude_mixing * by)
    depth = uniform[9] / max(settings.coarsening, 1e-6) / by
    quality = (uniform[19] * 1e3 % 1.0) * (_JPEG_QUALITIES[1] - _JPEG_QUALITIES[0]) + _JPEG_QUALITIES[0]
    amount = uniform[15] / max(settings.amplitude_mixing, 1e-6) / by
    return EpochDraw(
        flip=1.0 - 2.0 * happens(0, 0.5).float() if settings.horizontal_flip else torch.ones(count),
        angle=between(1, -degrees, degrees, active=settings.rotation) * (math.pi / 180.0),
        scale=between(2, low, high, active=settings.affine, neutral=1.0),
        shift_x=between(3, -shift, shift, active=settings.affine),
        shift_y=between(4, -shift, shift, active=settings.affine),
        brightness=between(5, 1 - brightness, 1 + brightness, active=settings.color_jitter, neutral=1.0),
        contrast=between(6, 1 - contrast, 1 + contrast, active=settings.color_jitter, neutral=1.0),
        stretch=between(7, -stretch, stretch).exp(),
        exponent=between(8, -gamma, gamma).exp(),
        resolution=torch.where(coarse, 1.0 - (1.0 - settings.coarsest) * depth, 1.0),
        blur=(2.0 * uniform[17] - 1.0).clamp_(min=0.0) * settings.blur * by,
        sharpening=(2.0 * uniform[18] - 1.0).clamp_(min=0.0) * settings.sharpening * by,
        noise=between(10, 0.0, settings.noise * by),
        noise_seed=(uniform[11].double() * 2**31).long(),
        jpeg_quality=torch.where(happens(19, settings.jpeg * by), quality.round(), 0.0),
        collimated=happens(20, settings.collimation * by).float(),
        erase_top=torch.where(happens(12, settings.erasing * by), between(13, 0.0, free), -1.0),
        erase_left=between(14, 0.0, free),
        erase_grey=(uniform[11] * 7.0 % 1.0) * _GREY_MAX,
        amplitude_share=torch.where(mixed, amount, 0.0),
        partner=_draw_partners(uniform[16], sources),
    )


def _draw_partners(uniform: Tensor, sources: Tensor | None) -> Tensor:
    """Return int64 (N,): for each film one of another source, or any where all are of one."""
    count = len(uniform)
    if sources is None or int(sources.max()) == 0:
        return (uniform.double() * count).long()
    partner = torch.empty(count, dtype=torch.int64)
    for source in range(int(sources.max()) + 1):
        mine = sources == source
        others = (~mine).nonzero().squeeze(1)
        partner[mine] = others[(uniform[mine].double() * len(others)).long()]
    return partner


def augment_batch(films: Tensor, draw: EpochDraw, index: Tensor, *, partners: Tensor | None = None) -> Tensor:
    """Flip, rotate, scale, shift and jitter a batch in one interpolation, then blur what sources differ in.

    Parameters
    ----------
    films
        uint8 (B, 1, H, W).
    draw
        The epoch's numbers.
    index
        int64 (B,), each film's row in `draw`.
    partners
        uint8 (B, 1, H, W), the films whose Fourier amplitudes are mixed in; None: nothing is mixed.

    Returns
    -------
    Tensor
        float32 (B, 1, H, W) in [0, 255]; what lies outside the film is 0 (air).
    """
    pixels = films.float()
    if partners is not None and bool(draw.amplitude_share[index].any()):
        pixels = _mix_amplitudes(pixels, partners.float(), _column(draw.amplitude_share, index))
    pixels = functional.grid_sample(
        pixels,
        functional.affine_grid(_sampling_matrices(draw, index), list(pixels.shape), align_corners=False),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    )
    exponent = _column(draw.exponent, index)
    if bool((exponent != 1.0).any()):
        pixels = (pixels / _GREY_MAX).pow_(exponent).mul_(_GREY_MAX)
    pixels = (pixels * _column(draw.brightness, index)).clamp_(0.0, _GREY_MAX)
    mean = pixels.mean(dim=(1, 2, 3), keepdim=True)  # (B, 1, 1, 1)
    pixels = ((pixels - mean) * _column(draw.contrast, index) + mean).clamp_(0.0, _GREY_MAX)
    for row, film in enumerate(index.tolist()):
        pixels[row] = _degrade(pixels[row], draw, film)
    return pixels


def _column(values: Tensor, index: Tensor) -> Tensor:
    return values[index].view(-1, 1, 1, 1)


def _mix_amplitudes(films: Tensor, partners: Tensor, share: Tensor) -> Tensor:
    """Mix in a share of the partners' Fourier amplitudes, keep the phase: Xu et al., CVPR 2021, eq. 4.

    Amplitudes carry exposure and sharpness, phase carries shape.
    """
    spectrum, others = torch.fft.rfft2(films), torch.fft.rfft2(partners)  # complex (B, 1, H, W // 2 + 1)
    amplitude = (1.0 - share) * spectrum.abs() + share * others.abs()
    mixed: Tensor = torch.fft.irfft2(torch.polar(amplitude, spectrum.angle()), s=films.shape[-2:])
    return mixed.clamp(0.0, _GREY_MAX)


def _degrade(film: Tensor, draw: EpochDraw, row: int) -> Tensor:
    """Sharpen, blur, coarsen, add noise to, compress, collimate and erase a square of one film, (1, H, W)."""
    side = film.shape[-1]
    own = torch.Generator().manual_seed(int(draw.noise_seed[row]))
    resolution, noise, top = float(draw.resolution[row]), float(draw.noise[row]), float(draw.erase_top[row])
    blur, sharpening = float(draw.blur[row]), float(draw.sharpening[row])
    quality = int(draw.jpeg_quality[row])
    if sharpening > 0.0:
        low, high = _SHARPENED_DETAIL_SHARES
        smooth = _blur(film, low + (high - low) * float(torch.rand(1, generator=own)))
        film = (film + sharpening * (film - smooth)).clamp_(0.0, _GREY_MAX)
    if blur > 0.0:
        film = _blur(film, blur)
    if resolution < 1.0:
        small = functional.interpolate(film[None], size=max(1, round(side * resolution)), mode="area")
        film = functional.interpolate(small, size=film.shape[-2:], mode="bilinear", align_corners=False)[0]
    if noise > 0.0:
        film = (film + noise * torch.randn(film.shape, generator=own)).clamp_(0.0, _GREY_MAX)
    if quality:
        grey = film[0].round().to(torch.uint8).numpy()
        film = torch.from_numpy(compress_jpeg(grey, quality))[None].float()
    if bool(draw.collimated[row]):
        widths = (_WIDEST_BAND_SHARE * side * torch.rand(4, generator=own)).long().tolist()
        film = _collimate(film, widths, grey=float(draw.erase_grey[row]))
    if top >= 0.0:
        first, left = round(top * side), round(float(draw.erase_left[row]) * side)
        square = round(side * _ERASED_SIDE_SHARE)
        film[:, first : first + square, left : left + square] = draw.erase_grey[row]
    return film


def _blur(film: Tensor, share: float) -> Tensor:
    side = film.shape[-1]
    return torch.from_numpy(cv2.GaussianBlur(film[0].numpy(), (0, 0), share * side))[None]


def _collimate(film: Tensor, widths: list[int], *, grey: float) -> Tensor:
    """Return the film with bands at its top, bottom, left and right made an even grey."""
    height, width = film.shape[-2:]
    top, bottom, left, right = widths
    inside = film[:, top : height - bottom, left : width - right]
    return functional.pad(inside, (left, right, top, bottom), value=grey)


def _sampling_matrices(draw: EpochDraw, index: Tensor) -> Tensor:
    """Return float32 (B, 2, 3): where each output pixel is read in the input (the inverse transform)."""
    cos = torch.cos(draw.angle[index]) / draw.scale[index]
    sin = torch.sin(draw.angle[index]) / draw.scale[index]
    flip, stretch = draw.flip[index], draw.stretch[index]
    rows = torch.stack(
        [
            cos * flip * stretch,
            sin * flip / stretch,
            draw.shift_x[index],
            -sin * stretch,
            cos / stretch,
            draw.shift_y[index],
        ],
        dim=1,
    )
    return rows.view(-1, 2, 3)
