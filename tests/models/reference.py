"""Small checkpoints with random weights in the published layout, and what the reference says of a clip.

The oracle is always one clip alone, from raw samples: the reference's own batches are not self-consistent.
"""

import json
import math
import tempfile
import zlib
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import transformers
from torch import Tensor
from transformers.modeling_outputs import ModelOutput

Clip = npt.NDArray[np.float32]
Family = Literal["hubert", "unispeech", "sew-d", "lasr"]
Settings = dict[str, object]

TOLERANCE = 1e-4
"""The largest difference allowed, against values scaled to unit size."""
FOLDERS = tempfile.TemporaryDirectory()


@dataclass(frozen=True)
class Case:
    """One configuration: what a folder's config.json and preprocessor_config.json say."""

    name: str
    family: Family
    architecture: str
    """The reference's class."""
    config: Settings
    preprocessor: Settings | None = None
    """None leaves the file out."""


@dataclass(frozen=True)
class Published:
    """A checkpoint on disk beside the reference model that wrote it."""

    case: Case
    model: transformers.PreTrainedModel
    folder: Path

    @cached_property
    def extractor(self) -> transformers.Wav2Vec2FeatureExtractor | transformers.LasrFeatureExtractor:
        """The reference front end, as the folder describes it."""
        wave = self.case.family != "lasr"
        kind = transformers.Wav2Vec2FeatureExtractor if wave else transformers.LasrFeatureExtractor
        return kind(**(self.case.preprocessor or {}))


@cache
def published(name: str) -> Published:
    """Build, fill and save the case of this name, once."""
    return publish(CASES[name])


def publish(case: Case) -> Published:
    """Save the case with random weights, drawn from its name."""
    architecture = getattr(transformers, case.architecture)
    model = architecture(architecture.config_class(**case.config)).eval()
    randomise(model, seed=zlib.crc32(case.name.encode()))
    folder = Path(FOLDERS.name) / case.name
    reference = Published(case, model, folder)
    if case.architecture.endswith("CTC"):
        _spread(reference)
    save(model, folder, case.preprocessor)
    return reference


@torch.no_grad()
def _spread(reference: Published) -> None:
    """Centre the head on a clip, or one token would win every frame."""
    logits = alone(reference, noise(20_801)).logits[0]
    head = getattr(reference.model, "lm_head", None) or reference.model.ctc_head
    head.bias.sub_(logits.mean(0)).div_(logits.std(0))
    head.weight.div_(logits.std(0).view(-1, *[1] * (head.weight.dim() - 1)))


def save(model: transformers.PreTrainedModel, folder: Path, preprocessor: Settings | None) -> None:
    """Write config, weights and, unless it is None, the front end's settings."""
    model.save_pretrained(folder)
    if preprocessor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))


@torch.no_grad()
def randomise(model: transformers.PreTrainedModel, seed: int) -> None:
    """Move every parameter and stored buffer off its default, keeping activations near unit size."""
    generator = torch.Generator().manual_seed(seed)
    state = model.state_dict()
    for name, tensor in state.items():
        tensor.copy_(_drawn(name, state, generator))


def _drawn(name: str, state: dict[str, Tensor], generator: torch.Generator) -> Tensor:
    shape = state[name].shape
    normal, uniform = torch.randn(shape, generator=generator), torch.rand(shape, generator=generator)
    if name.endswith("num_batches_tracked"):
        return torch.tensor(7)
    if name.endswith("original0"):  # the length of each tap of a weight-normalised convolution
        width, _, taps = state[name.replace("original0", "original1")].shape
        return math.sqrt(width / taps) * (0.5 + uniform)
    if name.endswith(("bias", "running_mean")):
        return 0.2 * normal
    if name.endswith(("codevectors", "rel_embeddings.weight")):
        return normal
    if len(shape) == 1:
        return 0.5 + uniform
    gain = 1.6 if any(part in name for part in ("feature_extractor", "lm_head", "ctc_head")) else 1.0
    return gain * normal / math.sqrt(math.prod(shape[1:]))


@torch.no_grad()
def alone(reference: Published, clip: Clip, **extra: Tensor) -> ModelOutput:
    """What the reference returns for one clip by itself."""
    inputs = {reference.model.main_input_name: features(reference, clip)}
    return reference.model(**inputs, **extra, output_hidden_states=True)


