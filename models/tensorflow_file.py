"""Weights that TensorFlow wrote (`tf_model.h5`), under the names that PyTorch publishes.

Datasets are walked, not looked up in the `weight_names` attributes, which Keras splits when they grow long. The first
part of a name is the Python object's and not constant; it is dropped by its place.
"""

from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

LEAVES = {"kernel": "weight", "gamma": "weight", "beta": "bias"}
TURNED = {"kernel", "weight_g"}
"""Stored with their axes the other way round."""


def open_tensorflow(path: Path) -> dict[str, Tensor]:
    """Every tensor by its PyTorch name."""
    tensors: dict[str, Tensor] = {}

    def take(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            published, leaf = _names(name)
            array = np.asarray(item[()])
            tensors[published] = torch.from_numpy(array.T.copy() if leaf in TURNED else array)

    with h5py.File(path, "r") as file:
        file.visititems(take)
    return tensors


def _names(dataset: str) -> tuple[str, str]:
    """`layer/scope/hubert/encoder/.../kernel:0` -> its PyTorch name and its last part."""
    *modules, leaf = dataset.removesuffix(":0").split("/")[2:]
    return ".".join([*modules, LEAVES.get(leaf, leaf)]), leaf
