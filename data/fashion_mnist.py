"""Fashion-MNIST from Debian's package as two NPZ files: X (n x 784, uint8) and y (labels 0 to 9).

apt-get install dataset-fashion-mnist
python data/fashion_mnist.py FOLDER [--source /usr/share/datasets/fashion-mnist]
dasklasso ingest FOLDER/fashion-mnist-train.npz fashion-mnist.zarr
"""

from __future__ import annotations

import argparse
import gzip
import struct
from pathlib import Path

import numpy as np

PARTS = {"train": "train", "test": "t10k"}


def read_idx(path: Path) -> np.ndarray:
    """An array in the IDX format of unsigned bytes: magic number, shape (big endian), values."""
    with gzip.open(path, "rb") as file:
        zeros, kind, n_axes = struct.unpack(">HBB", file.read(4))
        if (zeros, kind) != (0, 8):
            raise SystemExit(f"{path}: not an IDX file of unsigned bytes")
        shape = struct.unpack(f">{n_axes}I", file.read(4 * n_axes))
        return np.frombuffer(file.read(), dtype=np.uint8).reshape(shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--source", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, prefix in PARTS.items():
        images = read_idx(options.source / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(options.source / f"{prefix}-labels-idx1-ubyte.gz")
        target = options.folder / f"fashion-mnist-{name}.npz"
        np.savez(target, X=images.reshape(len(images), -1), y=labels)
        print(f"{target}: {images.shape[0]:,} images")


if __name__ == "__main__":
    main()