def features(reference: Published, clip: Clip) -> Tensor:
    """The reference's own input for one clip: (1, samples) or (1, frames, mels)."""
    rate = reference.extractor.sampling_rate
    return next(iter(reference.extractor(clip, sampling_rate=rate, return_tensors="pt").values()))


def noise(samples: int, seed: int = 0) -> Clip:
    """Tones that jump every 50 ms under noise: unlike white noise, no two frames look alike."""
    random = np.random.default_rng([seed, samples])
    steps = np.arange(samples) // 800
    pitch = random.uniform(80, 5000, samples // 800 + 1)[steps]
    loudness = random.uniform(0.02, 0.6, samples // 800 + 1)[steps]
    tones = loudness * np.sin(2 * np.pi * np.cumsum(pitch) / 16_000)
    return (tones + 0.05 * random.standard_normal(samples)).clip(-1, 1).astype(np.float32)


def difference(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, scaled to unit size; infinite where shapes or infinities differ."""
    if ours.shape != theirs.shape or ours.isnan().any() or not torch.equal(ours.isinf(), theirs.isinf()):
        return math.inf
    ours, theirs = (side.detach()[theirs.isfinite()].double() for side in (ours, theirs))
    if not theirs.numel():
        return 0.0
    return float((ours - theirs).abs().max() / theirs.square().mean().sqrt().clamp(min=1))


def shortest(case: Case) -> int:
    """Fewest samples of which the reference makes one frame that its layers can read."""
    config, settings = case.config, case.preprocessor or {}
    if case.family == "lasr":
        encoder = config.get("encoder_config", config)
        kernels = [encoder.get("subsampling_conv_kernel_size", 5)] * 2
        frames = _read(1, kernels, [encoder.get("subsampling_conv_stride", 2)] * 2)
        return _read(frames, [settings.get("win_length", 400)], [settings.get("hop_length", 160)])
    frames = config.get("squeeze_factor", 2) if case.family == "sew-d" else 1
    return _read(frames, config["conv_kernel"], config["conv_stride"])


def _read(frames: int, kernels: list[int], strides: list[int]) -> int:
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        frames = (frames - 1) * stride + kernel
    return frames


# fmt: off
TINY: Settings = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
}
WAVE: Settings = TINY | {
    "conv_dim": [8, 8, 12, 12, 16, 16, 20], "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2], "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
    "vocab_size": 12, "classifier_proj_size": 24, "num_labels": 5,
}
QUANTISER: Settings = {
    "num_codevectors_per_group": 10, "num_codevector_groups": 2, "codevector_dim": 12,
    "proj_codevector_dim": 14,
}
SEW: Settings = WAVE | {
    "conv_dim": [8, 8, 8, 8, 8, 12, 12, 12, 12, 16, 16, 16, 20],
    "conv_kernel": [10, 3, 1, 3, 1, 3, 1, 3, 1, 2, 1, 2, 1],
    "conv_stride": [5, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1],
}
LASR: Settings = TINY | {"subsampling_conv_channels": 20, "conv_kernel_size": 8}
LARGE: Settings = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}

ACTIVATIONS = (
    "gelu", "gelu_new", "relu", "silu", "gelu_python", "gelu_fast", "gelu_pytorch_tanh", "quick_gelu",
    "tanh", "mish", "gelu_accurate", "leaky_relu", "swish", "gelu_10", "relu6", "gelu_python_tanh",
    "hardswish", "sigmoid", "relu2", "laplace", "linear",
)
HEADS = {
    "ctc": "ForCTC", "encoder": "Model", "classes": "ForSequenceClassification", "units": "ForPreTraining",
}

TRANSFORMER: dict[str, Settings] = {
    "group-ctc": {},
    "group-bias-ctc": {"conv_bias": True, "ctc_loss_reduction": "mean", "ctc_zero_infinity": True},
    "group-stable-encoder": {"do_stable_layer_norm": True},
    "layer-ctc": LARGE | {"ctc_loss_reduction": "mean", "pad_token_id": 5},
    "layer-postnorm-encoder": {"feat_extract_norm": "layer"},
    "layer-nobias-stable-ctc": LARGE | {"conv_bias": False, "ctc_loss_reduction": "sum"},
    "odd-positions-encoder": {"num_conv_pos_embeddings": 15, "num_conv_pos_embedding_groups": 1},
    "wide-positions-encoder": LARGE | {"num_conv_pos_embeddings": 128, "num_conv_pos_embedding_groups": 16},
    "eps-encoder": {"layer_norm_eps": 0.05},
    "eps-stable-encoder": LARGE | {"layer_norm_eps": 0.05},
    "adapter-ctc": LARGE | {"adapter_attn_dim": 6},
    "adapter-postnorm-encoder": {"adapter_attn_dim": 6},
    "gaps-encoder": {"conv_dim": [8, 12, 20], "conv_kernel": [4, 2, 1], "conv_stride": [6, 3, 2]},
    "overlap-ctc": {"conv_dim": [8, 12, 20], "conv_kernel": [25, 9, 5], "conv_stride": [10, 4, 2]},
    "one-convolution-encoder": LARGE | {"conv_dim": [12], "conv_kernel": [400], "conv_stride": [160]},
    "raw-ctc": {},
    "raw-layer-classes": LARGE,
    "unwritten-settings-ctc": LARGE,
    "no-mask-embedding-ctc": {"mask_time_prob": 0.0},
    "feature-mask-encoder": {"mask_time_prob": 0.0, "mask_feature_prob": 0.1},
    "group-classes": {},
    "layer-classes": LARGE | {"num_labels": 3, "classifier_proj_size": 7},
    "weighted-classes": {"use_weighted_layer_sum": True},
    "weighted-stable-classes": LARGE | {"use_weighted_layer_sum": True},
    "one-head-encoder": {"num_attention_heads": 1, "num_hidden_layers": 1},
}
HUBERT: dict[str, Settings] = {
    "no-projection-norm-ctc": {"feat_proj_layer_norm": False},
    "no-projection-norm-stable-encoder": LARGE | {"feat_proj_layer_norm": False},
    "batch-norm-positions-ctc": {"conv_pos_batch_norm": True},
    "batch-norm-stable-encoder": LARGE | {"conv_pos_batch_norm": True, "num_conv_pos_embeddings": 9},
} | {
    f"{stem}-then-{layer}-encoder": LARGE | {"feat_extract_activation": stem, "hidden_act": layer}
    for stem, layer in pairwise((*ACTIVATIONS, ACTIVATIONS[0]))
}
UNISPEECH: dict[str, Settings] = {
    "group-units": QUANTISER,
    "layer-units": LARGE | QUANTISER | {"num_ctc_classes": 9},
    "one-codebook-units": QUANTISER | {"num_codevector_groups": 1, "num_codevectors_per_group": 40},
    "four-codebook-units": QUANTISER | {"num_codevector_groups": 4, "proj_codevector_dim": 32},
    "relu-then-gelu_new-encoder": {"feat_extract_activation": "relu", "hidden_act": "gelu_new"},
}
NEAR: Settings = {"position_buckets": 16, "max_position_embeddings": 40}
SEW_D: dict[str, Settings] = {
    "group-ctc": {},
    "layer-ctc": {"feat_extract_norm": "layer", "ctc_loss_reduction": "sum", "pad_token_id": 5},
    "bias-zero-infinity-ctc": {"conv_bias": True, "ctc_zero_infinity": True},
    "raw-encoder": {},
    "group-classes": {},
    "layer-weighted-classes": {"feat_extract_norm": "layer", "use_weighted_layer_sum": True},
    "unsqueezed-ctc": {"squeeze_factor": 1},
    "unsqueezed-weighted-classes": {"squeeze_factor": 1, "use_weighted_layer_sum": True},
    "thirds-ctc": {"squeeze_factor": 3, "num_conv_pos_embeddings": 31},
    "thirds-even-encoder": {"squeeze_factor": 3, "num_conv_pos_embeddings": 10},
    "published-positions-encoder": {"num_conv_pos_embeddings": 31, "num_conv_pos_embedding_groups": 16},
    "unprojected-ctc": {"conv_dim": [8, 8, 8, 8, 8, 12, 12, 12, 12, 16, 16, 16, 32]},
    "stem-eps-encoder": {"feature_layer_norm_eps": 0.05},
    "eps-encoder": {"layer_norm_eps": 0.05},
    "relu-then-silu-encoder": {"feat_extract_activation": "relu", "hidden_act": "silu"},
    "gelu_new-then-mish-encoder": {"feat_extract_activation": "gelu_new", "hidden_act": "mish"},
    "no-mask-embedding-ctc": {"mask_time_prob": 0.0},
    "no-buckets-encoder": {"position_buckets": -1},
    "no-buckets-near-encoder": {"position_buckets": -1, "max_position_embeddings": 20},
    "zero-buckets-ctc": {"position_buckets": 0, "max_position_embeddings": 20, "share_att_key": False},
    "few-buckets-encoder": {"position_buckets": 8, "max_position_embeddings": 24},
    "few-buckets-far-ctc": {"position_buckets": 8, "max_position_embeddings": 512},
    "odd-buckets-encoder": {"position_buckets": 7, "max_position_embeddings": 64, "share_att_key": False},
    "own-span-encoder": {"position_buckets": -1, "max_relative_positions": 30},
    "plain-relative-norm-encoder": {"norm_rel_ebd": "none"},
    "absolute-ctc": {"relative_attention": False},
    "absolute-content-encoder": {"relative_attention": False, "pos_att_type": [], "norm_rel_ebd": "none"},
    "absolute-own-keys-encoder": {"relative_attention": False, "share_att_key": False},
} | {
    f"{kind}-keys-{'-'.join(terms) or 'content'}-encoder":
        NEAR | {"share_att_key": kind == "shared", "pos_att_type": terms}
    for kind in ("shared", "own") for terms in ([], ["c2p"], ["p2c"], ["p2c", "c2p"])
}
CONFORMER: dict[str, Settings] = {
    "ctc": {},
    "encoder": {},
    "biased-encoder": {"attention_bias": True, "convolution_bias": True},
    "attention-bias-ctc": {"attention_bias": True},
    "convolution-bias-encoder": {"convolution_bias": True},
    "residuals-encoder": {"feed_forward_residual_weights": [0.7, 1.3], "conv_residual_weights": [0.4, 1.6]},
    "odd-kernel-ctc": {"conv_kernel_size": 7},
    "one-tap-encoder": {"conv_kernel_size": 1},
    "published-kernel-encoder": {"conv_kernel_size": 32},
    "small-subsampling-ctc": {"subsampling_conv_kernel_size": 3, "subsampling_conv_stride": 2},
    "gaps-encoder": {"subsampling_conv_kernel_size": 2, "subsampling_conv_stride": 3},
    "unsubsampled-encoder": {"subsampling_conv_kernel_size": 4, "subsampling_conv_stride": 1},
    "few-mels-ctc": {"num_mel_bins": 40},
    "theta-encoder": {"rope_parameters": {"rope_type": "default", "rope_theta": 50.0}},
    "gelu-encoder": {"hidden_act": "gelu"},
    "relu-ctc": {"hidden_act": "relu"},
    "wide-heads-encoder": {"head_dim": 12},
    "eps-encoder": {"layer_norm_eps": 0.05},
    "sum-ctc": {},
    "unwritten-settings-ctc": {},
}
SPELLERS: dict[str, Settings] = {
    "sum-ctc": {"ctc_loss_reduction": "sum", "ctc_zero_infinity": False, "pad_token_id": 5},
}
# fmt: on


def _wave(family: Family, prefix: str, base: Settings, table: dict[str, Settings]) -> list[Case]:
    def settings(name: str) -> Settings | None:
        return None if "unwritten" in name else {"do_normalize": "raw" not in name, "feature_size": 1}

    def architecture(name: str) -> str:
        return prefix + HEADS[name.rsplit("-", 1)[-1]]

    return [
        Case(f"{family}-{name}", family, architecture(name), base | config, settings(name))
        for name, config in table.items()
    ]


def _conformer(name: str, config: Settings) -> Case:
    encoder = LASR | config
    settings = None if "unwritten" in name else {"feature_size": config.get("num_mel_bins", 128)}
    if name.endswith("encoder"):
        return Case(f"lasr-{name}", "lasr", "LasrEncoder", encoder, settings)
    speller = {"vocab_size": 16, "encoder_config": encoder} | SPELLERS.get(name, {})
    return Case(f"lasr-{name}", "lasr", "LasrForCTC", speller, settings)


CASES = {
    case.name: case
    for case in (
        *_wave("hubert", "Hubert", WAVE, TRANSFORMER | HUBERT),
        *_wave("unispeech", "UniSpeech", WAVE, TRANSFORMER | UNISPEECH),
        *_wave("sew-d", "SEWD", SEW, SEW_D),
        *(_conformer(name, config) for name, config in CONFORMER.items()),
    )
}
