"""Small Speech2Text checkpoints with random weights, and what the reference makes of a clip with them.

The oracle is one clip alone, as everywhere. Heads are spread, so that tokens win clearly and texts differ.
"""

import zlib
from functools import cache
from pathlib import Path

import numpy as np
import torch
import transformers
from torch import Tensor
from transformers.modeling_outputs import ModelOutput

from models import load_model
from models.model import SpeechModel
from tests.models.reference import FOLDERS, Clip, Settings, noise, randomise, save

TINY: Settings = {
    "vocab_size": 60, "d_model": 32, "encoder_layers": 2, "encoder_ffn_dim": 48, "encoder_attention_heads": 4,
    "decoder_layers": 2, "decoder_ffn_dim": 40, "decoder_attention_heads": 2, "conv_channels": 24,
}  # fmt: skip
# fmt: off
CASES: dict[str, Settings] = {
    "plain": {},
    "untied": {"tie_word_embeddings": False},
    "unscaled": {"scale_embedding": False},
    "unscaled-untied": {"scale_embedding": False, "tie_word_embeddings": False},
    "no-padding-id": {"pad_token_id": 0, "bos_token_id": 1},
    "late-padding-id": {"pad_token_id": 7},
    "start-is-another": {"decoder_start_token_id": 5},
    "one-convolution": {"num_conv_layers": 1, "conv_kernel_sizes": [3]},
    "three-convolutions": {"num_conv_layers": 3, "conv_kernel_sizes": [7, 3, 1]},
    "even-kernels": {"conv_kernel_sizes": [4, 2]},
    "wide-kernels": {"conv_kernel_sizes": [9, 11], "conv_channels": 40},
    "odd-width": {"d_model": 33, "encoder_attention_heads": 3, "decoder_attention_heads": 1},
    "gelu": {"activation_function": "gelu"},
    "silu": {"activation_function": "silu", "encoder_layers": 1, "decoder_layers": 3},
    "few-bands": {"input_feat_per_channel": 40},
    "two-channels": {"input_feat_per_channel": 20, "input_channels": 2},
    "large-vocabulary": {"vocab_size": 3_001},
    "ends-often": {"tie_word_embeddings": False},
    "unscaled-ends-often": {"scale_embedding": False, "tie_word_embeddings": False},
}
# fmt: on
ENDS = [2, 7, 25, 31]
"""Tokens that end a text, where they are many."""
BARE = ("plain", "unscaled", "no-padding-id", "three-convolutions")


@cache
def reference(name: str, architecture: str = "ForConditionalGeneration") -> transformers.PreTrainedModel:
    """The case of this name with random weights, saved beside."""
    kind = getattr(transformers, f"Speech2Text{architecture}")
    model = kind(kind.config_class(**TINY | CASES[name])).eval()
    randomise(model, seed=zlib.crc32(name.encode()))
    if architecture != "Model":
        model.tie_weights()
        _spread(model)
        model.generation_config.eos_token_id = ENDS if "ends-often" in name else 2
    save(model, folder(name, architecture), {"num_mel_bins": bands(name)})
    return model


def folder(name: str, architecture: str) -> Path:
    """Where a case is saved."""
    return Path(FOLDERS.name) / f"s2t-{name}-{architecture}"


@cache
def ours(name: str, architecture: str = "ForConditionalGeneration") -> SpeechModel:
    """The same checkpoint through the public door."""
    reference(name, architecture)
    return load_model(folder(name, architecture))


def bands(name: str) -> int:
    """Width of the features."""
    config = CASES[name]
    return config.get("input_feat_per_channel", 80) * config.get("input_channels", 1)


def features(clip: Clip, mels: int = 80) -> Tensor:
    """The reference's own input for one clip: (1, frames, mels). It takes long, so it is kept."""
    return _features(clip.tobytes(), mels)


@cache
def _features(samples: bytes, mels: int) -> Tensor:
    clip = np.frombuffer(samples, np.float32)
    extractor = transformers.Speech2TextFeatureExtractor(num_mel_bins=mels, feature_size=mels)
    return extractor(clip, sampling_rate=16_000, return_tensors="pt")["input_features"]


@torch.no_grad()
def alone(name: str, clip: Clip, ids: list[int], architecture: str = "ForConditionalGeneration") -> ModelOutput:
    """What the reference says of one clip by itself, with these tokens given."""
    inputs = features(clip, bands(name))
    return reference(name, architecture)(inputs, decoder_input_ids=torch.tensor([ids]), output_hidden_states=True)


@torch.no_grad()
def _spread(model: transformers.PreTrainedModel) -> None:
    """Make the last norm's states loud, or every token would be nearly as good as the next."""
    mels = model.config.input_feat_per_channel * model.config.input_channels
    ids = torch.tensor([[model.config.decoder_start_token_id, 9, 11, 13, 17]])
    logits = model(features(noise(20_801), mels), decoder_input_ids=ids).logits
    for parameter in model.model.decoder.layer_norm.parameters():
        parameter.mul_(4.0 / logits.std())
