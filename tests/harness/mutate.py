"""Damage bytes in ways that can be repeated: cut, flip, splice."""

import random
from collections.abc import Iterator


def truncated(data: bytes, *, every: int, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield (length, first bytes) for every so many lengths below the whole."""
    for length in range(start, len(data), every):
        yield length, data[:length]


def closed_jpeg(data: bytes, percent: int) -> bytes:
    """Cut the entropy-coded data of a JPEG and close it with an end marker, which many decoders accept."""
    start = data.index(b"\xff\xda") + 14
    return data[: start + (len(data) - start) * percent // 100] + b"\xff\xd9"


def flipped(data: bytes, *, count: int, seed: int, most_bits: int = 8) -> Iterator[tuple[int, bytes]]:
    """Yield (case, damaged copy): 1 to `most_bits` bits flipped anywhere, half of the cases in the head."""
    for case in range(count):
        rng = random.Random(f"{seed}-{case}")
        damaged = bytearray(data)
        end = min(len(data), 700) if case % 2 else len(data)
        for _ in range(rng.randint(1, most_bits)):
            damaged[rng.randrange(end)] ^= 1 << rng.randrange(8)
        yield case, bytes(damaged)


def spliced(first: bytes, second: bytes, share: float) -> bytes:
    """Join the beginning of one file to the rest of another."""
    return first[: int(len(first) * share)] + second[int(len(second) * share) :]
