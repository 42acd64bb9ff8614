"""HuBERT: masked prediction of hidden units (arXiv 2106.07447)."""

from dataclasses import dataclass

from torch import nn

from models.config import Json, StemConfig, read, refuse, require_sound
from models.encoder import Design
from models.wav2vec2 import (
    ScaleShift,
    TransformerConfig,
    Wav2Vec2Encoder,
    masking_vector,
    stem_rows,
    transformer_rows,
)
from models.weights import BatchNorm, Row, Same, WeightNorm, same


@dataclass(frozen=True)
class HubertConfig:
    """A published HuBERT configuration."""

    stem: StemConfig = StemConfig()
    transformer: TransformerConfig = TransformerConfig()
    feat_proj_layer_norm: bool = True
    """Whether the convolution features are normalised before they are projected."""
    conv_pos_batch_norm: bool = False
    """A batch norm before the positional convolution, instead of a weight norm on it."""


def design(published: Json) -> Design:
    """The encoder that a configuration describes, without weights."""
    config, problems = read(HubertConfig(), published)
    problems += refuse(published, {"add_adapter": False})
    stem, transformer = config.stem, config.transformer
    require_sound(problems, stem, transformer)
    features = stem.conv_dim[-1]
    encoder = Wav2Vec2Encoder(
        stem,
        transformer,
        feature_norm=nn.LayerNorm(features, transformer.layer_norm_eps)
        if config.feat_proj_layer_norm
        else nn.Identity(),
        before_positions=ScaleShift(transformer.hidden_size) if config.conv_pos_batch_norm else nn.Identity(),
    )
    rows = [
        *stem_rows(stem),
        *transformer_rows(transformer, Same() if config.conv_pos_batch_norm else WeightNorm()),
        same("norm_features", "feature_projection.layer_norm"),
        Row("before_positions", ("encoder.pos_conv_embed.batch_norm",), BatchNorm()),
    ]
    return Design(
        encoder,
        layers=transformer.num_hidden_layers,
        features=stem.conv_dim[-1],
        rows=tuple(rows),
        unused=masking_vector(published, transformer.hidden_size),
        problems=tuple(problems),
    )
