"""Which compression a store gets: chosen by how much the data shrink, not by taste.

Sizes decide, and speeds that are constants: clocks would have two ingests of like tables choose
differently. What decoding takes on this machine is measured too, for people to see.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dasklasso.errors import OptionError

CODECS = ("none", "lz4", "zstd")
_SAMPLE_BYTES = 8 << 20
_SAMPLE_RUNS = 8  # of rows, spread over the first chunk: its first rows may be unlike the others
_DISK_RATE = 1e9  # bytes/s of the disk that a scan is assumed to read from
_DECODE_RATE = {"lz4": 2e9, "zstd": 0.6e9}  # decoded bytes/s of a core, as a rule
_WORTH_TIME = 0.9  # uncompressed chunks are mapped, not read: given up for 10 % less time only


@dataclass(frozen=True)
class Measured:
    """One codec on a sample: size before / size after, and decoded MB (10⁶ bytes) per second."""

    ratio: float
    decode_mb_per_s: float


@dataclass(frozen=True)
class CodecChoice:
    """A codec's name, and what was measured of every candidate (nothing when it was given)."""

    name: str
    measured: dict[str, Measured]

    def to_json(self) -> dict[str, Any]:
        """``{"name", "ratio", "decode_mb_per_s", "candidates"}``; None where not measured."""
        own = self.measured.get(self.name)
        return {
            "name": self.name,
            "ratio": own.ratio if own else (1.0 if self.name == "none" else None),
            "decode_mb_per_s": own.decode_mb_per_s if own else None,
            "candidates": {
                name: {"ratio": m.ratio, "decode_mb_per_s": m.decode_mb_per_s}
                for name, m in self.measured.items()
            },
        }


def choose_codec(name: str, values: np.ndarray) -> CodecChoice:
    """Settle on a codec for data like ``values``.

    A decoded byte of a codec costs ``1 / (ratio · disk rate) + 1 / decode rate`` seconds, with
    rates of an ordinary disk and core; one that is not compressed costs the disk's time. The
    cheapest codec is taken where it saves at least a tenth: lz4 for what it shrinks 2.5 times,
    else none. By these rates zstd decodes too slowly to be chosen: it is there to be asked for.

    Parameters
    ----------
    name : {"auto", "none", "lz4", "zstd"}
        ``"auto"`` tries all three on up to 8 MiB of ``values``.

    Raises
    ------
    OptionError
        When the name is none of these.
    """
    if name in CODECS:
        return CodecChoice(name, {})
    if name != "auto":
        raise OptionError(f"codec: {name!r} is not known, expected auto, none, lz4 or zstd.")

    sample = _sample(values)
    measured = {
        candidate: Measured(1.0, _rate(sample.nbytes, sample.copy))
        if candidate == "none"
        else _measure(candidate, sample)
        for candidate in CODECS
    }
    seconds = {
        candidate: 1 / (measured[candidate].ratio * _DISK_RATE) + 1 / rate
        for candidate, rate in _DECODE_RATE.items()
    }
    best = min(seconds, key=lambda candidate: seconds[candidate])
    # a mapped chunk is not even copied, so it has only the disk's time to beat
    worth = seconds[best] < _WORTH_TIME / _DISK_RATE
    return CodecChoice(best if worth else "none", measured)


def _sample(values: np.ndarray) -> np.ndarray:
    """Return a few runs of rows, in one array."""
    row_bytes = max(1, values[:1].nbytes)
    height = max(1, _SAMPLE_BYTES // row_bytes // _SAMPLE_RUNS)
    if len(values) <= height * _SAMPLE_RUNS:
        return np.ascontiguousarray(values[: max(1, _SAMPLE_BYTES // row_bytes)])
    starts = np.linspace(0, len(values) - height, _SAMPLE_RUNS).astype(int).tolist()
    return np.concatenate([values[start : start + height] for start in starts])


def bytes_codecs(name: str, itemsize: int) -> list[Any]:
    """The Zarr v3 bytes-to-bytes codecs of a store; crc32c last, to cover the stored bytes."""
    from zarr.codecs import BloscCodec, Crc32cCodec

    if name == "none":
        return [Crc32cCodec()]
    # Single bytes have no bytes to shuffle: genotypes and flags shrink by their bits.
    shuffle: Any = "bitshuffle" if itemsize == 1 else "shuffle"
    level = 3 if name == "zstd" else 5
    cname: Any = name
    return [
        BloscCodec(typesize=itemsize, cname=cname, clevel=level, shuffle=shuffle),
        Crc32cCodec(),
    ]


def _measure(name: str, sample: np.ndarray) -> Measured:
    from numcodecs import Blosc

    shuffle = Blosc.BITSHUFFLE if sample.itemsize == 1 else Blosc.SHUFFLE
    blosc = Blosc(cname=name, clevel=3 if name == "zstd" else 5, shuffle=shuffle)
    stored = blosc.encode(sample)
    ratio = sample.nbytes / max(1, len(stored))
    return Measured(ratio, _rate(sample.nbytes, lambda: blosc.decode(stored)))


def _rate(n_bytes: int, action: Callable[[], object]) -> float:
    """Megabytes (10⁶ bytes) per second, the better of two runs."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return n_bytes / max(min(seconds), 1e-9) / 1e6
