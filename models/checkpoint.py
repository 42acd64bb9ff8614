"""A published checkpoint folder, read into a model and written from one.

Everything that does not fit is found before any weight is copied, and said at once.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from models import generation, preprocessor
from models.calibration import read_calibration, write_calibration
from models.config import ConfigError, Json, read_json, write_json
from models.frontend import Frontend
from models.model import SpeechModel
from models.registry import ARCHITECTURES, Blueprint, architecture_name, encoder_config
from models.stored import Stored, StoredError, open_weights
from models.vocabulary import read_vocabulary
from models.weights import Tensors

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, with every reason found."""

    def __init__(self, folder: Path, problems: list[str]) -> None:
        self.problems = tuple(problems)
        lines = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(problems[0] if len(problems) == 1 else f"{folder} does not fit:{lines}")


@torch.inference_mode(mode=False)  # weights made in inference mode could never be trained
def read_checkpoint(folder: Path, *, dtype: str, device: str, allow_pickle: bool) -> SpeechModel:
    """The model in a folder, with its weights where they will be used."""
    if refused := _unusable(dtype, device):
        raise CheckpointError(folder, refused)
    try:
        published = read_config(folder)
        name = architecture_name(published)
        blueprint = ARCHITECTURES[name].blueprint(published)
        frontend, problems = preprocessor.read_frontend(folder, ARCHITECTURES[name].family.frontend)
        vocabulary = read_vocabulary(folder)
        calibration, uncalibrated = read_calibration(folder)
        stored = open_weights(folder, allow_pickle=allow_pickle)
    except ConfigError as error:
        raise CheckpointError(folder, [f"{folder}: {problem}" for problem in error.problems]) from error
    except StoredError as error:
        raise CheckpointError(folder, [str(error)]) from error
    stored = _bare(stored, ARCHITECTURES[name].family.prefix, name)
    problems = [
        *(f"config.json: {problem}" for problem in blueprint.problems),
        *blueprint.asides,
        *problems,
        *uncalibrated,
    ]
    problems += preprocessor.mismatched(frontend, encoder_config(published), preprocessor.source(folder)) + _misfits(
        blueprint, stored
    )
    if problems:
        raise CheckpointError(folder, problems)
    model = SpeechModel(
        blueprint.encoder,
        blueprint.head,
        frontend,
        architecture=name,
        vocabulary=vocabulary,
        labels=blueprint.labels,
        calibration=calibration,
    )
    _fill(model, blueprint, stored)
    return _settle(model, DTYPES[dtype], torch.device(device))


def read_frontend(folder: Path) -> Frontend:
    """What turns samples into the inputs of the model in a folder; takes no weights."""
    try:
        name = architecture_name(read_config(folder))
        frontend, problems = preprocessor.read_frontend(folder, ARCHITECTURES[name].family.frontend)
    except ConfigError as error:
        raise CheckpointError(folder, [f"{folder}: {problem}" for problem in error.problems]) from error
    if problems:
        raise CheckpointError(folder, problems)
    return frontend


def _unusable(dtype: str, device: str) -> list[str]:
    problems = (
        [] if isinstance(dtype, str) and dtype in DTYPES else [f"dtype is {dtype!r}; supported: {', '.join(DTYPES)}"]
    )
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError, ImportError) as error:
        problems.append(f"device is {device!r}, which cannot be used here: {str(error).splitlines()[0]}")
    return problems


def read_config(folder: Path) -> Json:
    """config.json; what generation_config.json says is in a part of its own."""
    path, beside = folder / "config.json", folder / generation.NAME
    if not path.is_file():
        raise ConfigError(["not a checkpoint folder, it has no config.json"])
    content = read_json(path)
    return dict(content) | {"generation_config": read_json(beside)} if beside.is_file() else content


def write_checkpoint(model: SpeechModel, published: Json, folder: Path) -> None:
    """A model as a published folder: its configuration, front end and weights."""
    folder.mkdir(parents=True, exist_ok=True)
    config = dict(published) | {"architectures": [model.architecture]}
    if isinstance(rules := config.pop("generation_config", None), dict):
        write_json(folder / generation.NAME, rules)
    weights = ARCHITECTURES[model.architecture].blueprint(config).weights
    tensors = {name: tensor.contiguous() for name, tensor in weights.publish(model.state_dict()).items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", config)
    write_json(folder / preprocessor.NAME, preprocessor.published(model.frontend))
    write_calibration(model.calibration, folder)


def _bare(stored: Stored, prefix: str, name: str) -> Stored:
    """Some bare encoders were saved under the name that they have inside a model with a head."""
    bare = "For" not in name
    prefixed = bool(stored.shapes) and all(key.startswith(f"{prefix}.") for key in stored.shapes)
    inner = any(key.startswith(f"{prefix}.{prefix}.") or key.count(f"{prefix}.layers.") for key in stored.shapes)
    return stored.without(f"{prefix}.") if bare and prefixed and not inner else stored


def _misfits(blueprint: Blueprint, stored: Stored) -> list[str]:
    """A line for every tensor that is missing, extra or of another shape."""
    wanted, there = blueprint.published_shapes(), stored.shapes
    optional = blueprint.weights.unused
    missing = [
        f"missing: {name} {list(shape)}"
        for name, shape in wanted.items()
        if name not in there and not name.endswith("num_batches_tracked")
    ]
    known = {*wanted, *optional}
    extra = [
        f"extra: {name} {list(shape)}"
        for name, shape in there.items()
        if name not in known and not name.endswith(("masked_spec_embed", "embed_positions.weights"))
    ]
    misshapen = [
        f"misshapen: {name} is {list(there[name])}, the configuration asks for {list(shape)}"
        for name, shape in wanted.items()
        if name in there and there[name] != shape
    ]
    return missing + extra + misshapen + _miswritten(wanted, stored)


def _miswritten(wanted: Mapping[str, tuple[int, ...]], stored: Stored) -> list[str]:
    """A line for every tensor whose numbers are of a type that no weight has."""
    return [
        f"of a wrong type: {name} holds {stored.strange[name]}, floating-point numbers are needed"
        for name in wanted
        if name in stored.strange and not name.endswith("num_batches_tracked")
    ]


class _Reading(Mapping[str, Tensor]):
    """Stored tensors, read when asked for."""

    def __init__(self, stored: Stored) -> None:
        self.stored = stored

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.stored.shapes and name.endswith("num_batches_tracked"):
            return torch.zeros(())
        return self.stored.read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored.shapes)

    def __len__(self) -> int:
        return len(self.stored.shapes)


def _fill(model: SpeechModel, blueprint: Blueprint, stored: Stored) -> None:
    published: Tensors = _Reading(stored)
    filled = blueprint.weights.fill(model.state_dict(), published)
    model.load_state_dict(filled, strict=True, assign=True)


def _settle(model: SpeechModel, dtype: torch.dtype, device: torch.device) -> SpeechModel:
    """Weights in their number type, where they will be used, with all that follows from them."""
    model.requires_grad_(False).eval()
    model.to(dtype)
    if dtype != torch.float32 and not multiplies(dtype, device):
        model.to(torch.float32)
    model.to(device)
    model.encoder.prepare()
    return model


def multiplies(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether the device multiplies this type itself.

    A CPU without bfloat16 instructions takes several times as long for it as for float32. There, weights rounded to
    bfloat16 are kept in float32: the same words, sooner.
    """
    if device.type != "cpu" or dtype != torch.bfloat16:
        return True
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
