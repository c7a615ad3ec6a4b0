"""How fine a film really is: an enlarged or blurred film has nothing in its high frequencies.

Works on decoded films of one side length, so an effective resolution is in pixels of that side and never
above it. Noise and JPEG blocks count as detail. Knows nothing about classes.
"""

import numpy as np

from hilum.audit.linear_probe import FloatArray
from hilum.audit.probe_features import Films
from hilum.domain.thresholds import EFFECTIVE_RESOLUTION_ENERGY


def effective_resolutions(pixels: Films) -> FloatArray:
    """Return the effective resolution of each film in pixels per side, float64 (N,).

    The radius in the spectrum that holds `EFFECTIVE_RESOLUTION_ENERGY` of the energy of the film's gradient
    (power times squared frequency), times two: n cycles per side need 2 n pixels. A film of one grey value
    gets 0.

    Parameters
    ----------
    pixels
        uint8 (N, side, side).
    """
    side = pixels.shape[1]
    taper = np.outer(np.hanning(side), np.hanning(side)).astype(np.float32)  # edges of the film are no detail
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]) * side
    ring = np.round(radius).astype(np.int64).ravel()
    kept = side // 2 + 1
    found = np.zeros(len(pixels))
    for index, film in enumerate(pixels):
        power = np.abs(np.fft.rfft2((film - film.mean(dtype=np.float32)) * taper)).ravel() ** 2
        energy = np.bincount(ring, weights=power)[:kept] * np.arange(kept) ** 2.0
        reached = np.cumsum(energy) >= EFFECTIVE_RESOLUTION_ENERGY * energy.sum()
        found[index] = 2 * int(np.argmax(reached))
    return found
