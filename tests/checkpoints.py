"""Small checkpoints with random weights, in the published format.

The weights are drawn so that activations stay near unit size; a speller's head is centred on a clip, or one token
would win every frame and there would be nothing to compare.
"""

import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from models.checkpoint import write_checkpoint
from models.config import Json
from models.model import SpeechModel
from models.protocol import FrameLogits, Samples
from models.registry import ARCHITECTURES
from models.writer import Writer
from tests.clips import make_clips

SMALL: Json = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "vocab_size": 24,
    "num_labels": 5,
}
WAVE: Json = {
    **SMALL,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 32,
    "num_conv_pos_embedding_groups": 4,
    "classifier_proj_size": 32,
}
QUANTIZER: Json = {"num_codevectors_per_group": 40, "codevector_dim": 32, "proj_codevector_dim": 32}
CONFORMER: Json = {**SMALL, "subsampling_conv_channels": 32, "conv_kernel_size": 16}

WRITER: Json = {
    "vocab_size": 24,
    "d_model": 64,
    "encoder_layers": 2,
    "encoder_ffn_dim": 128,
    "decoder_layers": 2,
    "decoder_ffn_dim": 128,
    "conv_channels": 64,
    "tie_word_embeddings": False,
    "max_length": 24,
    "num_beams": 5,
}

CONFIGS: Mapping[str, Json] = {
    "HuBERT": WAVE,
    "UniSpeech": {**WAVE, **QUANTIZER},
    "SEW-D": {**WAVE, "conv_dim": [16] * 13},
    "LASR": {**CONFORMER, "encoder_config": CONFORMER},  # as published: beside a head, a part of its own
    "Speech2Text": WRITER,
}
"""What config.json says, by family."""

SURE = 3.0
"""How much louder than unit size a decoder's scores are: random ones alone would all be nearly as good."""


def write_small_speller(folder: Path) -> Path:
    """A HuBERT that spells with letters, and where it lies."""
    write_random("HubertForCTC", CONFIGS["HuBERT"], make_clips(16_000, seed=0).good[0], folder)
    (folder / "vocab.json").write_text(json.dumps({"<pad>": 0, "|": 1} | {chr(97 + i): i + 2 for i in range(22)}))
    return folder


def write_random(architecture: str, config: Json, clip: Samples, folder: Path) -> None:
    """Write a checkpoint of this published class, drawn from its name, its head centred on a clip."""
    kind = ARCHITECTURES[architecture]
    blueprint = kind.blueprint(config)
    model = SpeechModel(
        blueprint.encoder,
        blueprint.head,
        kind.family.frontend,
        architecture=architecture,
        vocabulary=None,
        labels=blueprint.labels,
    )
    model.to_empty(device="cpu").requires_grad_(False).eval()
    _randomise(model, torch.Generator().manual_seed(zlib.crc32(architecture.encode())))
    _centre(model, clip)
    write_checkpoint(model, config, folder)


def _randomise(model: SpeechModel, generator: torch.Generator) -> None:
    for name, tensor in model.state_dict().items():
        tensor.copy_(_drawn(name, tensor.shape, generator))


def _drawn(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    if name.endswith(("bias", "shift")):
        return 0.2 * torch.randn(shape, generator=generator)
    if len(shape) == 1:
        return 0.5 + torch.rand(shape, generator=generator)
    return torch.randn(shape, generator=generator) / math.sqrt(math.prod(shape[1:]))


def _centre(model: SpeechModel, clip: Samples) -> None:
    """Give every token the same mean and spread over the clip's frames; make a decoder sure of what it writes."""
    output = model(model.frontend([clip]))
    if isinstance(model.head, Writer):
        model.state_dict()["head.project.weight"].mul_(SURE)
    if not isinstance(output, FrameLogits):
        return
    spread, mean = torch.std_mean(output.logits[0], dim=0)
    weights = model.state_dict()
    weights["head.project.weight"].div_(spread[:, None])
    weights["head.project.bias"].sub_(mean).div_(spread)
