"""The names and shapes that published checkpoints must have, without a weight in memory.

The sizes are those of the published configurations; fields at the reference's defaults are not repeated.
"""

import json
import math

import pytest
import torch
import transformers

from models.registry import published_shapes

Settings = dict[str, object]

LARGE: Settings = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
SEW_D: Settings = {"num_conv_pos_embeddings": 31}


def _size(width: int, layers: int, heads: int) -> Settings:
    return {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
    }


WIDE_STEM = {"conv_dim": [96, *[192] * 4, *[384] * 4, *[768] * 4]}
PUBLISHED: dict[str, tuple[str, Settings]] = {
    "hubert-base": ("Hubert", {}),
    "hubert-large": ("Hubert", LARGE | _size(1024, 24, 16)),
    "hubert-xlarge": ("Hubert", LARGE | _size(1280, 48, 16)),
    "distilhubert": ("Hubert", {"num_hidden_layers": 2, "feat_proj_layer_norm": False}),
    "sew-d-tiny": ("SEWD", SEW_D | _size(384, 12, 6)),
    "sew-d-small": ("SEWD", SEW_D | _size(512, 12, 8)),
    "sew-d-mid": ("SEWD", SEW_D | _size(512, 24, 8)),
    "sew-d-mid-k127": ("SEWD", _size(512, 24, 8) | {"num_conv_pos_embeddings": 127}),
    "sew-d-base": ("SEWD", SEW_D | _size(768, 24, 12)),
    "sew-d-base-plus": ("SEWD", SEW_D | WIDE_STEM | _size(768, 24, 12)),
    "unispeech-large": (
        "UniSpeech",
        LARGE | _size(1024, 24, 16) | {"codevector_dim": 768, "proj_codevector_dim": 768},
    ),
}
COUNTS = {
    "hubert-base": 95, "hubert-large": 317, "hubert-xlarge": 964, "sew-d-tiny": 24.1, "sew-d-small": 41.0,
    "sew-d-mid": 78.8, "sew-d-base": 175.1, "sew-d-base-plus": 177.0,
}  # fmt: skip
"""Millions, as stated in the papers."""
HEADS = {
    "Hubert": ("Model", "ForCTC", "ForSequenceClassification"),
    "SEWD": ("Model", "ForCTC", "ForSequenceClassification"),
    "UniSpeech": ("Model", "ForCTC", "ForSequenceClassification", "ForPreTraining"),
}
GRID = [(size, family + head) for size, (family, _) in PUBLISHED.items() for head in HEADS[family]]


@pytest.mark.parametrize(("size", "architecture"), GRID)
def test_names_and_shapes_are_the_published_ones(size: str, architecture: str) -> None:
    _assert_shapes(architecture, PUBLISHED[size][1])


@pytest.mark.parametrize("architecture", ["LasrForCTC", "LasrEncoder"])
def test_medasr_has_its_published_names_and_shapes(architecture: str) -> None:
    _assert_shapes(architecture, {})


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("HubertForCTC", LARGE | {"adapter_attn_dim": 16, "vocab_size": 50}),
        ("HubertModel", {"conv_pos_batch_norm": True, "mask_time_prob": 0.0}),
        ("UniSpeechForSequenceClassification", {"use_weighted_layer_sum": True, "num_labels": 7}),
        ("UniSpeechForPreTraining", {"num_codevector_groups": 4, "proj_codevector_dim": 768}),
        ("SEWDForCTC", {"share_att_key": False, "pos_att_type": ["p2c"], "squeeze_factor": 3}),
        ("SEWDModel", {"relative_attention": False, "conv_bias": True}),
        ("SEWDModel", {"position_buckets": -1, "norm_rel_ebd": "none", "feat_extract_norm": "layer"}),
        ("LasrEncoder", {"attention_bias": True, "convolution_bias": True, "num_mel_bins": 80}),
    ],
)
def test_names_and_shapes_follow_the_configuration(architecture: str, settings: Settings) -> None:
    _assert_shapes(architecture, settings)


@pytest.mark.parametrize(("size", "millions"), COUNTS.items())
def test_a_size_counts_as_many_parameters_as_its_authors_say(size: str, millions: float) -> None:
    """A wrong width or depth in the table above would show."""
    family, settings = PUBLISHED[size]
    shapes = published_shapes(json.loads(_config(f"{family}Model", settings).to_json_string()))
    assert sum(math.prod(shape) for shape in shapes.values()) / 1e6 == pytest.approx(millions, rel=0.01)


def _assert_shapes(architecture: str, settings: Settings) -> None:
    config = _config(architecture, settings)
    with torch.device("meta"):
        state = getattr(transformers, architecture)(config).state_dict()
    expected = {name: tuple(tensor.shape) for name, tensor in state.items()}
    for only_what_differs in (True, False):
        stated = json.loads(config.to_json_string(use_diff=only_what_differs))
        assert published_shapes(stated) == expected


def _config(architecture: str, settings: Settings) -> transformers.PretrainedConfig:
    config = getattr(transformers, architecture).config_class(**settings)
    config.architectures = [architecture]
    return config
