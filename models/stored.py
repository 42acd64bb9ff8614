"""The tensors that lie in a checkpoint folder, whatever the file's format, under their published names.

Shapes are known before any tensor is read, and one tensor is read at a time.
"""

import json
import pickle
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor


class StoredError(ValueError):
    """A file that cannot be read as weights, in one sentence."""


@dataclass(frozen=True)
class Stored:
    """Tensors by published name."""

    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], Tensor]
    strange: Mapping[str, str]
    """The type of every tensor that does not hold floating-point numbers."""

    def without(self, prefix: str) -> "Stored":
        """The same tensors, with a prefix that all names share taken off."""
        shapes = {name.removeprefix(prefix): shape for name, shape in self.shapes.items()}
        strange = {name.removeprefix(prefix): kind for name, kind in self.strange.items()}
        return Stored(shapes, lambda name: self.read(prefix + name), strange)


def open_weights(folder: Path, *, allow_pickle: bool) -> Stored:
    """The weights in a folder: safetensors first, then TensorFlow's, a pickle only where it is allowed."""
    single = _first(folder, "model.safetensors", "model.safetensors.index.json", "tf_model.h5")
    pickled = _first(folder, "pytorch_model.bin", "pytorch_model.bin.index.json")
    if pickled is not None and (single is None or (allow_pickle and single.suffix == ".h5")):
        if not allow_pickle:
            raise StoredError(
                f"{pickled} is a pickle, which can hide a program, so it is not opened unasked: convert it to "
                "model.safetensors, or pass allow_pickle=True to read its tensors and nothing else"
            )
        return _renamed(_merged(_parts(pickled), _open_pickle))
    if single is None:
        raise StoredError(
            f"{folder} holds no weights: model.safetensors, model.safetensors.index.json, pytorch_model.bin or "
            "tf_model.h5 is needed"
        )
    if single.suffix == ".h5":
        return _renamed(_open_tensorflow(single))
    return _renamed(_merged(_parts(single), _open_safetensors))


def _first(folder: Path, *names: str) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _parts(path: Path) -> list[Path]:
    """The file itself, or the shards that an index names."""
    if path.suffix != ".json":
        return [path]
    try:
        names = sorted(set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, LookupError, AttributeError, TypeError, OSError, RecursionError) as error:
        raise StoredError(f"{path} is not an index of weight files ({_reason(error)})") from error
    if not all(isinstance(name, str) for name in names):
        raise StoredError(f"{path} is not an index of weight files (it names no files)")
    strays = [name for name in names if Path(name).name != name]
    if strays:
        raise StoredError(f"{path} names files outside its folder: {', '.join(strays)}")
    missing = [name for name in names if not (path.parent / name).is_file()]
    if missing:
        raise StoredError(f"{path} names files that are not there: {', '.join(missing)}")
    return [path.parent / name for name in names]


def _merged(paths: list[Path], open_one: Callable[[Path], Stored]) -> Stored:
    shards = [open_one(path) for path in paths]
    names = [name for shard in shards for name in shard.shapes]
    if len(set(names)) < len(names):
        twice = sorted(name for name, times in Counter(names).items() if times > 1)
        raise StoredError(f"{paths[0].parent} holds tensors in more than one shard: {', '.join(twice[:5])}")
    owner = {name: shard for shard in shards for name in shard.shapes}
    shapes = {name: shard.shapes[name] for name, shard in owner.items()}
    strange = {name: kind for shard in shards for name, kind in shard.strange.items()}
    return Stored(shapes, lambda name: owner[name].read(name), strange)


def _open_safetensors(path: Path) -> Stored:
    try:
        file = safe_open(path, framework="pt")
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
    except SafetensorError as error:
        raise StoredError(f"{path} is cut short or damaged ({error}): fetch it again") from error
    except OSError as error:
        raise StoredError(f"{path} cannot be opened ({error.strerror or error}): check who may read it") from error
    kinds = {name: str(part.get_dtype()) for name, part in slices.items()}
    strange = {name: kind for name, kind in kinds.items() if "F" not in kind}
    return Stored(shapes, lambda name: _read_alone(path, name), strange)


def _read_alone(path: Path, name: str) -> Tensor:
    """A tensor of a file that is opened for it: what was read before is not kept in memory beside what it became."""
    with safe_open(path, framework="pt") as file:
        tensor: Tensor = file.get_tensor(name)
    return tensor


def _open_pickle(path: Path) -> Stored:
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise StoredError(
            f"{path} holds more than tensors, and is refused: nothing in it was run ({str(error).splitlines()[0]})"
        ) from error
    except (RuntimeError, EOFError, OSError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise StoredError(f"{path} is cut short or damaged ({_reason(error)}): fetch it again") from error
    if not isinstance(tensors, dict) or not all(_is_entry(*entry) for entry in tensors.items()):
        raise StoredError(f"{path} is not a table of tensors by name")
    return _held(tensors)


def _held(tensors: Mapping[str, Tensor]) -> Stored:
    """Tensors that are in memory already."""
    kinds = {name: str(tensor.dtype).removeprefix("torch.") for name, tensor in tensors.items()}
    strange = {name: kind for name, kind in kinds.items() if not tensors[name].is_floating_point()}
    return Stored({name: tuple(tensor.shape) for name, tensor in tensors.items()}, tensors.__getitem__, strange)


def _is_entry(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor) and value.layout is torch.strided


def _reason(error: Exception) -> str:
    """The first line of what a library said, or its name for it."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _open_tensorflow(path: Path) -> Stored:
    try:
        from models.tensorflow_file import open_tensorflow  # the extra `tf`: h5py is for these files alone
    except ModuleNotFoundError as error:
        raise StoredError(f"{path} needs h5py: pip install -e '.[tf]' in the project's folder") from error
    try:
        tensors = open_tensorflow(path)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise StoredError(f"{path} is cut short or damaged ({error}): fetch it again") from error
    return _held(tensors)


SPELLINGS = {
    ".weight_g": ".parametrizations.weight.original0",
    ".weight_v": ".parametrizations.weight.original1",
}
"""Older checkpoints spell a weight norm's two halves so."""


def _renamed(stored: Stored) -> Stored:
    names = {_spelled(name): name for name in stored.shapes}
    shapes = {name: stored.shapes[old] for name, old in names.items()}
    strange = {_spelled(name): kind for name, kind in stored.strange.items()}
    return Stored(shapes, lambda name: stored.read(names[name]), strange)


def _spelled(name: str) -> str:
    for old, new in SPELLINGS.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name
