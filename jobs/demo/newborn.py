"""Models before they have learned anything: weights drawn so that they keep the size of what passes through.

The first convolution of a waveform model is drawn as a bank of tones, spaced as the ear does it; from noise it would
take longer to find them than everything else takes to learn.
"""

import math

import torch
from torch import Tensor, nn

from jobs.demo.students import Student
from models.layers.attention import RotaryAttention
from models.layers.convolution import DepthwiseConvolution, FirstConvolution, StridedConvolution
from models.layers.positions import PositionalConvolution
from models.model import SpeechModel
from models.registry import ARCHITECTURES

LOWEST, HIGHEST = 80.0, 7000.0
"""Tones, in hertz."""


def newborn(student: Student, seed: int) -> SpeechModel:
    """A model with drawn weights, ready to learn."""
    kind = ARCHITECTURES[student.architecture]
    blueprint = kind.blueprint(student.config)
    if blueprint.problems:
        raise ValueError("; ".join(blueprint.problems))
    model = SpeechModel(
        blueprint.encoder,
        blueprint.head,
        student.frontend,
        architecture=student.architecture,
        vocabulary=None,
        labels=blueprint.labels,
    )
    model.to_empty(device="cpu")
    torch.manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            _draw(module)
    return model


def begin_from(model: SpeechModel, other: SpeechModel) -> int:
    """Take over every weight of another model that has the same name and shape; how many there were."""
    mine, theirs = model.state_dict(), other.state_dict()
    same = {name: tensor for name, tensor in theirs.items() if name in mine and mine[name].shape == tensor.shape}
    model.load_state_dict(mine | same)
    return len(same)


@torch.no_grad()
def sharpen(model: SpeechModel, by: float) -> None:
    """Multiply the queries of its attention: what is sharp among some seconds is blurred among some minutes."""
    for module in model.modules():
        if isinstance(module, RotaryAttention):
            query, _, _ = module.inward.weight.chunk(3)
            query.mul_(by)


def _draw(module: nn.Module) -> None:
    match module:
        case nn.LayerNorm():
            module.reset_parameters()
        case nn.Embedding():
            nn.init.normal_(module.weight, std=1 / math.sqrt(module.embedding_dim))
        case FirstConvolution():
            module.weight.copy_(tones(*module.weight.shape))
        case nn.Linear() | StridedConvolution():
            _fill(module.weight, module.weight.shape[1])
        case PositionalConvolution():
            _fill(module.weight, module.weight.shape[1] * module.kernel)
        case DepthwiseConvolution():
            _fill(module.weight, len(module.weight))
    bias = getattr(module, "bias", None)
    if isinstance(bias, Tensor):
        nn.init.zeros_(bias)


def tones(filters: int, taps: int, sample_rate: float = 16_000.0) -> Tensor:
    """Cosines in the first half of the rows, sines in the second, under a bell: (filters, taps)."""
    mels = torch.linspace(_mel(LOWEST), _mel(HIGHEST), filters // 2)
    hertz = 700 * ((mels / 1127).exp() - 1)
    angles = 2 * math.pi * hertz[:, None] * torch.arange(taps) / sample_rate
    waves = torch.cat([angles.cos(), angles.sin()]) * torch.hann_window(taps, periodic=False)
    return waves / waves.norm(dim=1, keepdim=True)


def _mel(hertz: float) -> float:
    return 1127 * math.log(1 + hertz / 700)


def _fill(weight: Tensor, sources: int) -> None:
    nn.init.normal_(weight, std=1 / math.sqrt(sources))
